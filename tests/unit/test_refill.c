/* Rounds from slabs to depot and back, by the daemon's own hand. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/extent.h"
#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_suite.h"

static void tear_down(void)
{
	pool_fixture_close(&f);
}

TestSuite(refill, .init = pool_suite_open, .fini = tear_down);

Test(refill, makes_full_magazines)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct audit_count n;
	struct result result;

	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 0);
	cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), 0);
	cr_assert_geq(refill_count(cache, MAGAZINE_FULL), 2);
	n = pool_fixture_count(&f, cache);
	cr_assert_eq(n.in_magazines,
		     refill_count(cache, MAGAZINE_FULL) * cache->view.geometry.capacity);
	cr_assert_eq(n.in_slabs + n.in_magazines, cache->view.geometry.objects);
	pool_fixture_audit(&f);
}

/* Takes everything, gives everything back, twice: the same number, and no more than fits. */
static void exhaust(uint32_t object_size)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", object_size, 0);
	uint32_t most = (uint32_t)(16 * MIB / cache->view.geometry.stride), first = 0, n;
	slab_ref *refs = calloc(most, sizeof(*refs));
	struct result result;
	struct fake fake;

	fake_init(&fake, &f, client, cache);
	for (int round = 0; round < 3; round++) {
		n = fake_alloc_many(&fake, refs, most);
		cr_assert_lt(n, most);
		cr_assert_eq(n, cache->slabs * cache->view.geometry.objects);
		cr_assert(round == 0 || n == first, "%u objects, then %u", first, n);
		first = n;
		cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), -ENOMEM);
		cr_assert_not_null(strstr(result.why, "14 of 14 MiB"), "%s", result.why);
		pool_fixture_audit(&f);
		fake_free_many(&fake, refs, n);
	}
	fake_flush(&fake);
	cr_assert_eq(pool_fixture_count(&f, cache).in_magazines +
			     pool_fixture_count(&f, cache).in_slabs,
		     first);
	pool_fixture_audit(&f);
	free(refs);
}

Test(refill, whole_heap_of_16_bytes)
{
	exhaust(16);
}

Test(refill, whole_heap_of_64_bytes)
{
	exhaust(64);
}

Test(refill, whole_heap_of_1000_bytes)
{
	exhaust(1000);
}

Test(refill, whole_heap_of_131072_bytes)
{
	exhaust(131072);
}

/* ---------------------------------------------------------------- what is asked for, and when */

Test(refill, as_much_as_is_asked_for)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 1000, 0);
	struct result result;

	cr_assert_eq(refill_request(f.pool, cache, 500, false, &result), 0);
	cr_assert_geq(pool_fixture_count(&f, cache).in_magazines, 500);
	cr_assert_eq(refill_request(f.pool, cache, UINT32_MAX, false, &result), 0);
	cr_assert_leq(pool_fixture_count(&f, cache).in_magazines * 1008, 9 * MIB,
		      "others wait meanwhile");
	pool_fixture_audit(&f);
}

Test(refill, an_empty_magazine_is_no_object)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct result result;

	cr_assert_eq(refill_request(f.pool, cache, 0, true, &result), 0);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 0);
	cr_assert_eq(cache->slabs, 0);
}

Test(refill, a_rack_more_when_none_is_empty)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	uint32_t cursor = 0, racks = load_relaxed(&cache->view.desc->racks), held = 0;
	struct result result;

	while (depot_claim(&cache->view, MAGAZINE_EMPTY, 3, UINT32_MAX, &cursor).magazine)
		held++;
	cr_assert_eq(refill_request(f.pool, cache, 0, true, &result), 0);
	cr_assert_eq(load_relaxed(&cache->view.desc->racks), racks + 1);
	cr_assert_eq(refill_count(cache, MAGAZINE_EMPTY), RACK_MAGAZINES);
	for (uint32_t i = 0; i < held; i++)
		depot_put(&cache->view, i, depot_magazine(&cache->view, i));
	pool_fixture_audit(&f);
}

/* Hints that claimers left who were killed before they cleared them: no magazine is empty for all that. */
Test(refill, a_rack_more_when_only_hints_say_empty)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	uint32_t cursor = 0, racks = load_relaxed(&cache->view.desc->racks), held = 0;
	struct result result;

	while (depot_claim(&cache->view, MAGAZINE_EMPTY, 3, UINT32_MAX, &cursor).magazine)
		held++;
	for (uint32_t rack = 0; rack < racks; rack++)
		store_relaxed(&cache->view.hints[MAGAZINE_EMPTY][rack], UINT64_MAX);
	cr_assert_eq(refill_request(f.pool, cache, 0, true, &result), 0);
	cr_assert_eq(load_relaxed(&cache->view.desc->racks), racks + 1);
	for (uint32_t i = 0; i < held; i++)
		depot_put(&cache->view, i, depot_magazine(&cache->view, i));
	pool_fixture_audit(&f);
}

