/* The slab layer.
 *
 * 1. A slab is a run of the heap carved into one cache's objects.  Which slabs there are stands in
 *    the slab table (catalog), one word a slab, stored after the slab's tags; which objects are in
 *    the slab stands in their tags.  Everything in this file is a private cache of these two: a
 *    bitmap a slab, and lists of slabs by fullness.
 *
 * 2. The bitmap, not the tag, decides what is handed out: tags lie where clients write.  An object
 *    is listed in the bitmap when the worker itself set its tag to SLAB (carve, drain, sweep), and
 *    leaves it when a fill takes it.  So a forged tag can't make the worker hand out an object
 *    twice.  Only a new worker believes tags, as it has nothing else; what a hostile client forged
 *    by then harms its own segment.
 *
 * 3. Objects are taken from the fullest slab, so that the others drain and can be given back
 *    (Bonwick 1994, and the kernel's partial lists).  The partial slabs stand in eight buckets by
 *    the share of free objects; within a bucket the order does not matter.
 *
 * 4. Killed between any two steps: before the slab table's store a new slab is just memory, which
 *    extent_open punches; after a slab's word is cleared its memory is punched likewise. */
#include "daemon/slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/extent.h"

enum { BUCKET_FULL = SLAB_BUCKETS, BUCKET_EMPTY = SLAB_BUCKETS + 1 };

static struct slab_list *list_of(struct cache *cache, uint32_t bucket)
{
	if (bucket == BUCKET_FULL)
		return &cache->full;
	if (bucket == BUCKET_EMPTY)
		return &cache->empty;
	return &cache->partial[bucket];
}

static uint32_t bucket_for(const struct cache *cache, const struct slab *slab)
{
	uint32_t objects = cache->view.geometry.objects;

	if (slab->free == 0)
		return BUCKET_FULL;
	if (slab->free == objects)
		return BUCKET_EMPTY;
	return slab->free * SLAB_BUCKETS / (objects + 1);
}

static void relist(struct cache *cache, struct slab *slab)
{
	uint32_t bucket = bucket_for(cache, slab);

	if (bucket == slab->bucket)
		return;
	TAILQ_REMOVE(list_of(cache, slab->bucket), slab, link);
	slab->bucket = bucket;
	TAILQ_INSERT_HEAD(list_of(cache, bucket), slab, link);
}

void slab_lists_init(struct cache *cache)
{
	TAILQ_INIT(&cache->full);
	TAILQ_INIT(&cache->empty);
	for (int i = 0; i < SLAB_BUCKETS; i++)
		TAILQ_INIT(&cache->partial[i]);
}

static slab_ref first_ref(const struct slab *slab)
{
	return slab->unit << (UNIT_SHIFT - REF_SHIFT);
}

static slab_ref ref_at(const struct cache *cache, const struct slab *slab, uint32_t index)
{
	return first_ref(slab) + index * (cache->view.geometry.stride >> REF_SHIFT);
}

static struct slab *slab_new(struct cache *cache, uint32_t unit)
{
	size_t words = (cache->view.geometry.objects + 63) / 64;
	struct slab *slab = calloc(1, sizeof(*slab) + words * sizeof(uint64_t));

	if (slab)
		slab->unit = unit;
	return slab;
}

static void slab_enter(struct cache *cache, struct slab *slab)
{
	slab->bucket = bucket_for(cache, slab);
	TAILQ_INSERT_HEAD(list_of(cache, slab->bucket), slab, link);
	cache->pool->slabs[slab->unit] = slab;
	cache->slabs++;
	cache->in_slabs += slab->free;
}

static void list_object(struct slab *slab, uint32_t index)
{
	slab->bitmap[index / 64] |= UINT64_C(1) << index % 64;
	slab->free++;
}

/* A slab that the slab table names: its objects are where their tags say. */
static int slab_adopt(struct cache *cache, uint32_t unit)
{
	struct slab *slab = slab_new(cache, unit);

	if (!slab)
		return -ENOMEM;
	for (uint32_t i = 0; i < cache->view.geometry.objects; i++)
		if (tag_state(load_relaxed(cache_tag(&cache->view, ref_at(cache, slab, i)))) ==
		    TAG_SLAB)
			list_object(slab, i);
	slab_enter(cache, slab);
	return 0;
}

int slab_open(struct pool *pool)
{
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);

	for (uint32_t unit = 0; unit < units; unit++) {
		uint32_t word = load_relaxed(&pool->segment.slab_table[unit]);
		struct cache *cache = registry_of_word(pool, word);
		int r;

		if (!cache)
			continue;
		r = slab_adopt(cache, unit);
		if (r < 0)
			return r;
	}
	return 0;
}

