/* slabd-demo: a prefork HTTP session server whose workers share one pool, and the tool that looks at
 * what such a server left behind. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/demo/master.h"
#include "tests/demo/store.h"

enum mode { MODE_SERVE, MODE_VERIFY, MODE_CLEAR };

struct options {
	const char *address;
	unsigned long workers, port;
	enum mode mode;
};

static const struct argp_option option_table[] = {
	{"address", 'a', "ADDRESS", 0,
	 "slabd's socket (default: $SLABD_ADDRESS, else the usual place)", 0},
	{"workers", 'w', "N", 0, "worker processes, 1 to 64 (default 4)", 0},
	{"port", 'p', "PORT", 0, "on 127.0.0.1 (default: any free one, printed)", 0},
	{"verify", 'v', NULL, 0, "walk the index, check every session's content, print figures", 0},
	{"clear", 'c', NULL, 0, "free every session, the index and the caches", 0},
	{0},
};

static unsigned long number(const char *text, unsigned long least, unsigned long most,
			    struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < least || value > most)
		argp_error(state, "%s: not a number from %lu to %lu", text, least, most);
	return value;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'a':
		options->address = text;
		return 0;
	case 'w':
		options->workers = number(text, 1, WORKERS_MAX, state);
		return 0;
	case 'p':
		options->port = number(text, 0, 65535, state);
		return 0;
	case 'v':
		options->mode = MODE_VERIFY;
		return 0;
	case 'c':
		options->mode = MODE_CLEAR;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int fail(const char *what, int r)
{
	const char *why = slabd_error();

	fprintf(stderr, "slabd-demo: %s: %s\n", what, why && *why ? why : strerror(-r));
	return EXIT_FAILURE;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_tally(const struct tally *tally)
{
	printf("%8" PRIu64 " created\n", tally->created);
	printf("%8" PRIu64 " read, %.0f%% of them written by another worker\n", tally->read,
	       percent(tally->read_foreign, tally->read));
	printf("%8" PRIu64
	       " updated, %.0f%% in place of another worker's object, freed by handle\n",
	       tally->updated, percent(tally->updated_foreign, tally->updated));
	printf("%8" PRIu64 " deleted, %.0f%% of them another worker's\n", tally->deleted,
	       percent(tally->deleted_foreign, tally->deleted));
	if (tally->locks_taken_over)
		printf("%8" PRIu64 " locks taken over from a worker that died\n",
		       tally->locks_taken_over);
}

static int verify(struct store *store)
{
	const struct tally *tally = &store->root->tally;
	struct findings findings;
	int r = store_walk(store, &findings);

	if (r < 0)
		return fail("the index", r);
	print_tally(tally);
	printf("%8" PRIu64 " live, found by the index and checked\n", findings.sessions);
	printf("%8" PRIu64 " damaged\n", findings.damaged + tally->damaged);
	return findings.damaged || tally->damaged ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int clear(struct store *store)
{
	uint64_t freed;
	int r = store_clear(store, &freed);

	printf("%8" PRIu64 " sessions freed, by handle\n", freed);
	if (r == -EBUSY) {
		printf("         a cache stays: it holds objects that were in a killed worker's "
		       "hands\n");
		return EXIT_SUCCESS;
	}
	if (r < 0)
		return fail("clear", r);
	puts("         index freed, caches destroyed");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse,
		.doc = "A prefork HTTP session server on slabd.\v"
		       "POST /session creates a session; GET, PUT and DELETE /session/ID act on "
		       "it, "
		       "whichever worker is asked.",
	};
	struct options options = {.workers = 4};
	struct store store;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.mode == MODE_SERVE)
		r = store_open(&store, options.address);
	else
		r = store_find(&store, options.address);
	if (r < 0)
		return fail("cannot start", r);
	if (options.mode == MODE_SERVE)
		r = master_run(&store, (unsigned)options.workers, (unsigned)options.port);
	else if (options.mode == MODE_VERIFY)
		r = verify(&store);
	else
		r = clear(&store);
	store_close(&store);
	return r;
}
