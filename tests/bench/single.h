/* One thread: alloc, touch, free. Figures are ns for one object's alloc, touch and free together. */
#ifndef BENCH_SINGLE_H
#define BENCH_SINGLE_H

#include <string.h>

#include "tests/bench/peers.h"

#define PAIR_REPEAT   100000
#define BATCH_SMALL   1000
#define BATCH_LARGE   100000
#define BATCH_OBJECTS 100000 /* of a repetition, in however many batches */
#define BULK	      32
#define BULK_REPEAT   3000
#define LATENCY_FINE  4096 /* ticks told apart one by one; longer ones are kept as they are */
#define LATENCY_LONG  BATCH_LARGE

/* Functions of their own: within a large one, where the compiler lays a loop decides too much (a call's
 * 4.7 ns were 6.4 in main). */
#define BENCH_LOOP __attribute__((noinline))

static uint32_t *order_small, *order_large;
static void **objects;
static uint32_t *latency_fine;
static uint64_t *latency_long;
static size_t latency_long_n;

static void single_prepare(size_t most)
{
	order_small = calloc(BATCH_SMALL, sizeof *order_small);
	order_large = calloc(BATCH_LARGE, sizeof *order_large);
	objects = calloc(most, sizeof *objects);
	latency_fine = calloc(LATENCY_FINE, sizeof *latency_fine);
	latency_long = calloc(LATENCY_LONG, sizeof *latency_long);
	if (!order_small || !order_large || !objects || !latency_fine || !latency_long)
		fail("memory");
	memset(objects, 1,
	       most * sizeof *objects); /* so that they are no part of what the peer takes */
	shuffle(order_small, BATCH_SMALL);
	shuffle(order_large, BATCH_LARGE);
}

BENCH_LOOP static double pair(void)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; i < PAIR_REPEAT; i++) {
		void *object = peer_alloc();

		touch(object, i);
		peer_free(object);
	}
	return (double)(now_ns() - start) / PAIR_REPEAT;
}

BENCH_LOOP static double batch(const uint32_t *order, size_t n)
{
	uint64_t start = now_ns();

	for (size_t done = 0; done < BATCH_OBJECTS; done += n) {
		for (size_t i = 0; i < n; i++) {
			objects[i] = peer_alloc();
			touch(objects[i], i);
		}
		for (size_t i = 0; i < n; i++)
			peer_free(objects[order[i]]);
	}
	return (double)(now_ns() - start) / BATCH_OBJECTS;
}

static double batch_small(void)
{
	return batch(order_small, BATCH_SMALL);
}

static double batch_large(void)
{
	return batch(order_large, BATCH_LARGE);
}

BENCH_LOOP static double bulk(void)
{
	uint64_t start = now_ns();

	for (size_t i = 0; i < BULK_REPEAT; i++) {
		peer_alloc_bulk(BULK, objects);
		for (size_t k = 0; k < BULK; k++)
			touch(objects[k], i);
		peer_free_bulk(BULK, objects);
	}
	return (double)(now_ns() - start) / (BULK_REPEAT * BULK);
}

/* ---------------------------------------------------------------- how long single allocs take */

static inline uint64_t ticks(void)
{
	uint32_t processor;

	return __builtin_ia32_rdtscp(&processor);
}

static int compare_ticks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The ticks that a share of BATCH_LARGE allocs stayed within; the long ones are sorted. */
static double latency_within(double share)
{
	size_t rank = (size_t)(share * (BATCH_LARGE - 1)), seen = 0;

	for (size_t i = 0; i < LATENCY_FINE; i++) {
		seen += latency_fine[i];
		if (seen > rank)
			return (double)i;
	}
	return (double)latency_long[rank - seen];
}

/* ns: p50, p99, p99.9, p99.99 and the longest of a batch's allocs. */
BENCH_LOOP static void latency(double *ret)
{
	static const double shares[5] = {0.5, 0.99, 0.999, 0.9999, 1};
	uint64_t start_ns = now_ns(), start = ticks();
	double ns_per_tick;

	for (size_t i = 0; i < LATENCY_FINE; i++)
		latency_fine[i] = 0;
	latency_long_n = 0;
	for (size_t i = 0; i < BATCH_LARGE; i++) {
		uint64_t before = ticks(), took;

		objects[i] = peer_alloc();
		took = ticks() - before;
		if (took < LATENCY_FINE)
			latency_fine[took]++;
		else
			latency_long[latency_long_n++] = took;
		touch(objects[i], i);
	}
	for (size_t i = 0; i < BATCH_LARGE; i++)
		peer_free(objects[order_large[i]]);
	ns_per_tick = (double)(now_ns() - start_ns) / (double)(ticks() - start);
	qsort(latency_long, latency_long_n, sizeof *latency_long, compare_ticks);
	for (int i = 0; i < 5; i++)
		ret[i] = latency_within(shares[i]) * ns_per_tick;
}

#endif
