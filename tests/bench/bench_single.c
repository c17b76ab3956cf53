/* One thread: alloc, touch, free.
 *
 *	pair		one object, again and again
 *	batch1k		1,000 objects allocated and touched, then freed in random order
 *	batch100k	100,000 of them, which no near cache holds
 *	bulk32		32 objects by one call, touched, freed by one call
 *
 * Figures are ns for one object's alloc, touch and free together. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/common.h"
#include "tests/bench/peers.h"

#define INLINE static inline __attribute__((always_inline))

#define PAIR_REPEAT   100000
#define BATCH_SMALL   1000
#define BATCH_LARGE   100000
#define BATCH_OBJECTS 100000 /* of a repetition, in however many batches */
#define BULK	      32
#define BULK_REPEAT   3000

typedef void *(*alloc_call)(void);
typedef void (*free_call)(void *object);
typedef void (*bulk_call)(size_t n, void **objects);

static uint32_t *order_small, *order_large;
static void **objects;

/* ---------------------------------------------------------------- workloads, compiled for each peer */

INLINE double pair(alloc_call alloc, free_call release)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; i < PAIR_REPEAT; i++) {
		void *object = alloc();

		touch(object, i);
		release(object);
	}
	return (double)(now_ns() - start) / PAIR_REPEAT;
}

INLINE double batch(alloc_call alloc, free_call release, const uint32_t *order, size_t n)
{
	uint64_t start = now_ns();

	for (size_t done = 0; done < BATCH_OBJECTS; done += n) {
		for (size_t i = 0; i < n; i++) {
			objects[i] = alloc();
			touch(objects[i], i);
		}
		for (size_t i = 0; i < n; i++)
			release(objects[order[i]]);
	}
	return (double)(now_ns() - start) / BATCH_OBJECTS;
}

INLINE double bulk(bulk_call alloc, bulk_call release)
{
	uint64_t start = now_ns();

	for (size_t i = 0; i < BULK_REPEAT; i++) {
		alloc(BULK, objects);
		for (size_t k = 0; k < BULK; k++)
			touch(objects[k], i);
		release(BULK, objects);
	}
	return (double)(now_ns() - start) / (BULK_REPEAT * BULK);
}

#define COMPILE(peer)                                                                            \
	static double pair_##peer(void)                                                          \
	{                                                                                        \
		return pair(peer_##peer##_alloc, peer_##peer##_free);                            \
	}                                                                                        \
	static double batch1k_##peer(void)                                                       \
	{                                                                                        \
		return batch(peer_##peer##_alloc, peer_##peer##_free, order_small, BATCH_SMALL); \
	}                                                                                        \
	static double batch100k_##peer(void)                                                     \
	{                                                                                        \
		return batch(peer_##peer##_alloc, peer_##peer##_free, order_large, BATCH_LARGE); \
	}                                                                                        \
	static double bulk32_##peer(void)                                                        \
	{                                                                                        \
		return bulk(peer_##peer##_alloc_bulk, peer_##peer##_free_bulk);                  \
	}
PEERS(COMPILE)

/* ---------------------------------------------------------------- peers and workloads as tables */

#define WORKLOADS 4

struct peer {
	const char *name;
	bool (*open)(size_t object_size, size_t most);
	repetition run[WORKLOADS];
	bool absent;
	struct series series[WORKLOADS];
};

#define ROW(peer)                    \
	{.name = #peer,              \
	 .open = peer_##peer##_open, \
	 .run = {pair_##peer, batch1k_##peer, batch100k_##peer, bulk32_##peer}},
static struct peer peers[] = {PEERS(ROW)};

static const char *const workloads[WORKLOADS] = {"pair", "batch1k", "batch100k", "bulk32"};

#define PEERS_N (sizeof peers / sizeof *peers)

static void open_peers(size_t object_size)
{
	for (size_t i = 0; i < PEERS_N; i++) {
		peers[i].absent = !peers[i].open(object_size, BATCH_LARGE);
		if (peers[i].absent)
			fprintf(stderr, "bench: %s is not installed here: skipped\n",
				peers[i].name);
	}
}

static void measure(unsigned rounds)
{
	for (int workload = 0; workload < WORKLOADS; workload++) {
		for (size_t i = 0; i < PEERS_N; i++)
			if (!peers[i].absent)
				peers[i].run[workload](); /* warm */
		for (unsigned round = 0; round < rounds; round++)
			for (size_t i = 0; i < PEERS_N; i++)
				peers[i].series[workload].ns[round] =
					peers[i].absent ? NAN : undisturbed(peers[i].run[workload]);
	}
}

/* ---------------------------------------------------------------- what is told */

static void print_cell(struct figure figure)
{
	if (!figure.clean)
		printf("%12s", "-");
	else
		printf("%11.2f%c", figure.ns, figure.clean < ROUNDS_FEW ? '?' : ' ');
}

static void print_ratio(double ratio)
{
	if (isnan(ratio))
		printf("%12s", "-");
	else
		printf("%12.2f", ratio);
}

static void print_peer(const struct peer *peer, unsigned rounds)
{
	printf("%-12s", peer->name);
	for (int workload = 0; workload < WORKLOADS; workload++)
		print_cell(series_median(&peer->series[workload], rounds));
	for (int workload = 0; workload < WORKLOADS; workload++)
		print_ratio(
			series_ratio(&peers[0].series[workload], &peer->series[workload], rounds));
	putchar('\n');
}

static void print_table(const struct options *options)
{
	printf("\nOne thread, %zu bytes: ns for an object's alloc, touch and free; then slabd "
	       "inlined over the peer\n\n%-12s",
	       options->object_size, "");
	for (int workload = 0; workload < 2 * WORKLOADS; workload++)
		printf("%11s ", workloads[workload % WORKLOADS]);
	putchar('\n');
	for (size_t i = 0; i < PEERS_N; i++)
		if (!peers[i].absent)
			print_peer(&peers[i], options->rounds);
	printf("(medians of %u rounds, peers in turn; ?: fewer than %d were undisturbed)\n",
	       options->rounds, ROUNDS_FEW);
}

static void print_json(const struct options *options)
{
	printf("{\"object_size\":%zu,\"rounds\":%u,\"workloads\":[", options->object_size,
	       options->rounds);
	for (int workload = 0; workload < WORKLOADS; workload++) {
		const char *comma = "";

		printf("%s{\"name\":\"%s\",\"peers\":[", workload ? "," : "", workloads[workload]);
		for (size_t i = 0; i < PEERS_N; i++) {
			struct figure figure =
				series_median(&peers[i].series[workload], options->rounds);

			if (!figure.clean)
				continue;
			printf("%s{\"name\":\"%s\",\"ns\":%.3f,\"clean\":%u}", comma, peers[i].name,
			       figure.ns, figure.clean);
			comma = ",";
		}
		printf("]}");
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct options options = bench_options(argc, argv);

	order_small = calloc(BATCH_SMALL, sizeof *order_small);
	order_large = calloc(BATCH_LARGE, sizeof *order_large);
	objects = calloc(BATCH_LARGE, sizeof *objects);
	if (!order_small || !order_large || !objects)
		fail("memory");
	shuffle(order_small, BATCH_SMALL);
	shuffle(order_large, BATCH_LARGE);
	pin_to(0);
	open_peers(options.object_size);
	measure(options.rounds);
	if (options.json)
		print_json(&options);
	else
		print_table(&options);
	return 0;
}
