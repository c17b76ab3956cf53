/* Moving rounds between slabs and depot, in magazines that name the daemon. */
#ifndef DAEMON_REFILL_H
#define DAEMON_REFILL_H

#include "daemon/pool.h"
#include "daemon/registry.h"

/* A client's refill: puts full magazines into the depot (and, with empty, racks more empty ones).
 * 0: look again.  -ENOMEM: the heap is full and the depot dry. */
int refill_request(struct pool *pool, struct cache *cache, uint32_t objects, bool empty,
		   struct result *result);

/* A client's doorbell, or the tick: brings the depot back over its low water. */
void refill_doorbell(struct cache *cache);

/* Racks enough magazines for all objects at once, plus two for each thread (I-7). */
int refill_racks(struct cache *cache);

/* Returns the rounds of up to magazines FULL magazines with at most count_max rounds each to their
 * slabs; how many magazines that were. */
uint32_t refill_drain(struct cache *cache, uint32_t magazines, uint32_t count_max);

/* FULL or EMPTY magazines, as the hints have it. */
uint32_t refill_count(const struct cache *cache, uint32_t state);

#endif