/* A fill in a hurry doubles, a late one halves. */
Test(refill, batches_follow_the_rate)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 16, 0);
	uint32_t before = 0, now;
	struct result result;

	/* more rounds than doublings: on a busy machine a moment may be long */
	for (int i = 0; i < 40 && cache->batch < 64; i++) {
		cache->filled_at = pool_now();
		cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), 0);
		now = refill_count(cache, MAGAZINE_FULL);
		cr_assert_geq(now, before + 2);
		before = now;
	}
	cr_assert_eq(cache->batch, 64);
	for (int i = 0; i < 8; i++) {
		cache->filled_at = pool_now() - UINT64_C(3000000000);
		refill_request(f.pool, cache, 1, false, &result);
	}
	cr_assert_eq(cache->batch, 2);
	pool_fixture_audit(&f);
}

Test(refill, doorbells_keep_low_water)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	uint32_t full;

	store_relaxed(&cache->view.control->rung, 1);
	refill_doorbell(cache);
	refill_doorbell(cache);
	full = refill_count(cache, MAGAZINE_FULL);
	cr_assert_geq(full, 4);
	cr_assert_eq(load_relaxed(&cache->view.control->rung), 0);
	refill_doorbell(cache);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), full, "enough is enough");
	pool_fixture_audit(&f);
}

/* I-7: room in magazines for every object at once, and two for each thread. */
Test(refill, racks_for_all)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 16, 0);
	struct result result;

	clients_set_threads(f.pool, client, 1000);
	refill_request(f.pool, cache, 1, false, &result);
	cr_assert_geq(depot_magazines(&cache->view), 2000);
	while (refill_request(f.pool, cache, UINT32_MAX, false, &result) == 0 &&
	       f.pool->extents.backed_count < 7)
		;
	cr_assert_geq((depot_magazines(&cache->view) - 2000) * cache->view.geometry.capacity,
		      cache->slabs * cache->view.geometry.objects);
	pool_fixture_audit(&f);
}

/* ---------------------------------------------------------------- the last of it */

/* Somebody was stopped between the claim of the last full magazine and the clearing of its hint: a
 * hint is not a magazine, and the heap is full. */
Test(refill, a_hint_is_not_memory)
{
	uint32_t client = pool_fixture_attach(&f), most = 4096, n;
	struct cache *cache = pool_fixture_cache(&f, client, "c", 16384, 0);
	slab_ref *refs = calloc(most, sizeof(*refs));
	struct result result;
	struct fake fake;

	fake_init(&fake, &f, client, cache);
	n = fake_alloc_many(&fake, refs, most);
	cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), -ENOMEM);
	or_relaxed(&cache->view.hints[MAGAZINE_FULL][0], 1);
	cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), -ENOMEM);
	fake_free_many(&fake, refs, n);
	fake_flush(&fake);
	pool_fixture_audit(&f);
	free(refs);
}

/* Full for one cache while another keeps what it does not use. */
Test(refill, borrows_the_empty_slabs_of_others)
{
	uint32_t client = pool_fixture_attach(&f), most = 262144, n, m;
	struct cache *a = pool_fixture_cache(&f, client, "a", 64, 0);
	struct cache *b = pool_fixture_cache(&f, client, "b", 1000, 0);
	slab_ref *refs = calloc(most, sizeof(*refs));
	struct fake fake, other;

	fake_init(&fake, &f, client, a);
	fake_init(&other, &f, client, b);
	n = fake_alloc_many(&fake, refs, most);
	cr_assert_eq(fake_alloc(&other), REF_NONE);
	fake_free_many(&fake, refs, n);
	fake_flush(&fake);
	refill_drain(a, UINT32_MAX, UINT32_MAX);
	m = fake_alloc_many(&other, refs, most);
	cr_assert_geq(m * 1008, 13 * MIB);
	pool_fixture_audit(&f);
	fake_free_many(&other, refs, m);
	fake_flush(&other);
	pool_fixture_audit(&f);
	free(refs);
}

