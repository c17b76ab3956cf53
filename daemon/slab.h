/* The slabs of one cache: carved, emptied into magazines, refilled from them, given back. */
#ifndef DAEMON_SLAB_H
#define DAEMON_SLAB_H

#include "daemon/pool.h"
#include "daemon/registry.h"

struct slab {
	TAILQ_ENTRY(slab) link;
	uint32_t unit;	   /* its first */
	uint32_t free;	   /* objects in the slab, by bitmap */
	uint32_t bucket;   /* list that it is on */
	uint64_t bitmap[]; /* a bit an object: in the slab */
};

/* The lists of a cache that has no slab yet. */
void slab_lists_init(struct cache *cache);

/* Rebuilds the lists of all caches from slab table and tags.  Only after the magazines of party 1
 * were repaired and FREEING(1) was swept: only then does a tag that says SLAB mean it. */
int slab_open(struct pool *pool);

/* The slab that an object's ref lies in; NULL if it is none of the cache's. */
struct slab *slab_find(const struct cache *cache, slab_ref ref);

/* Carves a new slab: backed memory, tags written, then entered in the slab table.  -ENOMEM. */
int slab_carve(struct cache *cache);

/* The next objects to hand out: fullest slab first, at most n of them, all of one slab, by falling
 * address (a magazine is popped from its top).  They are no longer listed; their tags still say
 * SLAB.  Returns how many; 0 if no slab has any. */
uint32_t slab_take(struct cache *cache, slab_ref *refs, uint32_t n);

/* An object's tag says SLAB again: lists it.  False (and nothing done) if it was listed. */
bool slab_return(struct cache *cache, slab_ref ref);

/* Gives up empty slabs but keep of them; with now, their memory at once.  Bytes that the system got
 * back now. */
uint64_t slab_release_empty(struct cache *cache, uint32_t keep, bool now);

/* Gives up a slab whatever is in it: only for a cache that nobody has open. */
uint64_t slab_release(struct cache *cache, struct slab *slab, bool now);

#endif
