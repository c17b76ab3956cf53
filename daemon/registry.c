/* The registry.
 *
 * A descriptor in the catalog is filled first and made real by one store of its state word; the
 * open and ever bits of a client stand in the state region.  The worker's struct cache is rebuilt
 * from these.  Create and destroy record (client, sequence) in the descriptor, in the store that
 * makes them real or before it: a client that repeats the request after the worker's death gets the
 * answer that the dead worker owed it. */
#include "daemon/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clients.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/refill.h"
#include "daemon/release.h"
#include "daemon/slab.h"

/* ---------------------------------------------------------------- who has what open */

enum bitmap { OPEN, EVER };

static _Atomic uint64_t *bitmap_word(const struct pool *pool, enum bitmap which, uint32_t client,
				     uint32_t id)
{
	struct state_head *head = (struct state_head *)(void *)pool->segment.state;
	char *at = pool->segment.state + (which == OPEN ? head->open : head->ever);

	return (_Atomic uint64_t *)(void *)(at + (uint64_t)head->bitmap_bytes * client) + id / 64;
}

static bool bit_get(const struct pool *pool, enum bitmap which, uint32_t client, uint32_t id)
{
	return load_relaxed(bitmap_word(pool, which, client, id)) >> id % 64 & 1;
}

static void bit_set(const struct pool *pool, enum bitmap which, uint32_t client, uint32_t id,
		    bool to)
{
	_Atomic uint64_t *word = bitmap_word(pool, which, client, id);
	uint64_t bit = UINT64_C(1) << id % 64, now = load_relaxed(word);

	store_relaxed(word, to ? now | bit : now & ~bit);
}

bool registry_bits_agree(const struct pool *pool, uint32_t client)
{
	for (uint32_t id = 0; id <= pool->segment.max_caches; id += 64)
		if (load_relaxed(bitmap_word(pool, OPEN, client, id)) &
		    ~load_relaxed(bitmap_word(pool, EVER, client, id)))
			return false;
	return true;
}

struct cache *registry_next_ever(struct pool *pool, uint32_t client, uint32_t *next)
{
	for (; *next <= pool->segment.max_caches; ++*next) {
		uint64_t rest = load_relaxed(bitmap_word(pool, EVER, client, *next)) >> *next % 64;

		if (!rest)
			*next |= 63; /* the loop's step leads to the next word */
		else if (rest & 1 && pool->caches[*next])
			return pool->caches[(*next)++];
	}
	return NULL;
}

static void enter(struct cache *cache, uint32_t client)
{
	if (!client || bit_get(cache->pool, OPEN, client, cache->view.id))
		return;
	bit_set(cache->pool, EVER, client, cache->view.id, true);
	bit_set(cache->pool, OPEN, client, cache->view.id, true);
	cache->pool->threads_epoch++;
	cache->opens++;
}

static void leave(struct cache *cache, uint32_t client)
{
	if (!client || !bit_get(cache->pool, OPEN, client, cache->view.id))
		return;
	bit_set(cache->pool, OPEN, client, cache->view.id, false);
	cache->pool->threads_epoch++;
	cache->opens--;
	release_if_unused(cache);
}

/* The client's entry in the bitmaps is clean: its sweep is over. */
void registry_close_all(struct pool *pool, uint32_t client)
{
	uint32_t next = 1;
	struct cache *cache;

	while ((cache = registry_next_ever(pool, client, &next))) {
		leave(cache, client);
		bit_set(pool, EVER, client, cache->view.id, false);
	}
}

static uint32_t count_threads(const struct cache *cache)
{
	struct pool *pool = cache->pool;
	uint32_t threads = 0;

	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++) {
		const struct client_record *record = clients_record(pool, id);

		if (clients_is_attached(pool, id) && bit_get(pool, OPEN, id, cache->view.id))
			threads += record->threads ? record->threads : 1;
	}
	return threads;
}

uint32_t registry_threads(struct cache *cache)
{
	if (cache->threads_epoch != cache->pool->threads_epoch) {
		cache->threads = count_threads(cache);
		cache->threads_epoch = cache->pool->threads_epoch;
	}
	return cache->threads;
}

/* ---------------------------------------------------------------- the private view */