struct slab *slab_find(const struct cache *cache, slab_ref ref)
{
	if (!cache_has_ref(&cache->view, ref))
		return NULL;
	return cache->pool
		->slabs[geometry_slab(&cache->view.geometry, ref) >> (UNIT_SHIFT - REF_SHIFT)];
}

/* xorshift64: generations need to differ from those of the slab that lay here before, no more. */
static uint32_t next_random(struct pool *pool)
{
	pool->random ^= pool->random << 13;
	pool->random ^= pool->random >> 7;
	pool->random ^= pool->random << 17;
	return (uint32_t)(pool->random >> 32);
}

static void write_tags(struct cache *cache, struct slab *slab)
{
	for (uint32_t i = 0; i < cache->view.geometry.objects; i++) {
		uint32_t tag = tag_make(PARTY_NONE, TAG_SLAB, next_random(cache->pool));

		store_relaxed(cache_tag(&cache->view, ref_at(cache, slab, i)), tag);
		list_object(slab, i);
	}
}

int slab_carve(struct cache *cache)
{
	struct pool *pool = cache->pool;
	struct slab *slab;
	uint32_t unit;
	int r = extent_alloc(pool, cache->view.geometry.slab_shift, &unit);

	if (r < 0)
		return r;
	slab = slab_new(cache, unit);
	if (!slab) {
		extent_free(pool, unit, cache->view.geometry.slab_shift, true);
		return -ENOMEM;
	}
	write_tags(cache, slab);
	slab_enter(cache, slab);
	/* pairs with the acquire or dependent loads of cache_has_ref: who sees the word sees the tags */
	store_release(&pool->segment.slab_table[unit], cache->view.word);
	return 0;
}

static struct slab *fullest(struct cache *cache)
{
	for (int i = 0; i < SLAB_BUCKETS; i++)
		if (!TAILQ_EMPTY(&cache->partial[i]))
			return TAILQ_FIRST(&cache->partial[i]);
	return TAILQ_FIRST(&cache->empty);
}

uint32_t slab_take(struct cache *cache, slab_ref *refs, uint32_t n)
{
	struct slab *slab = fullest(cache);
	uint32_t taken = 0, words = (cache->view.geometry.objects + 63) / 64;

	if (!slab)
		return 0;
	/* the lowest addresses, so that a slab is used from its start */
	for (uint32_t w = 0; w < words && taken < n; w++) {
		while (slab->bitmap[w] && taken < n) {
			uint32_t bit = (uint32_t)__builtin_ctzll(slab->bitmap[w]);

			slab->bitmap[w] &= slab->bitmap[w] - 1;
			refs[taken++] = ref_at(cache, slab, w * 64 + bit);
		}
	}
	slab->free -= taken;
	cache->in_slabs -= taken;
	relist(cache, slab);
	for (uint32_t i = 0; i < taken / 2; i++) {
		slab_ref swap = refs[i];

		refs[i] = refs[taken - 1 - i];
		refs[taken - 1 - i] = swap;
	}
	return taken;
}

bool slab_return(struct cache *cache, slab_ref ref)
{
	struct slab *slab = slab_find(cache, ref);
	uint32_t index;

	if (!slab || !geometry_index(&cache->view.geometry, ref - first_ref(slab), &index))
		return false;
	if (slab->bitmap[index / 64] >> index % 64 & 1)
		return false;
	list_object(slab, index);
	cache->in_slabs++;
	relist(cache, slab);
	return true;
}

uint64_t slab_release(struct cache *cache, struct slab *slab, bool now)
{
	struct pool *pool = cache->pool;
	uint32_t unit = slab->unit;

	store_release(&pool->segment.slab_table[unit], SLAB_WORD_NONE);
	TAILQ_REMOVE(list_of(cache, slab->bucket), slab, link);
	pool->slabs[unit] = NULL;
	cache->slabs--;
	cache->in_slabs -= slab->free;
	free(slab);
	return extent_free(pool, unit, cache->view.geometry.slab_shift, now);
}

uint64_t slab_release_empty(struct cache *cache, uint32_t keep, bool now)
{
	uint64_t bytes = 0;
	struct slab *slab, *next;

	for (slab = TAILQ_FIRST(&cache->empty); slab; slab = next) {
		next = TAILQ_NEXT(slab, link);
		if (keep)
			keep--;
		else
			bytes += slab_release(cache, slab, now);
	}
	return bytes;
}
