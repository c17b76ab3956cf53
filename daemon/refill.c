/* Refill: rounds move between slabs and depot inside a magazine that names the daemon, in the same
 * order of steps as a client's (shm/magazine.h), so a worker killed half-way is repaired like any
 * client.
 *
 *	fill	(a) rounds[n] = ref; (b) tag SLAB -> CIRC; (c) count = n+1
 *	drain	(a) tag CIRC -> SLAB; (b) count = n-1; (c) rounds[n-1] = 0
 *
 * How much: a fill doubles the batch of magazines when the last one was a moment ago, and halves it
 * when it was long ago, between 2 (or what
 * settings.c says) and 64: so the share of allocs that meet the daemon falls with
 * the rate of allocs, and a cache that is used a little pins a little. */
#include "daemon/refill.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/settings.h"
#include "daemon/slab.h"
#include "shm/depot.h"

#define BATCH_QUICK_NS UINT64_C(50000000)
#define BATCH_SLOW_NS  UINT64_C(2000000000)
#define FILL_MAX_BYTES (UINT64_C(4) << 20) /* in one go: others wait meanwhile */
#define LOW_WATER      4u
/* Magazines racked beyond what I-7 asks for: threads that have not said that they exist. */
#define RACK_SPARE 16u

uint32_t refill_count(const struct cache *cache, uint32_t state)
{
	uint32_t racks = load_relaxed(&cache->view.desc->racks), n = 0;

	for (uint32_t rack = 0; rack < racks; rack++)
		n += (uint32_t)__builtin_popcountll(load_relaxed(&cache->view.hints[state][rack]));
	return n;
}

/* ---------------------------------------------------------------- racks */

static bool is_free_run(const struct pool *pool, uint64_t page, uint32_t pages)
{
	for (uint64_t i = page; i < page + pages; i++)
		if (pool->depot_used[i / 64] >> i % 64 & 1)
			return false;
	return true;
}

/* A free run of depot pages, aligned to itself; 0 if there is none (pages count from 1). */
static uint32_t take_pages(struct pool *pool, uint32_t pages)
{
	uint64_t last = pool->segment.super->depot_pages;

	for (uint64_t page = 0; page + pages <= last; page += pages) {
		if (pool->depot_used[page / 64] == UINT64_MAX) {
			page = (page / 64 + 1) * 64 - pages;
			continue;
		}
		if (!is_free_run(pool, page, pages))
			continue;
		for (uint64_t i = page; i < page + pages; i++)
			pool->depot_used[i / 64] |= UINT64_C(1) << i % 64;
		return (uint32_t)page + 1;
	}
	return 0;
}

/* All zeros, whatever a rack left there whose release was cut short. */
static void wipe_pages(struct pool *pool, uint32_t page, uint32_t pages)
{
	uint64_t offset = pool->segment.super->racks + (uint64_t)(page - 1) * PAGE_BYTES;

	if (backing_punch(pool->backing.depot, offset, (uint64_t)pages * PAGE_BYTES) < 0)
		memset(pool->segment.depot + offset, 0, (uint64_t)pages * PAGE_BYTES);
}

/* Publishes one more rack: all zeros, which is 64 empty magazines.  Its hints, then its place, then
 * the number of racks: whoever sees the number sees the rest. */
static int rack_add(struct cache *cache)
{
	uint32_t rack = load_relaxed(&cache->view.desc->racks);
	uint32_t pages = cache->view.geometry.magazine_bytes * RACK_MAGAZINES / PAGE_BYTES;
	uint32_t page;

	if (rack >= cache->pool->segment.max_racks)
		return -ENOMEM;
	page = take_pages(cache->pool, pages);
	if (!page)
		return -ENOMEM;
	wipe_pages(cache->pool, page, pages);
	store_relaxed(&cache->view.hints[MAGAZINE_FULL][rack], 0);
	store_relaxed(&cache->view.hints[MAGAZINE_EMPTY][rack], UINT64_MAX);
	store_relaxed(&cache->view.rack_table[rack], page);
	store_release(&cache->view.desc->racks, rack + 1);
	return 0;
}

