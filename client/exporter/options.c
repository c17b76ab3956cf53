#include "client/exporter/options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "client/slabctl/exits.h"
#include "proto/version.h"

#define TIMEOUT_MS_MAX 60000

static const struct argp_option rows[] = {
	{"listen", 'l', "ADDR:PORT", 0,
	 "where to serve HTTP: an IP address and a port, 0 for any that is free "
	 "(default: 127.0.0.1:9466)",
	 0},
	{"address", 'a', "ADDRESS", 0,
	 "where slabd is: SOCKET or SOCKET#SEGMENT (default: $SLABD_ADDRESS, else "
	 "$XDG_RUNTIME_DIR/slabd/slabd.sock (not for root), else /run/slabd/slabd.sock)",
	 0},
	{"timeout", 't', "MS", 0,
	 "how long slabd may take for all figures together (default: 1000)", 0},
	{0},
};

static unsigned take_timeout(const char *text, struct argp_state *state)
{
	char *end;
	unsigned long ms;

	errno = 0;
	ms = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || ms < 1 || ms > TIMEOUT_MS_MAX)
		argp_error(state, "--timeout \"%.32s\": must be a whole number, 1 to %d", text,
			   TIMEOUT_MS_MAX);
	return (unsigned)ms;
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'l':
		options->listen = text;
		return 0;
	case 'a':
		options->address = text;
		return 0;
	case 't':
		options->timeout_ms = take_timeout(text, state);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%.63s\" is no option", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void options_parse(struct options *ret, int argc, char **argv)
{
	const struct argp argp = {
		.options = rows,
		.parser = on_option,
		.doc = "Serves slabd's metrics at /metrics, for Prometheus, and a page that draws "
		       "the "
		       "pool at /.\vExit codes: 0 done, 1 failed, 2 usage.",
	};

	*ret = (struct options){.listen = "127.0.0.1:9466", .timeout_ms = 1000};
	argp_program_version = "slabd-exporter " SLABD_VERSION_STRING;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, ret) != 0)
		exit(EXIT_USAGE);
}
