/* Snapshots for people: figures that are there at once.  What takes a walk: daemon/census.h. */
#ifndef DAEMON_STATS_H
#define DAEMON_STATS_H

#include "daemon/pool.h"
#include "daemon/registry.h"

struct stats {
	const char *backing, *backing_why;
	uint64_t heap_bytes, heap_used_bytes; /* used: backed extents */
	uint64_t memory_bytes; /* what the system counts for catalog, depot and heap */
	uint32_t caches, clients, worker_restarts, max_caches, max_clients;
	uint64_t uptime_ms, refills, refill_wait_us_p99;
	bool damaged;
};

void stats_get(struct pool *pool, struct stats *ret);

/* Sums of a cache's counters. */
void stats_counters(const struct cache *cache, struct counters *ret);

/* A character a slab, by its address: '.' empty, '1' to '9' tenths in use, '#' full.  At most bytes
 * - 1 slabs; returns how many slabs there are. */
uint64_t stats_map(const struct cache *cache, char *map, size_t bytes);

void stats_wait(struct pool *pool, uint64_t microseconds);

#endif
