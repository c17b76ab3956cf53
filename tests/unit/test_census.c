/* The census: what it counts, whom it believes, what it buries. */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_suite.h"

static void tear_down(void)
{
	pool_fixture_close(&f);
}

TestSuite(census, .init = pool_suite_open, .fini = tear_down);

struct seen {
	int calls;
	bool balanced, exact;
	struct audit_count cache;
	uint64_t live, rounds;
};

static void take_census(void *arg, const struct census *census)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->balanced = census->balanced;
	seen->exact = census->exact;
	seen->cache = census->caches[1];
	seen->live = census->live[2];
	seen->rounds = census->rounds[2];
}

static struct seen take(bool strict)
{
	struct seen seen = {0};

	census_take(f.pool, strict, take_census, &seen);
	pool_fixture_run(&f);
	cr_assert_eq(seen.calls, 1);
	return seen;
}

Test(census, by_cache_and_client)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	slab_ref refs[100];
	struct fake fake;
	struct seen seen;

	fake_init(&fake, &f, client, cache);
	fake_alloc_many(&fake, refs, 100);
	seen = take(false);
	cr_assert(seen.balanced && seen.exact);
	cr_assert_eq(seen.cache.live, 100);
	cr_assert_eq(seen.live, 100);
	cr_assert_eq(seen.rounds, magazine_count(fake.held.magazine));
	cr_assert_eq(seen.cache.in_slabs, cache->in_slabs);
	seen = take(true);
	cr_assert(seen.balanced && seen.exact);
	pool_fixture_audit(&f);
}

/* An audit repeats until it is balanced or the same is wrong twice. */
Test(census, damage_that_stays_is_reported)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	struct fake fake;
	struct seen seen;
	slab_ref ref;

	fake_init(&fake, &f, client, cache);
	ref = fake_alloc(&fake);
	store_relaxed(fake_tag(&fake, ref), tag_make(0, TAG_CIRC, 1));
	seen = take(true);
	cr_assert_not(seen.balanced);
	cr_assert(seen.exact);
	cr_assert_eq(seen.cache.lost, 1);
}

/* Says SLAB, and is on no list: it would never be handed out again. */
Test(census, lists_are_audited_too)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct seen seen;
	slab_ref ref;

	slab_carve(cache);
	cr_assert(take(true).balanced);
	cr_assert_eq(slab_take(cache, &ref, 1), 1);
	seen = take(true);
	cr_assert_not(seen.balanced);
	cr_assert_eq(seen.cache.lost + seen.cache.doubled, 0);
	cr_assert(slab_return(cache, ref));
	pool_fixture_audit(&f);
}

Test(census, a_waiter_that_left_is_not_told)
{
	struct seen seen = {0};

	census_take(f.pool, true, take_census, &seen);
	job_forget(f.pool, &seen);
	pool_fixture_run(&f);
	cr_assert_eq(seen.calls, 0);
}

Test(census, with_jobs_queued_is_closed)
{
	struct seen seen = {0};

	census_take(f.pool, true, take_census, &seen);
	pool_fixture_restart(&f);
	cr_assert_eq(seen.calls, 0);
}

/* The census walked past an object before its new owner took it and died.  That it counted none for
 * the tomb does not make the tomb's id free. */
Test(census, a_younger_tomb_is_not_buried)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *small = pool_fixture_cache(&f, client, "small", 64, 0);
	struct cache *big = pool_fixture_cache(&f, 0, "big", 16, 0);
	struct fake fake;
	struct job *census;
	slab_ref ref;

	fake_init(&fake, &f, client, small);
	ref = fake_alloc(&fake); /* the first slab of the heap */
	fake_free(&fake, ref);
	for (int i = 0; i < 30; i++)
		slab_carve(big);
	census_take(f.pool, false, take_census, &(struct seen){0});
	census = TAILQ_FIRST(&f.pool->jobs);
	for (int i = 0; i < 4; i++)
		cr_assert_not(census->step(census, 0), "some way into the big one's slabs");
	cr_assert_eq(fake_alloc(&fake), ref);
	clients_died(f.pool, client, NULL, NULL);
	TAILQ_REMOVE(&f.pool->jobs, census, link);
	TAILQ_INSERT_TAIL(&f.pool->jobs, census, link);
	pool_fixture_run(&f);
	cr_assert(clients_is_tomb(f.pool, client), "its tag still names it");
	pool_fixture_audit(&f);
}
