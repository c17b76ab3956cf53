/* bench [--quick | --rounds=1] [--json] [--svg=FILE] [WORKLOAD...]: asks all peers' workers in turn, and tells. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/chart.h"
#include "tests/bench/common.h"
#include "tests/bench/figures.h"
#include "tests/bench/fleet.h"
#include "tests/bench/report.h"

#define ROUNDS	     15
#define ROUNDS_QUICK 7
#define TRIES	     5 /* of a repetition that is disturbed */
/* On a busy machine tries add up: a workload that has taken this long does nothing again, and ends at
 * twice as much. */
#define PATIENCE       12000000000
#define PATIENCE_QUICK 3000000000
#define OBJECTS_MOST   120000
#define OBJECTS_HELD   1000000

struct choice {
	bool json;
	unsigned rounds;
	uint64_t patience_ns;
	const char *svg;
	char **wanted; /* workloads, to the end of the arguments */
};

static struct ship fleet[PEERS];

static struct choice parse_options(int argc, char **argv)
{
	struct choice options = {.rounds = ROUNDS, .patience_ns = PATIENCE};
	int i;

	for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			options.json = true;
		} else if (strcmp(argv[i], "--quick") == 0) {
			options.rounds = ROUNDS_QUICK;
			options.patience_ns = PATIENCE_QUICK;
		} else if (strcmp(argv[i], "--rounds=1") == 0) {
			options.rounds = 1;
			options.patience_ns = 0;
		} else if (strncmp(argv[i], "--svg=", 6) == 0) {
			options.svg = argv[i] + 6;
		} else {
			fprintf(stderr, "usage: bench [--quick | --rounds=1] [--json] [--svg=FILE] "
					"[WORKLOAD...]\n");
			exit(2);
		}
	}
	options.wanted = argv + i;
	return options;
}

/* "W2" asks for W2a and W2b, and W3 for the ring. */
static bool is_wanted(const struct choice *options, const char *name)
{
	if (!*options->wanted)
		return true;
	if (strcmp(name, "ring") == 0)
		name = "W3";
	for (char **wanted = options->wanted; *wanted; wanted++) {
		size_t length = strlen(*wanted);

		if (strncmp(name, *wanted, length) == 0 &&
		    (name[length] == '\0' || (name[length] >= 'a' && name[length] <= 'z')))
			return true;
	}
	return false;
}

/* The row that a repetition counts for, or -1: it doesn't. */
static int row_of(const struct workload *workload, const struct answer *answer)
{
	enum state before, after;

	if (answer->preempted && workload->kind != CROWDED && workload->kind != MEMORY)
		return -1;
	if (workload->kind != SORTED)
		return (int)workload->row;
	before = state_of(answer->trip[0]);
	after = state_of(answer->trip[1]);
	return before == after ? (int)(workload->row + before) : -1;
}

static void repeat(const struct workload *workload, unsigned size, unsigned peer, unsigned round,
		   int tries)
{
	struct answer answer;
	int row = -1;

	for (int try = 0; try < tries && row < 0; try++) {
		if (!fleet[peer].pid ||
		    !ship_ask(&fleet[peer], workload->name, workload->rows, &answer))
			return;
		row = row_of(workload, &answer);
	}
	for (unsigned i = 0; i < workload->rows; i++)
		if (row >= 0)
			figure_add(size, (unsigned)row + i, peer, round, answer.figures[i]);
		else if (workload->kind != SORTED)
			figure_add_disturbed(size, workload->row + i, peer, round,
					     answer.figures[i]);
}

static void warm_up(const struct workload *workload)
{
	struct answer answer;

	for (unsigned peer = 0; peer < PEERS; peer++)
		if (fleet[peer].pid)
			ship_ask(&fleet[peer], workload->name, workload->rows, &answer);
}

static void measure_workload(const struct choice *options, const struct workload *workload,
			     unsigned size)
{
	uint64_t start = now_ns();

	warm_up(workload);
	for (unsigned round = 0; round < options->rounds; round++) {
		uint64_t taken = now_ns() - start;

		if (round && taken > 2 * options->patience_ns)
			return;
		for (unsigned peer = 0; peer < PEERS; peer++)
			repeat(workload, size, peer, round,
			       taken > options->patience_ns ? 1 : TRIES);
	}
}

static bool speed_is_wanted(const struct choice *options)
{
	for (size_t i = 0; i < workloads_n; i++)
		if (workloads[i].kind != MEMORY && is_wanted(options, workloads[i].name))
			return true;
	return false;
}

static void measure_speed(const struct choice *options, unsigned size)
{
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (!ship_launch(&fleet[peer], peers[peer].name, sizes[size], OBJECTS_MOST))
			peers[peer].absent = true;
	for (size_t i = 0; i < workloads_n; i++) {
		if (workloads[i].kind == MEMORY || !is_wanted(options, workloads[i].name))
			continue;
		measure_workload(options, &workloads[i], size);
	}
	for (unsigned peer = 0; peer < PEERS; peer++)
		ship_land(&fleet[peer]);
}

/* One at a time and once: memory does not depend on the machine's mood. */
static void measure_memory(const struct choice *options, unsigned size)
{
	for (size_t i = 0; i < workloads_n; i++) {
		if (workloads[i].kind != MEMORY || !is_wanted(options, workloads[i].name))
			continue;
		for (unsigned peer = 0; peer < PEERS; peer++) {
			if (!ship_launch(&fleet[peer], peers[peer].name, sizes[size], OBJECTS_HELD))
				continue;
			repeat(&workloads[i], size, peer, 0, 1);
			ship_land(&fleet[peer]);
		}
	}
}

int main(int argc, char **argv)
{
	struct choice options = parse_options(argc, argv);

	signal(SIGPIPE, SIG_IGN); /* a worker that ended is noticed where it is asked */
	figures_clear();
	for (unsigned size = 0; size < SIZES; size++) {
		if (speed_is_wanted(&options))
			measure_speed(&options, size);
		measure_memory(&options, size);
	}
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (peers[peer].absent)
			fprintf(stderr, "bench: %s is not to be had here: skipped\n",
				peers[peer].name);
	if (options.svg && !chart_write(options.svg))
		return 1;
	if (options.json)
		report_json();
	else
		report_table();
	return 0;
}
