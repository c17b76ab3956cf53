/* Workloads, peers and what was measured.
 *
 * How a figure is made: peers take turns, round after round, each round one short repetition of each
 * peer. A repetition in which the scheduler took the CPU away (getrusage's involuntary context
 * switches) is thrown away and done again, a few times. A peer's figure is the median of its clean
 * repetitions; a ratio is the median of the ratios within the rounds where both were clean.
 *
 * What a line of memory costs to go from one CPU to the other depends on where the two virtual CPUs
 * happen to be, which the host changes as it likes. So around each repetition that uses two CPUs one
 * line's trip is measured; it counts only if both show one state, and states are kept apart. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

#define ROUNDS_MAX 101
#define ROUNDS_FEW 7 /* fewer clean repetitions than these are marked */
#define SIZES	   2

enum state { SAME_CORE, NEAR, FAR, STATES };

/* A row of figures, each peer's in its column. */
enum row_name {
	ROW_W1,
	ROW_W2A,
	ROW_W2B,
	ROW_W3,
	ROW_W3B = ROW_W3 + STATES,
	ROW_RING = ROW_W3B + STATES,
	ROW_W4 = ROW_RING + STATES,
	ROW_W5A,
	ROW_W5B,
	ROW_W5C = ROW_W5B + STATES,
	ROW_W6,
	ROW_W7,
	ROW_W10 = ROW_W7 + 5,
	ROWS = ROW_W10 + 3
};

enum workload_kind { ALONE, SORTED, CROWDED, MEMORY };

struct workload {
	const char *name; /* as the worker knows it */
	enum workload_kind kind;
	unsigned row, rows;
};

extern const struct workload workloads[];
extern const size_t workloads_n;
extern const char *const row_titles[ROWS];
extern const char *const row_workloads[ROWS];

struct peer_row {
	const char *name;
	bool ours, heap, floor;
	bool absent;
};

enum { PEER_INLINED, PEER_CALLED, PEER_DPDK, PEER_TCMALLOC, PEER_MIMALLOC = 4, PEERS = 11 };
extern struct peer_row peers[PEERS];
extern const size_t sizes[SIZES];

struct figure {
	double value; /* NaN: none; with clean 0, of disturbed repetitions alone */
	unsigned clean;
};

void figures_clear(void);
void figure_add(unsigned size, unsigned row, unsigned peer, unsigned round, double value);
/* Of one that stayed disturbed: told, with a mark, where there is no other; never compared. */
void figure_add_disturbed(unsigned size, unsigned row, unsigned peer, unsigned round, double value);
struct figure figure_of(unsigned size, unsigned row, unsigned peer);
double figure_ratio(unsigned size, unsigned row, unsigned over, unsigned under);
bool row_has_figures(unsigned size, unsigned row);
enum state state_of(double trip_ns);

#endif
