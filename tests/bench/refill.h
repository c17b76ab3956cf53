/* slabd's slow tiers: what an alloc costs when its magazines come from the daemon or from the depot,
 * and how often an alloc had to wait for the daemon in all that this worker and its crew did. */
#ifndef BENCH_REFILL_H
#define BENCH_REFILL_H

#include "tests/bench/single.h"

static double refill_pass(struct slabd_cache *cache)
{
	uint64_t start = now_ns(), end;

	for (size_t i = 0; i < BATCH_LARGE; i++)
		objects[i] = slabd_alloc(cache, 0);
	end = now_ns();
	for (size_t i = 0; i < BATCH_LARGE; i++)
		slabd_free(cache, objects[i]);
	return (double)(end - start) / BATCH_LARGE;
}

/* Of 10,000 allocs of the worker's cache; 0 where slabctl can't be asked. */
static double refill_waits(void)
{
	const char *slabctl = getenv("SLABCTL_BIN");
	unsigned long long allocs = 0, frees, claims, refills, waits = 0;
	char command[512], line[256];
	FILE *pipe;

	snprintf(command, sizeof command, "'%s' cache bench-%zu-%d", slabctl ? slabctl : "slabctl",
		 peer_size, peer_opener);
	pipe = popen(command, "r");
	while (pipe && fgets(line, sizeof line, pipe))
		sscanf(line,
		       "traffic %llu allocs, %llu frees, %llu claims, %llu refills, %llu waits",
		       &allocs, &frees, &claims, &refills, &waits);
	if (pipe)
		pclose(pipe);
	return allocs ? 10000.0 * (double)waits / (double)allocs : 0;
}

static void refill(double *ret)
{
	struct slabd_cache_args args = {.size_of_args = sizeof args, .object_size = peer_size};
	struct slabd_cache *cache;
	char name[64];

	snprintf(name, sizeof name, "bench-fresh-%zu-%d", peer_size, peer_opener);
	if (slabd_cache_create(peer_slabd, name, &args, &cache) < 0)
		peer_fail("slabd_cache_create");
	ret[0] = refill_pass(cache);
	ret[1] = refill_pass(cache);
	ret[2] = refill_waits();
	slabd_cache_destroy(cache);
}

#endif
