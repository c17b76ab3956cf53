#include "daemon/stats.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/clients.h"
#include "daemon/slab.h"

void stats_wait(struct pool *pool, uint64_t microseconds)
{
	unsigned bucket = microseconds ? 64 - (unsigned)__builtin_clzll(microseconds) : 0;

	if (bucket > 39)
		bucket = 39;
	pool->refill_wait.buckets[bucket]++;
}

/* The upper edge of the bucket in which the p99 falls. */
static uint64_t wait_p99(const struct histogram *histogram)
{
	uint64_t total = 0, seen = 0;

	for (int i = 0; i < 40; i++)
		total += histogram->buckets[i];
	for (int i = 0; i < 40; i++) {
		seen += histogram->buckets[i];
		if (total && seen * 100 >= total * 99)
			return i ? UINT64_C(1) << i : 0;
	}
	return 0;
}

static uint64_t boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void stats_get(struct pool *pool, struct stats *ret)
{
	const struct state_head *head =
		(const struct state_head *)(const void *)pool->segment.state;

	*ret = (struct stats){
		.backing = backing_name(pool->backing.kind),
		.backing_why = pool->backing.why,
		.heap_bytes = pool->segment.heap_bytes,
		.heap_used_bytes = (uint64_t)pool->extents.backed_count * EXTENT_BYTES,
		.memory_bytes = backing_bytes(pool->backing.catalog) +
				backing_bytes(pool->backing.depot) +
				backing_bytes(pool->backing.heap),
		.caches = pool->caches_live,
		.clients = pool->clients_attached,
		.worker_restarts = pool->restarts,
		.max_caches = pool->segment.max_caches,
		.max_clients = pool->segment.max_clients,
		.uptime_ms = boot_ms() - head->started_at_ms,
		.refills = pool->refills,
		.refill_wait_us_p99 = wait_p99(&pool->refill_wait),
		.damaged = pool_is_damaged(pool),
	};
}

struct sum {
	const struct cache *cache;
	struct counters *to;
};

static void add_stripes(void *arg)
{
	const struct sum *sum = arg;

	for (unsigned i = 0; i < COUNTER_STRIPES; i++) {
		struct counters *c = &sum->cache->view.control->counters[i];

		sum->to->allocs += load_relaxed(&c->allocs);
		sum->to->frees += load_relaxed(&c->frees);
		sum->to->claims += load_relaxed(&c->claims);
		sum->to->refills += load_relaxed(&c->refills);
		sum->to->waits += load_relaxed(&c->waits);
	}
}

/* Guarded by itself: a job's finish calls it, and one that a hole ended would answer nobody. */
void stats_counters(const struct cache *cache, struct counters *ret)
{
	struct sum sum = {cache, ret};

	*ret = (struct counters){0};
	pool_guarded(cache->pool, add_stripes, &sum);
}

static char slab_character(const struct cache *cache, const struct slab *slab)
{
	uint32_t objects = cache->view.geometry.objects, used = objects - slab->free;

	if (used == 0)
		return '.';
	if (used == objects)
		return '#';
	return (char)('1' + used * 9 / objects);
}

uint64_t stats_map(const struct cache *cache, char *map, size_t bytes)
{
	struct pool *pool = cache->pool;
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);
	size_t n = 0;

	for (uint32_t unit = 0; unit < units && n + 1 < bytes; unit++)
		if (pool->slabs[unit] &&
		    load_relaxed(&pool->segment.slab_table[unit]) == cache->view.word)
			map[n++] = slab_character(cache, pool->slabs[unit]);
	map[n] = 0;
	return cache->slabs;
}
