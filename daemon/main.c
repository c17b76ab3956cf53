/* slabd: options, then the keeper. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "daemon/handoff.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/preflight.h"
#include "daemon/worker.h"
#include "shm/layout.h"

static enum slabd_exit fail(const struct options *options, int r, const char *error)
{
	if (options->mode == MODE_CHECK) {
		printf("%-5s %-10s %s\n", "FAIL", "options", error);
		return SLABD_EXIT_FAILED;
	}
	log_error("%s", error);
	return r == -EACCES ? SLABD_EXIT_PERMISSION : SLABD_EXIT_USAGE;
}

/* A worker that a keeper of another binary started. */
static enum slabd_exit work(const struct options *options, struct worker_setup *setup)
{
	setup->options = options;
	log_init(options->log_level);
	return (enum slabd_exit)worker_run(setup);
}

static enum slabd_exit run(const struct options *options)
{
	struct worker_setup setup;
	struct backing backing;

	if (options->mode == MODE_RUN && handoff_take(&setup, &backing))
		return work(options, &setup);
	switch (options->mode) {
	case MODE_CHECK:
		return preflight(options) ? SLABD_EXIT_OK : SLABD_EXIT_FAILED;
	case MODE_CHECK_CONFIG:
		printf("ok    %s\n", options->file[0] ? options->file : "no configuration file");
		return SLABD_EXIT_OK;
	default:
		log_init(options->log_level);
		return keeper_run(options);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	char error[ERROR_BYTES];
	enum slabd_exit code;
	int r;

	signal(SIGPIPE, SIG_IGN);
	log_init(LOG_LEVEL_INFO);
	if (options_parse(&options, argc, argv) < 0)
		return SLABD_EXIT_FAILED;
	if (options.mode == MODE_LAYOUT) {
		printf("%u\n", SLABD_LAYOUT_VERSION);
		options_free(&options);
		return SLABD_EXIT_OK;
	}
	r = options_read(&options, error, sizeof(error));
	code = r < 0 ? fail(&options, r, error) : run(&options);
	options_free(&options);
	return (int)code;
}
