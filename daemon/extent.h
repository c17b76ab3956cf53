/* The heap's extents: 2 MiB pieces that are backed, carved into slabs' units, and given back. */
#ifndef DAEMON_EXTENT_H
#define DAEMON_EXTENT_H

#include "daemon/pool.h"

struct limbo {
	TAILQ_ENTRY(limbo) link;
	uint32_t unit, units;
	uint64_t since; /* ns */
};

/* Rebuilds the map from the slab table, and gives back what no slab uses. */
int extent_open(struct pool *pool);
void extent_close(struct pool *pool);

/* A naturally aligned run of units, backed.  Its first unit in *ret; -ENOMEM. */
int extent_alloc(struct pool *pool, uint32_t slab_shift, uint32_t *ret);

/* A slab's units, after its word left the slab table: reused and given back to the system a second
 * later, or with now at once.  Returns the bytes that the system got back now. */
uint64_t extent_free(struct pool *pool, uint32_t unit, uint32_t slab_shift, bool now);

/* Frees what has been in limbo for a second; with all, everything in it. */
uint64_t extent_expire(struct pool *pool, bool all);

#endif