int refill_racks(struct cache *cache)
{
	const struct geometry *g = &cache->view.geometry;
	uint64_t objects = cache->slabs * g->objects;
	uint64_t need = (objects + g->capacity - 1) / g->capacity + 2ull * registry_threads(cache) +
			RACK_SPARE;

	while ((uint64_t)load_relaxed(&cache->view.desc->racks) * RACK_MAGAZINES < need)
		if (rack_add(cache) < 0)
			return -ENOMEM;
	return 0;
}

/* ---------------------------------------------------------------- fill */

/* The heap is full: other caches' empty slabs, which they keep for later, serve this one now. */
static void borrow(struct pool *pool)
{
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++)
		if (pool->caches[id] && !pool->caches[id]->releasing)
			slab_release_empty(pool->caches[id], 0, true);
}

/* Makes sure that some slab has objects to give. */
static int ensure_objects(struct cache *cache)
{
	int r;

	if (cache->in_slabs)
		return 0;
	r = slab_carve(cache);
	if (r == -ENOMEM) {
		borrow(cache->pool);
		r = slab_carve(cache);
	}
	if (r == 0)
		r = refill_racks(cache); /* before a ref of the new slab is racked: I-7 */
	return r;
}

/* Adds up to capacity rounds to a magazine that we hold. */
static void fill_magazine(struct cache *cache, struct magazine *magazine)
{
	uint32_t n = magazine_count(magazine), capacity = cache->view.geometry.capacity;
	slab_ref refs[MAGAZINE_ROUNDS_MAX];

	if (n > capacity) {
		pool_damage(cache->pool, "an empty magazine's count was over its capacity");
		n = 0;
	}
	while (n < capacity && ensure_objects(cache) == 0) {
		uint32_t taken = slab_take(cache, refs, capacity - n);

		if (!taken)
			break;
		for (uint32_t i = 0; i < taken; i++) {
			slab_tag *tag = cache_tag(&cache->view, refs[i]);
			uint32_t seen = load_relaxed(tag);

			if (tag_state(seen) != TAG_SLAB) {
				/* not ours to hand out: it stays where its tag says */
				pool_damage(cache->pool, "an object in its slab had another tag");
				continue;
			}
			store_relaxed(&magazine->rounds[n], refs[i]);
			atomic_step();
			store_relaxed(tag, tag_make(PARTY_NONE, TAG_CIRC, tag_generation(seen)));
			atomic_step();
			store_relaxed(&magazine->count, ++n);
			atomic_step();
		}
	}
}

/* Fills up to magazines empty ones; how many have rounds now. */
static uint32_t fill(struct cache *cache, uint32_t magazines)
{
	uint32_t filled = 0;

	while (filled < magazines) {
		struct claim claim;
		bool any;

		if (ensure_objects(cache) < 0)
			break;
		cache->empty_cursor =
			0; /* the lowest, so that few of the depot's pages are touched */
		claim = depot_claim(&cache->view, MAGAZINE_EMPTY, PARTY_DAEMON, UINT32_MAX,
				    &cache->empty_cursor);
		if (!claim.magazine && rack_add(cache) < 0)
			break;
		if (!claim.magazine)
			continue;
		fill_magazine(cache, claim.magazine);
		any = magazine_count(claim.magazine) > 0;
		depot_put(&cache->view, claim.index, claim.magazine);
		if (!any)
			break;
		filled++;
	}
	return filled;
}

/* Magazines that one fill may make. */
static uint32_t fill_max(const struct cache *cache)
{
	const struct geometry *g = &cache->view.geometry;
	uint64_t most = FILL_MAX_BYTES / ((uint64_t)g->capacity * g->stride);

	return most > 0 ? (uint32_t)most : 1;
}

static uint32_t next_batch(struct cache *cache)
{
	uint64_t now = pool_now(), since = now - cache->filled_at;
	uint32_t least = setting_get(cache, SETTING_BATCH);

	if (since < BATCH_QUICK_NS)
		cache->batch *= 2;
	else if (since > BATCH_SLOW_NS)
		cache->batch /= 2;
	if (cache->batch < least)
		cache->batch = least;
	if (cache->batch > BATCH_MAX)
		cache->batch = BATCH_MAX;
	if (cache->batch > fill_max(cache))
		cache->batch = fill_max(cache);
	cache->filled_at = now;
	return cache->batch;
}

