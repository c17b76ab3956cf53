/* Caches by name and id; who has them open; creation and destruction. */
#ifndef DAEMON_REGISTRY_H
#define DAEMON_REGISTRY_H

#include <uthash.h>

#include "daemon/pool.h"

TAILQ_HEAD(slab_list, slab);

#define SLAB_BUCKETS 8

/* The worker's own view of a cache; everything in it is rebuilt from the segment at start. */
struct cache {
	/* identity */
	UT_hash_handle hh; /* by name */
	struct pool *pool;
	struct cache_view view;
	uint64_t serial;
	uint32_t opens; /* clients that have it open */
	bool unlinked;	/* the name is gone; the memory goes with the last closer */
	bool releasing;

	/* slab layer (slab.c) */
	struct slab_list full;			/* no object in the slab */
	struct slab_list partial[SLAB_BUCKETS]; /* the fullest in 0 */
	struct slab_list empty;			/* all objects in the slab */
	uint64_t slabs, in_slabs;

	/* depot (refill.c) */
	uint32_t empty_cursor, full_cursor;
	uint32_t batch;	    /* magazines of the next fill */
	uint64_t filled_at; /* ns; fills in quick succession grow the batch */
	uint64_t refills;
	uint32_t threads; /* registry_threads, when the pool's epoch was this */
	uint64_t threads_epoch;
};

/* Rebuilds the registry from the catalog. */
int registry_open(struct pool *pool);

/* Makes the cache for client (0: an observer), or opens it if the name exists and matches.  The
 * sequence number of the request makes a repetition after a worker's death recognisable.  0 and the
 * cache; or -EINVAL, -EEXIST (with GEOMETRY_EXCLUSIVE), -ENOSPC. */
int registry_create(struct pool *pool, uint32_t client, uint64_t sequence, const char *name,
		    const struct geometry_request *request, struct cache **ret,
		    struct result *result);

/* Opens by name (serial 0), or again by id and serial.  0; -ENOENT, -ESTALE. */
int registry_open_cache(struct pool *pool, uint32_t client, const char *name, uint32_t id,
			uint64_t serial, struct cache **ret, struct result *result);

/* The cache that id and serial name, if client (0: anyone) has it open: -ESTALE, -ENOENT if not. */
int registry_find(struct pool *pool, uint32_t client, uint32_t id, uint64_t serial,
		  struct cache **ret, struct result *result);

/* The cache that a word of the slab table names; NULL: none, as in a damaged file. */
static inline struct cache *registry_of_word(const struct pool *pool, uint32_t word)
{
	uint32_t id = slab_word_cache(word);
	struct cache *cache = id <= pool->segment.max_caches ? pool->caches[id] : NULL;

	return cache && cache->view.word == word ? cache : NULL;
}

/* 1 to 63 characters of A-Z a-z 0-9 _ . - */
bool registry_is_name(const char *name);

/* Whatever the client has open it also opened once. */
bool registry_bits_agree(const struct pool *pool, uint32_t client);

/* By name, among those that have one: NULL if there is none. */
struct cache *registry_by_name(struct pool *pool, const char *name);

/* client closes; the last closer of an unlinked cache gives its memory back. */
int registry_close(struct pool *pool, uint32_t client, uint32_t id, uint64_t serial,
		   struct result *result);

/* Takes the name away; the memory goes with the last closer.  A job, as the objects must be counted:
 * -EBUSY while some are live or orphaned, unless they are the caller's in a RECLAIM cache.  By name
 * for an observer (client 0, serial 0).  0 for a cache that has lost its name already. */
void registry_destroy(struct pool *pool, uint32_t client, uint64_t sequence, const char *name,
		      uint32_t id, uint64_t serial, result_fn done, void *waiter);

/* The client is gone, its sweep over: closes all that it had open. */
void registry_close_all(struct pool *pool, uint32_t client);

/* Threads of the clients that have the cache open, at least one each. */
uint32_t registry_threads(struct cache *cache);

/* For each cache that the client ever opened under this id: may skip from *next on; NULL: no more. */
struct cache *registry_next_ever(struct pool *pool, uint32_t client, uint32_t *next);

#endif