Test(refill, drain)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct result result;
	uint32_t full;

	refill_request(f.pool, cache, 1000, false, &result);
	full = refill_count(cache, MAGAZINE_FULL);
	cr_assert_eq(refill_drain(cache, 2, UINT32_MAX), 2);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), full - 2);
	cr_assert_eq(refill_drain(cache, UINT32_MAX, 5), 0, "none has so few");
	pool_fixture_audit(&f);
	cr_assert_eq(refill_drain(cache, UINT32_MAX, UINT32_MAX), full - 2);
	cr_assert_eq(cache->in_slabs, cache->slabs * cache->view.geometry.objects);
	pool_fixture_audit(&f);
}

/* No handle can exist between them, so neither spends a generation. */
Test(refill, fill_and_drain_keep_generations)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 1000, 0);
	uint32_t step = cache->view.geometry.stride >> REF_SHIFT, n = cache->view.geometry.objects;
	uint32_t *before = calloc(n, sizeof(*before)), moved = 0;
	slab_ref first = EXTENT_BYTES >> REF_SHIFT;
	struct result result;

	cr_assert_eq(slab_carve(cache), 0);
	for (uint32_t i = 0; i < n; i++)
		before[i] = load_relaxed(cache_tag(&cache->view, first + i * step));
	refill_request(f.pool, cache, 40, false, &result);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t tag = load_relaxed(cache_tag(&cache->view, first + i * step));

		cr_assert_eq(tag_generation(tag), tag_generation(before[i]));
		moved += tag_state(tag) == TAG_CIRC;
	}
	cr_assert_geq(moved, 40);
	refill_drain(cache, UINT32_MAX, UINT32_MAX);
	for (uint32_t i = 0; i < n; i++)
		cr_assert_eq(load_relaxed(cache_tag(&cache->view, first + i * step)), before[i]);
	pool_fixture_audit(&f);
	free(before);
}

Test(refill, a_damaged_segment_gives_nothing)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct result result;

	store_relaxed(&f.pool->segment.super->damaged, 1);
	cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), -EIO);
	cr_assert_not_null(strstr(result.why, "damaged"));
	refill_doorbell(cache);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 0);
	store_relaxed(&f.pool->segment.super->damaged, 0);
}

/* ---------------------------------------------------------------- hostile words */

/* I-5: whatever stands in depot and heap, nothing crashes, and what the daemon hands out comes from
 * its own lists. */
Test(refill, hostile_depot)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	struct result result;

	for (int i = 0; i < 300; i++) {
		uint32_t n = depot_magazines(&cache->view);
		struct magazine *magazine =
			depot_magazine(&cache->view, pool_fixture_random(&f, n));
		uint32_t slot = pool_fixture_random(&f, cache->view.geometry.capacity + 1);

		switch (pool_fixture_random(&f, 5)) {
		case 0:
			store_relaxed(&magazine->rounds[slot], pool_fixture_random(&f, UINT32_MAX));
			break;
		case 1:
			store_relaxed(&magazine->count, pool_fixture_random(&f, UINT32_MAX));
			break;
		case 2:
			store_relaxed(&magazine->owner,
				      (uint64_t)pool_fixture_random(&f, UINT32_MAX) << 32);
			break;
		case 3:
			store_relaxed(&cache->view.hints[i % 2][0],
				      (uint64_t)pool_fixture_random(&f, UINT32_MAX) << i % 33);
			break;
		case 4:
			store_relaxed(
				cache_tag(&cache->view, (EXTENT_BYTES >> REF_SHIFT) + 4 * slot),
				pool_fixture_random(&f, UINT32_MAX));
		}
		refill_request(f.pool, cache, i, i % 3 == 0, &result);
		refill_drain(cache, i % 5, UINT32_MAX);
		refill_doorbell(cache);
		if (i % 50 == 0)
			pool_tick(f.pool);
	}
	cr_assert_gt(f.pool->damage, 0);
	cr_assert_leq(cache->in_slabs, cache->slabs * cache->view.geometry.objects);
	pool_fixture_restart(&f);
	pool_fixture_run(&f);
}

Test(refill, what_is_not_in_its_slab_is_not_handed_out)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	slab_ref first = EXTENT_BYTES >> REF_SHIFT;
	struct result result;
	struct audit_count n;

	refill_request(f.pool, cache, 1, false, &result);
	refill_drain(cache, UINT32_MAX, UINT32_MAX);
	store_relaxed(cache_tag(&cache->view, first), tag_make(7, TAG_LIVE, 1));
	refill_request(f.pool, cache, 1, false, &result);
	cr_assert_eq(f.pool->damage, 1);
	n = pool_fixture_count(&f, cache);
	cr_assert_eq(n.doubled, 0);
	cr_assert_eq(tag_owner(load_relaxed(cache_tag(&cache->view, first))), 7);
}