int refill_request(struct pool *pool, struct cache *cache, uint32_t objects, bool empty,
		   struct result *result)
{
	uint32_t capacity = cache->view.geometry.capacity, want;

	*result = (struct result){0};
	pool->refills++;
	cache->refills++;
	if (pool_is_damaged(pool)) {
		result->status = -EIO;
		snprintf(result->why, sizeof(result->why), "segment %s is damaged; see slabd's log",
			 pool->name);
		return result->status;
	}
	refill_racks(cache);
	/* by owner words, here and below: a hint that a killed client left would have it ask for ever */
	if (empty && !depot_any(&cache->view, MAGAZINE_EMPTY))
		rack_add(cache);
	if (empty && !objects)
		return 0;
	want = objects / capacity + 1;
	if (want < next_batch(cache))
		want = cache->batch;
	if (want > fill_max(cache))
		want = fill_max(cache);
	if (fill(cache, want) == 0 && !depot_any(&cache->view, MAGAZINE_FULL)) {
		result->status = -ENOMEM;
		snprintf(result->why, sizeof(result->why),
			 "cache \"%s\": no memory: %llu of %llu MiB of the heap are in use; free "
			 "objects, shrink "
			 "other caches (slabctl shrink --all), or start slabd with a larger --size",
			 cache->view.desc->name, (unsigned long long)pool->extents.backed_count * 2,
			 (unsigned long long)(pool->segment.heap_bytes >> 20) - 2);
	}
	store_relaxed(&cache->view.control->rung, 0);
	return result->status;
}

void refill_doorbell(struct cache *cache)
{
	if (pool_is_damaged(cache->pool))
		return;
	refill_racks(cache);
	if (refill_count(cache, MAGAZINE_FULL) < LOW_WATER)
		fill(cache, next_batch(cache));
	store_relaxed(&cache->view.control->rung, 0);
}

/* ---------------------------------------------------------------- drain */

/* Takes the top round out; false if it was none that could be in a magazine. */
static bool drain_round(struct cache *cache, struct magazine *magazine, uint32_t n)
{
	slab_ref ref = load_relaxed(&magazine->rounds[n - 1]);
	bool good = false;
	slab_tag *tag = NULL;
	uint32_t seen = 0;

	if (slab_find(cache, ref)) {
		tag = cache_tag(&cache->view, ref);
		seen = load_relaxed(tag);
		good = tag_state(seen) == TAG_CIRC;
	}
	if (good)
		store_relaxed(tag, tag_make(PARTY_NONE, TAG_SLAB, tag_generation(seen)));
	atomic_step();
	store_relaxed(&magazine->count, n - 1);
	atomic_step();
	store_relaxed(&magazine->rounds[n - 1], REF_NONE);
	if (good && !slab_return(cache, ref))
		good = false;
	return good;
}

static void drain_magazine(struct cache *cache, struct magazine *magazine)
{
	uint32_t n = magazine_count(magazine);

	if (n > cache->view.geometry.capacity) {
		pool_damage(cache->pool, "a magazine's count was over its capacity");
		n = cache->view.geometry.capacity;
	}
	for (; n; n--)
		if (!drain_round(cache, magazine, n))
			pool_damage(cache->pool, "a magazine held a round that can't be in one");
}

uint32_t refill_drain(struct cache *cache, uint32_t magazines, uint32_t count_max)
{
	uint32_t drained = 0;

	for (; drained < magazines; drained++) {
		struct claim claim = depot_claim(&cache->view, MAGAZINE_FULL, PARTY_DAEMON,
						 count_max, &cache->full_cursor);

		if (!claim.magazine)
			break;
		drain_magazine(cache, claim.magazine);
		depot_put(&cache->view, claim.index, claim.magazine);
	}
	return drained;
}