static struct cache *cache_new(struct pool *pool, uint32_t id)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->pool = pool;
	segment_cache(&pool->segment, id, &cache->view);
	cache->serial = cache->view.desc->serial;
	cache->unlinked = load_relaxed(&cache->view.desc->state) != CACHE_LIVE;
	slab_lists_init(cache);
	pool->caches[id] = cache;
	if (!cache->unlinked) {
		HASH_ADD_KEYPTR(hh, pool->by_name, cache->view.desc->name,
				strlen(cache->view.desc->name), cache);
		pool->caches_live++;
	}
	return cache;
}

int registry_open(struct pool *pool)
{
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++) {
		struct cache *cache;

		if (load_acquire(&pool->segment.descriptors[id].state) == CACHE_FREE)
			continue;
		cache = cache_new(pool, id);
		if (!cache)
			return -ENOMEM;
		for (uint32_t c = PARTY_FIRST; c < pool->segment.max_clients + PARTY_FIRST; c++)
			cache->opens +=
				load_relaxed(&clients_record(pool, c)->state) != CLIENT_FREE &&
				bit_get(pool, OPEN, c, id);
	}
	return 0;
}

struct cache *registry_by_name(struct pool *pool, const char *name)
{
	struct cache *cache;

	HASH_FIND(hh, pool->by_name, name, strlen(name), cache);
	return cache;
}

/* ---------------------------------------------------------------- create and open */

bool registry_is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < NAME_BYTES &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
		       n;
}

#define FAIL(result, code, ...) \
	(snprintf((result)->why, sizeof((result)->why), __VA_ARGS__), (result)->status = (code))

/* Ids are used in turn, so that a stale handle long names a cache that is not there. */
static uint32_t free_id(struct pool *pool)
{
	uint32_t max = pool->segment.max_caches;

	for (uint32_t i = 0; i < max; i++) {
		uint32_t id = (pool->next_cache_id + i) % max + 1;

		if (!pool->caches[id]) {
			pool->next_cache_id = id;
			return id;
		}
	}
	return 0;
}

/* Fills the descriptor; the store of its state makes the cache real. */
static void describe(struct pool *pool, uint32_t id, const char *name,
		     const struct geometry *geometry, uint32_t client, uint64_t sequence)
{
	struct cache_desc *desc = &pool->segment.descriptors[id];

	store_relaxed(&desc->racks, 0);
	desc->serial = load_relaxed(&pool->segment.super->next_serial);
	store_relaxed(&pool->segment.super->next_serial, desc->serial + 1);
	memset(desc->name, 0, sizeof(desc->name));
	memcpy(desc->name, name, strlen(name));
	desc->geometry = *geometry;
	desc->maker = client;
	desc->maker_sequence = sequence;
	desc->breaker = 0;
	desc->breaker_sequence = 0;
	store_relaxed(&desc->surplus, 0);
	store_relaxed(&desc->batch, 0);
	store_release(&desc->state, CACHE_LIVE);
}

static int open_existing(struct cache *cache, uint32_t client, uint64_t sequence,
			 const struct geometry_request *request, struct cache **ret,
			 struct result *result)
{
	const struct geometry *g = &cache->view.geometry;
	struct cache_desc *desc = cache->view.desc;
	bool repeated = client && desc->maker == client && desc->maker_sequence == sequence;

	if (!geometry_matches(g, request))
		return FAIL(result, -EINVAL,
			    "cache \"%s\" exists with object size %u, align %u, flags 0x%x, "
			    "magazine %u; asked for size "
			    "%llu, align %llu, flags 0x%x, magazine %u. Open it as it is, or "
			    "choose another name",
			    desc->name, g->object_size, g->align, g->flags, g->capacity,
			    (unsigned long long)request->object_size,
			    (unsigned long long)request->align, request->flags, request->magazine);
	if (request->flags & GEOMETRY_EXCLUSIVE && !repeated)
		return FAIL(result, -EEXIST,
			    "cache \"%s\" exists (id %u); without the exclusive flag it would be "
			    "opened",
			    desc->name, cache->view.id);
	enter(cache, client);
	*ret = cache;
	return 0;
}

