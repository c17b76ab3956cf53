#include "tests/bench/figures.h"

#include <math.h>

#include "tests/bench/median.h"

/* ns of a trip that part the states */
#define SAME_CORE_BELOW 15.0
#define NEAR_BELOW	90.0

const struct workload workloads[] = {
	{"W1", ALONE, ROW_W1, 1},     {"W2a", ALONE, ROW_W2A, 1},  {"W2b", ALONE, ROW_W2B, 1},
	{"W3", SORTED, ROW_W3, 1},    {"W3b", SORTED, ROW_W3B, 1}, {"ring", SORTED, ROW_RING, 1},
	{"W4", ALONE, ROW_W4, 1},     {"W5a", ALONE, ROW_W5A, 1},  {"W5b", SORTED, ROW_W5B, 1},
	{"W5c", CROWDED, ROW_W5C, 1}, {"W6", MEMORY, ROW_W6, 1},   {"W7", ALONE, ROW_W7, 5},
	{"W10", ALONE, ROW_W10, 3},
};
const size_t workloads_n = sizeof workloads / sizeof *workloads;

const char *const row_titles[ROWS] = {
	"alloc, touch, free",
	"1,000, random order",
	"100,000, random order",
	"handed over, same core",
	"handed over, near cores",
	"handed over, far cores",
	"freed by 32, same core",
	"freed by 32, near cores",
	"freed by 32, far cores",
	"the ring alone, same core",
	"the ring alone, near cores",
	"the ring alone, far cores",
	"bulk of 32",
	"replacement, 1 process",
	"replacement, 2, same core",
	"replacement, 2, near cores",
	"replacement, 2, far cores",
	"replacement, 4 processes",
	"bytes a live object",
	"alloc's latency, p50",
	"alloc's latency, p99",
	"alloc's latency, p99.9",
	"alloc's latency, p99.99",
	"alloc's latency, longest",
	"an alloc, daemon refills",
	"an alloc, depot refills",
	"waits in 10,000 allocs",
};

const char *const row_workloads[ROWS] = {"W1",	"W2a", "W2b",  "W3",   "W3",   "W3", "W3b",
					 "W3b", "W3b", "ring", "ring", "ring", "W4", "W5a",
					 "W5b", "W5b", "W5b",  "W5c",  "W6",   "W7", "W7",
					 "W7",	"W7",  "W7",   "W10",  "W10",  "W10"};

struct peer_row peers[PEERS] = {
	{.name = "slabd_inlined", .ours = true},
	{.name = "slabd", .ours = true},
	{.name = "dpdk"},
	{.name = "tcmalloc", .heap = true},
	{.name = "mimalloc", .heap = true},
	{.name = "jemalloc", .heap = true},
	{.name = "glibc", .heap = true},
	{.name = "boost"},
	{.name = "treiber"},
	{.name = "mutex"},
	{.name = "stack", .floor = true},
};

const size_t sizes[SIZES] = {64, 256};

static double figures[SIZES][ROWS][PEERS][ROUNDS_MAX];
static double disturbed[SIZES][ROWS][PEERS][ROUNDS_MAX];

void figures_clear(void)
{
	double *clean = &figures[0][0][0][0], *other = &disturbed[0][0][0][0];

	for (size_t i = 0; i < sizeof figures / sizeof *clean; i++)
		clean[i] = other[i] = NAN;
}

void figure_add(unsigned size, unsigned row, unsigned peer, unsigned round, double value)
{
	figures[size][row][peer][round] = value;
}

void figure_add_disturbed(unsigned size, unsigned row, unsigned peer, unsigned round, double value)
{
	disturbed[size][row][peer][round] = value;
}

static unsigned without_gaps(const double *all, double *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ROUNDS_MAX; i++)
		if (!isnan(all[i]))
			ret[n++] = all[i];
	return n;
}

struct figure figure_of(unsigned size, unsigned row, unsigned peer)
{
	double values[ROUNDS_MAX];
	struct figure figure = {.clean = without_gaps(figures[size][row][peer], values)};
	unsigned n = figure.clean;

	if (!n)
		n = without_gaps(disturbed[size][row][peer], values);
	figure.value = median(values, n);
	return figure;
}

double figure_ratio(unsigned size, unsigned row, unsigned over, unsigned under)
{
	const double *a = figures[size][row][over], *b = figures[size][row][under];
	double ratios[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < ROUNDS_MAX; i++)
		if (!isnan(a[i]) && !isnan(b[i]))
			ratios[n++] = a[i] / b[i];
	return median(ratios, n);
}

bool row_has_figures(unsigned size, unsigned row)
{
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (!isnan(figure_of(size, row, peer).value))
			return true;
	return false;
}

enum state state_of(double trip_ns)
{
	return trip_ns < SAME_CORE_BELOW ? SAME_CORE : trip_ns < NEAR_BELOW ? NEAR : FAR;
}
