/* Memory comes back: surplus magazines, empty slabs, extents, and the system's own count of them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daemon/reap.h"
#include "daemon/refill.h"
#include "tests/support/pool_suite.h"

#define MANY 50000u

static struct cache *cache;
static struct fake fake;
static slab_ref refs[MANY];

static void set_up(void)
{
	uint32_t client;

	pool_suite_open();
	client = pool_fixture_attach(&f);
	cache = pool_fixture_cache(&f, client, "c", 100, 0);
	fake_init(&fake, &f, client, cache);
}

TestSuite(reap, .init = set_up, .fini = pool_suite_close);

static uint64_t heap_bytes(void)
{
	return backing_bytes(f.backing.heap);
}

static void use_and_free(uint32_t n)
{
	cr_assert_eq(fake_alloc_many(&fake, refs, n), n);
	fake_free_many(&fake, refs, n);
	fake_flush(&fake);
}

Test(reap, shrink_says_how_much)
{
	uint64_t before, bytes;

	use_and_free(MANY);
	before = heap_bytes();
	cr_assert_geq(before, (uint64_t)MANY * 112);
	bytes = pool_fixture_shrink(&f, cache);
	cr_assert_eq(bytes, before);
	cr_assert_eq(heap_bytes(), 0);
	cr_assert_eq(cache->slabs, 0);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 0);
	cr_assert_eq(pool_fixture_shrink(&f, cache), 0);
}

Test(reap, shrink_keeps_what_is_used)
{
	slab_ref keep;

	use_and_free(MANY);
	keep = fake_alloc(&fake);
	fake_flush(&fake);
	*(uint64_t *)ref_address(fake.view.heap, keep) = 4711;
	pool_fixture_shrink(&f, cache);
	cr_assert_eq(cache->slabs, 1);
	cr_assert_eq(heap_bytes(), EXTENT_BYTES);
	cr_assert_eq(*(uint64_t *)ref_address(fake.view.heap, keep), 4711);
	fake_free(&fake, keep);
	fake_flush(&fake);
}

Test(reap, shrink_of_all_caches)
{
	struct cache *other = pool_fixture_cache(&f, fake.client, "other", 5000, 0);
	struct fake second;
	slab_ref some[100];

	fake_init(&second, &f, fake.client, other);
	use_and_free(1000);
	cr_assert_eq(fake_alloc_many(&second, some, 100), 100);
	fake_free_many(&second, some, 100);
	fake_flush(&second);
	pool_fixture_shrink(&f, NULL);
	cr_assert_eq(heap_bytes(), 0);
}

/* After a shrink another cache gets the space. */
Test(reap, then_another_cache_gets_it)
{
	struct cache *other = pool_fixture_cache(&f, fake.client, "other", 131072, 0);
	uint32_t n = fake_alloc_many(&fake, refs, MANY), m;
	struct fake second;

	while (fake_alloc(&fake) != REF_NONE)
		n++;
	fake_init(&second, &f, fake.client, other);
	cr_assert_eq(fake_alloc(&second), REF_NONE);
	fake_free_many(&fake, refs, MANY);
	fake_flush(&fake);
	pool_fixture_shrink(&f, cache);
	cr_assert_neq(fake_alloc(&second), REF_NONE);
	for (m = 1; fake_alloc(&second) != REF_NONE; m++)
		;
	cr_assert_gt(m, 15);
	fake_flush(&second);
}

/* In slices: other work is done in between. */
Test(reap, shrink_takes_turns)
{
	struct job *job;
	int slices = 0;

	use_and_free(MANY);
	reap_shrink(f.pool, cache, NULL, NULL);
	job = TAILQ_FIRST(&f.pool->jobs);
	while (!job->step(job, 0))
		slices++;
	cr_assert_gt(slices, 10);
	pool_fixture_run(&f);
	cr_assert_eq(heap_bytes(), 0);
}

Test(reap, periodic_keeps_a_surplus)
{
	use_and_free(MANY);
	cr_assert_gt(refill_count(cache, MAGAZINE_FULL), 100);
	reap_periodic(cache);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 8);
	pool_fixture_audit(&f);
	cr_assert_lt(cache->slabs * geometry_slab_bytes(&cache->view.geometry), 3 * MIB);
}

Test(reap, the_tick_does_it_every_15th_time)
{
	use_and_free(MANY);
	for (int i = 0; i < 14; i++)
		pool_tick(f.pool);
	cr_assert_gt(refill_count(cache, MAGAZINE_FULL), 100);
	pool_tick(f.pool);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 8);
}

/* One empty slab stays, against a cache that breathes. */
Test(reap, periodic_keeps_one_empty_slab)
{
	use_and_free(1);
	refill_drain(cache, UINT32_MAX, UINT32_MAX);
	reap_periodic(cache);
	cr_assert_eq(cache->slabs, 1);
}

/* Rounds of partly full magazines come back in whole ones: a free needs EMPTY ones (I-7). */
Test(reap, partly_full_magazines_are_merged)
{
	uint32_t capacity = cache->view.geometry.capacity, full, cursor = 0, made = 0;

	refill_doorbell(cache);
	refill_doorbell(cache);
	full = refill_count(cache, MAGAZINE_FULL);
	cr_assert_eq(fake_alloc_many(&fake, refs, capacity), capacity);
	fake_flush(&fake);
	/* each object into a magazine of its own */
	for (uint32_t i = 0; i < capacity; i++) {
		fake.held =
			depot_claim(&cache->view, MAGAZINE_EMPTY, fake.client, UINT32_MAX, &cursor);
		if (!fake.held.magazine)
			break;
		cr_assert(fake_free(&fake, refs[i]));
		fake_flush(&fake);
		made++;
	}
	for (uint32_t i = made; i < capacity; i++)
		fake_free(&fake, refs[i]);
	fake_flush(&fake);
	cr_assert_gt(made, 20);
	cr_assert_lt(refill_count(cache, MAGAZINE_EMPTY), 16);
	reap_tick(cache);
	cr_assert_leq(refill_count(cache, MAGAZINE_FULL), full);
	cr_assert_geq(refill_count(cache, MAGAZINE_EMPTY), made);
}

Test(reap, the_tick_clears_a_doorbell_that_got_lost)
{
	cr_assert(depot_ring(&cache->view));
	pool_tick(f.pool);
	cr_assert(depot_ring(&cache->view));
}
