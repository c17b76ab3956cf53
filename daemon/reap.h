/* Giving memory back: surplus magazines to slabs, empty slabs to extents, extents to the system. */
#ifndef DAEMON_REAP_H
#define DAEMON_REAP_H

#include "daemon/pool.h"
#include "daemon/registry.h"

/* Once a second, and every 15 seconds. */
void reap_tick(struct cache *cache);
void reap_periodic(struct cache *cache);

/* Shrinks one cache, or all (cache NULL), as a job: every round in the depot goes back, every empty
 * slab is given up at once.  done gets the result, *bytes what the system got back. */
typedef void (*shrink_fn)(void *arg, const struct result *result, uint64_t bytes);
void reap_shrink(struct pool *pool, struct cache *cache, shrink_fn done, void *waiter);

#endif