static void tell(struct cache *cache, enum event_kind kind, const char *what)
{
	struct happening event = {.kind = kind};

	memcpy(event.cache, cache->view.desc->name, sizeof(event.cache));
	events_add(cache->pool, &event, "cache \"%s\" %s: id %u, objects of %u bytes", event.cache,
		   what, cache->view.id, cache->view.geometry.object_size);
}

int registry_create(struct pool *pool, uint32_t client, uint64_t sequence, const char *name,
		    const struct geometry_request *request, struct cache **ret,
		    struct result *result)
{
	struct geometry geometry;
	struct cache *cache;
	char why[WHY_BYTES / 2];
	uint32_t id;

	*result = (struct result){0};
	if (!registry_is_name(name))
		return FAIL(result, -EINVAL,
			    "cache name \"%.80s\": must be 1 to %u characters of A-Z a-z 0-9 _ . -",
			    name, NAME_BYTES - 1);
	if (geometry_make(&geometry, request, pool->segment.heap_bytes, pool->segment.max_racks,
			  why, sizeof(why)) < 0)
		return FAIL(result, -EINVAL, "cache \"%s\": %s", name, why);
	cache = registry_by_name(pool, name);
	if (cache)
		return open_existing(cache, client, sequence, request, ret, result);
	id = free_id(pool);
	if (!id && release_one_now(pool))
		id = free_id(pool);
	if (!id)
		return FAIL(result, -ENOSPC,
			    "cache \"%s\": %u of %u caches exist; raise max-caches or destroy one "
			    "(slabctl caches)",
			    name, pool->segment.max_caches, pool->segment.max_caches);
	describe(pool, id, name, &geometry, client, sequence);
	cache = cache_new(pool, id);
	if (!cache) {
		store_release(&pool->segment.descriptors[id].state, CACHE_FREE);
		return FAIL(result, -ENOMEM, "cache \"%s\": slabd itself has no memory", name);
	}
	enter(cache, client);
	if (refill_racks(cache) < 0)
		log_warning("cache %s: no room for its first magazines", name);
	log_info("cache %s created: id %u, object size %u, stride %u, slab %llu KiB of %u objects",
		 name, id, geometry.object_size, geometry.stride,
		 (unsigned long long)geometry_slab_bytes(&geometry) >> 10, geometry.objects);
	tell(cache, EVENT_CACHE_CREATED, "created");
	*ret = cache;
	return 0;
}

int registry_find(struct pool *pool, uint32_t client, uint32_t id, uint64_t serial,
		  struct cache **ret, struct result *result)
{
	struct cache *cache = id && id <= pool->segment.max_caches ? pool->caches[id] : NULL;

	*result = (struct result){0};
	if (!cache || cache->serial != serial || cache->releasing)
		return FAIL(result, -ESTALE,
			    "cache id %u, serial %llu: destroyed; create it or open it anew", id,
			    (unsigned long long)serial);
	if (client && !bit_get(pool, OPEN, client, id))
		return FAIL(result, -ENOENT, "cache \"%s\": client %u has not opened it",
			    cache->view.desc->name, client);
	*ret = cache;
	return 0;
}

int registry_open_cache(struct pool *pool, uint32_t client, const char *name, uint32_t id,
			uint64_t serial, struct cache **ret, struct result *result)
{
	struct cache *cache;

	*result = (struct result){0};
	if (serial) {
		int r = registry_find(pool, 0, id, serial, &cache, result);

		if (r < 0)
			return r;
	} else {
		cache = registry_by_name(pool, name);
		if (!cache)
			return FAIL(result, -ENOENT,
				    "cache \"%.80s\": there is none; see slabctl caches, or make "
				    "it with: slabctl "
				    "create %.63s --size BYTES",
				    name, name);
	}
	enter(cache, client);
	*ret = cache;
	return 0;
}

int registry_close(struct pool *pool, uint32_t client, uint32_t id, uint64_t serial,
		   struct result *result)
{
	struct cache *cache;
	int r = registry_find(pool, client, id, serial, &cache, result);

	if (r == 0)
		leave(cache, client);
	return r;
}

/* ---------------------------------------------------------------- destroy */

struct destroy_job {
	struct job job;
	uint32_t client, id;
	uint64_t sequence, serial;
	uint32_t unit;
	uint64_t live; /* that stand in the way */
	result_fn done;
};

