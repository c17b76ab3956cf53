/* Snapshots for people: figures at once, and the census, which walks the whole segment as a job. */
#ifndef DAEMON_STATS_H
#define DAEMON_STATS_H

#include "daemon/pool.h"
#include "daemon/registry.h"
#include "shm/audit.h"

struct stats {
	const char *backing, *backing_why;
	uint64_t heap_bytes, heap_used_bytes; /* used: backed extents */
	uint64_t memory_bytes; /* what the system counts for catalog, depot and heap */
	uint32_t caches, clients, worker_restarts, max_caches, max_clients;
	uint64_t uptime_ms, refills, refill_wait_us_p99;
	bool damaged;
};

void stats_get(struct pool *pool, struct stats *ret);

/* What a census found.  Valid only during the callback. */
struct census {
	const struct audit_count *caches; /* by cache id */
	const uint64_t *live;		  /* by client id: objects LIVE of it */
	const uint64_t *rounds;		  /* by client id: rounds in magazines it holds */
	bool balanced;			  /* I-1 and I-2 hold */
	bool exact; /* nobody was in the middle of an operation, or it did not matter */
};

typedef void (*census_fn)(void *arg, const struct census *census);

/* strict: repeats until balanced, or until the same damage is seen twice (an audit); else one walk.
 * done gets NULL if there was no memory for it. */
void stats_census(struct pool *pool, bool strict, census_fn done, void *waiter);

/* Sums of a cache's counters. */
void stats_counters(const struct cache *cache, struct counters *ret);

/* A character a slab, by its address: '.' empty, '1' to '9' tenths in use, '#' full.  At most bytes
 * - 1 slabs; returns how many slabs there are. */
uint64_t stats_map(const struct cache *cache, char *map, size_t bytes);

void stats_wait(struct pool *pool, uint64_t microseconds);

#endif
