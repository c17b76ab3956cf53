#include "tests/bench/targets.h"

#include <math.h>
#include <stdio.h>

#include "tests/bench/figures.h"

/* Against one peer, the best of a group, or a plain figure. */
enum { BEST = PEERS, BEST_HEAP, BEST_BUT_DPDK, FIGURE };

struct target {
	unsigned row, who, against;
	double bound[SIZES]; /* 0: none at this size */
};

#define BOTH(bound)          \
	{                    \
		bound, bound \
	}

static const struct target targets[] = {
	{ROW_W1, PEER_INLINED, PEER_DPDK, BOTH(1)},
	{ROW_W1, PEER_CALLED, PEER_TCMALLOC, BOTH(1)},
	{ROW_W2A, PEER_INLINED, BEST, BOTH(1)},
	{ROW_W2B, PEER_INLINED, PEER_MIMALLOC, {1.2, 0}},
	{ROW_W2B, PEER_INLINED, BEST, {0, 1}},
	{ROW_W3 + SAME_CORE, PEER_INLINED, BEST_HEAP, BOTH(0.35)},
	{ROW_W3 + SAME_CORE, PEER_INLINED, PEER_DPDK, BOTH(1.75)},
	{ROW_W3 + NEAR, PEER_INLINED, BEST_HEAP, BOTH(0.35)},
	{ROW_W3 + NEAR, PEER_INLINED, PEER_DPDK, BOTH(1.75)},
	{ROW_W3 + FAR, PEER_INLINED, BEST_HEAP, BOTH(0.35)},
	{ROW_W3 + FAR, PEER_INLINED, PEER_DPDK, BOTH(1.75)},
	{ROW_W4, PEER_INLINED, PEER_DPDK, BOTH(2.5)},
	{ROW_W4, PEER_INLINED, BEST_BUT_DPDK, BOTH(0.333)},
	{ROW_W5A, PEER_INLINED, PEER_DPDK, BOTH(1.25)},
	{ROW_W5A, PEER_INLINED, BEST_HEAP, BOTH(1)},
	{ROW_W5B + SAME_CORE, PEER_INLINED, PEER_DPDK, BOTH(1.25)},
	{ROW_W5B + SAME_CORE, PEER_INLINED, BEST_HEAP, BOTH(1)},
	{ROW_W5B + NEAR, PEER_INLINED, PEER_DPDK, BOTH(1.25)},
	{ROW_W5B + NEAR, PEER_INLINED, BEST_HEAP, BOTH(1)},
	{ROW_W5B + FAR, PEER_INLINED, PEER_DPDK, BOTH(1.25)},
	{ROW_W5B + FAR, PEER_INLINED, BEST_HEAP, BOTH(1)},
	{ROW_W5C, PEER_INLINED, PEER_DPDK, BOTH(1.25)},
	{ROW_W5C, PEER_INLINED, BEST_HEAP, BOTH(1)},
	{ROW_W6, PEER_CALLED, FIGURE, {75, 268}},
	{ROW_W10 + 2, PEER_INLINED, FIGURE, BOTH(1)},
	{ROW_W7 + 2, PEER_INLINED, BEST, BOTH(1)},
	{ROW_W7 + 3, PEER_INLINED, BEST, BOTH(1)},
};

static bool belongs(unsigned peer, unsigned group)
{
	if (peers[peer].ours || peers[peer].floor)
		return false;
	if (group == BEST_HEAP)
		return peers[peer].heap;
	return group == BEST || peer != PEER_DPDK;
}

/* PEERS: nobody of the group was measured. */
static unsigned best_of(unsigned group, unsigned size, unsigned row)
{
	unsigned best = PEERS;
	double least = INFINITY;

	for (unsigned peer = 0; peer < PEERS; peer++) {
		struct figure figure = figure_of(size, row, peer);

		if (!belongs(peer, group) || !figure.clean || figure.value >= least)
			continue;
		least = figure.value;
		best = peer;
	}
	return best;
}

static void compare(const struct target *target, struct verdict *ret)
{
	static const char *const groups[] = {[BEST] = "best peer: ",
					     [BEST_HEAP] = "best heap: ",
					     [BEST_BUT_DPDK] = "next best: "};
	unsigned against = target->against;
	const char *group = "";

	if (against >= PEERS) {
		group = groups[against];
		against = best_of(against, ret->size, ret->row);
	}
	if (against == PEERS)
		return;
	ret->seen = figure_ratio(ret->size, ret->row, ret->who, against);
	ret->few |= figure_of(ret->size, ret->row, against).clean < ROUNDS_FEW;
	snprintf(ret->wanted, sizeof ret->wanted, "%.2f of %s%s", ret->bound, group,
		 peers[against].name);
}

bool verdict_of(size_t number, struct verdict *ret)
{
	const struct target *target = &targets[number / SIZES];
	unsigned size = number % SIZES;
	struct figure figure;

	if (number / SIZES >= sizeof targets / sizeof *targets)
		return false;
	*ret = (struct verdict){.size = size,
				.row = target->row,
				.who = target->who,
				.bound = target->bound[size],
				.seen = NAN};
	if (ret->bound == 0)
		return true;
	figure = figure_of(size, ret->row, ret->who);
	if (target->against == FIGURE) {
		ret->seen = figure.value;
		snprintf(ret->wanted, sizeof ret->wanted, "%.0f%s", ret->bound,
			 ret->row == ROW_W6 ? " bytes" : "");
		return true;
	}
	ret->few = figure.clean < ROUNDS_FEW;
	compare(target, ret);
	return true;
}