static void count_slab(struct destroy_job *d, const struct cache *cache, slab_ref first)
{
	const struct geometry *g = &cache->view.geometry;

	for (uint32_t i = 0; i < g->objects; i++) {
		uint32_t tag =
			load_relaxed(cache_tag(&cache->view, first + i * (g->stride >> REF_SHIFT)));
		bool mine = tag_owner(tag) == d->client && g->flags & GEOMETRY_RECLAIM;

		d->live += tag_state(tag) == TAG_LIVE && !mine;
	}
}

static bool destroy_step(struct job *job, uint64_t deadline)
{
	struct destroy_job *d = (struct destroy_job *)job;
	struct pool *pool = job->pool;
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);
	struct cache *cache = pool->caches[d->id];

	if (!cache || cache->serial != d->serial)
		return true;
	for (; d->unit < units; d->unit++) {
		if (load_relaxed(&pool->segment.slab_table[d->unit]) != cache->view.word)
			continue;
		count_slab(d, cache, d->unit << (UNIT_SHIFT - REF_SHIFT));
		if (pool_now() > deadline) {
			d->unit++;
			return false;
		}
	}
	return true;
}

static void unlink_cache(struct cache *cache, uint32_t client, uint64_t sequence)
{
	struct cache_desc *desc = cache->view.desc;

	desc->breaker = client;
	desc->breaker_sequence = sequence;
	store_release(&desc->state, CACHE_UNLINKED);
	cache->unlinked = true;
	HASH_DEL(cache->pool->by_name, cache);
	cache->pool->caches_live--;
	log_info("cache %s destroyed: id %u; %u clients still have it open", desc->name,
		 cache->view.id, cache->opens);
	tell(cache, EVENT_CACHE_DESTROYED, "destroyed");
	release_if_unused(cache);
}

static void destroy_finish(struct job *job)
{
	struct destroy_job *d = (struct destroy_job *)job;
	struct result result = {0};
	struct cache *cache;

	job_result(job, &result);
	if (result.status == 0 &&
	    registry_find(job->pool, d->client, d->id, d->serial, &cache, &result) == 0) {
		if (d->live && !cache->unlinked)
			FAIL(&result, -EBUSY,
			     "cache \"%s\": %llu objects are live or orphaned; free them first "
			     "(slabctl clients and slabctl orphans show whose they are)",
			     cache->view.desc->name, (unsigned long long)d->live);
		else if (!cache->unlinked)
			unlink_cache(cache, d->client, d->sequence);
	}
	if (job->waiter)
		d->done(job->waiter, &result);
	free(d);
}

/* Was this very request carried out by a worker that died before it answered? */
static bool was_destroyed_by(const struct cache *cache, uint32_t client, uint64_t sequence)
{
	const struct cache_desc *desc = cache->view.desc;

	return cache->unlinked && client && desc->breaker == client &&
	       desc->breaker_sequence == sequence;
}

void registry_destroy(struct pool *pool, uint32_t client, uint64_t sequence, const char *name,
		      uint32_t id, uint64_t serial, result_fn done, void *waiter)
{
	struct destroy_job *d;
	struct cache *cache = NULL;
	struct result result = {0};
	int r;

	r = serial ? registry_find(pool, 0, id, serial, &cache, &result)
		   : registry_open_cache(pool, 0, name, 0, 0, &cache, &result);
	if (r == 0 && was_destroyed_by(cache, client, sequence)) {
		done(waiter, &result);
		return;
	}
	d = r == 0 ? calloc(1, sizeof(*d)) : NULL;
	if (!d) {
		if (r == 0)
			FAIL(&result, -ENOMEM, "cache \"%s\": slabd itself has no memory",
			     cache->view.desc->name);
		done(waiter, &result);
		return;
	}
	*d = (struct destroy_job){
		.job = {.pool = pool,
			.step = destroy_step,
			.finish = destroy_finish,
			.waiter = waiter},
		.client = client,
		.sequence = sequence,
		.id = cache->view.id,
		.serial = cache->serial,
		.unit = EXTENT_UNITS,
		.done = done,
	};
	job_add(pool, &d->job);
}
