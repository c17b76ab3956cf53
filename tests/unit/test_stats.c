/* Figures at once, and the census. */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_fixture.h"

static struct pool_fixture f;

static void set_up(void)
{
	pool_fixture_open(&f, 16 * MIB);
}

static void tear_down(void)
{
	pool_fixture_close(&f);
}

TestSuite(stats, .init = set_up, .fini = tear_down);

Test(stats, figures)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	struct result result;
	struct stats stats;

	stats_get(f.pool, &stats);
	cr_assert_eq(stats.heap_bytes, 16 * MIB);
	cr_assert_eq(stats.heap_used_bytes, 0);
	cr_assert_eq(stats.caches, 1);
	cr_assert_eq(stats.clients, 1);
	cr_assert_eq(stats.max_caches, 8);
	cr_assert_eq(stats.max_clients, 16);
	cr_assert_eq(stats.refills, 0);
	cr_assert_eq(stats.worker_restarts, 0);
	cr_assert_str_eq(stats.backing, "pages");
	cr_assert_not_null(strstr(stats.backing_why, "hugepages=never"));
	cr_assert_not(stats.damaged);
	refill_request(f.pool, cache, 1, false, &result);
	pool_fixture_restart(&f);
	stats_get(f.pool, &stats);
	cr_assert_eq(stats.heap_used_bytes, EXTENT_BYTES);
	cr_assert_geq(stats.memory_bytes, EXTENT_BYTES);
	cr_assert_leq(stats.memory_bytes, EXTENT_BYTES + MIB);
	cr_assert_eq(stats.worker_restarts, 1);
	cr_assert_eq(stats.caches, 1);
	cr_assert_eq(stats.clients, 1);
	cr_assert_lt(stats.uptime_ms, 3600000);
	pool_fixture_audit(&f);
}

Test(stats, waits)
{
	struct stats stats;

	stats_get(f.pool, &stats);
	cr_assert_eq(stats.refill_wait_us_p99, 0);
	for (int i = 0; i < 99; i++)
		stats_wait(f.pool, 3);
	stats_wait(f.pool, 1000000);
	stats_get(f.pool, &stats);
	cr_assert_eq(stats.refill_wait_us_p99, 4);
	stats_wait(f.pool, 1000000);
	stats_get(f.pool, &stats);
	cr_assert_eq(stats.refill_wait_us_p99, 1u << 20);
	for (int i = 0; i < 1000; i++)
		stats_wait(f.pool, UINT64_MAX);
	stats_get(f.pool, &stats);
	cr_assert_geq(stats.refill_wait_us_p99, UINT64_C(1) << 39);
	memset(&f.pool->refill_wait, 0, sizeof(f.pool->refill_wait));
	stats_wait(f.pool, 0);
	stats_get(f.pool, &stats);
	cr_assert_leq(stats.refill_wait_us_p99, 1);
}

Test(stats, counters_are_summed)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct counters sum;

	for (uint32_t party = 2; party < 20; party++) {
		add_relaxed(&depot_counters(&cache->view, party)->allocs, 10);
		add_relaxed(&depot_counters(&cache->view, party)->claims, 1);
	}
	stats_counters(cache, &sum);
	cr_assert_eq(sum.allocs, 180);
	cr_assert_eq(sum.claims, 18);
	cr_assert_eq(sum.frees, 0);
}

/* As when a list of caches is answered: by a job's finish, whose waiter must be told all the same. */
static void count_in_finish(void *arg, const struct census *census)
{
	cr_assert_not_null(census);
	stats_counters(f.pool->caches[1], arg);
}

Test(stats, counters_over_a_hole_are_zero)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct counters sum = {.allocs = 1};

	pool_fixture_hole((char *)cache->view.control, PAGE_BYTES);
	stats_census(f.pool, false, count_in_finish, &sum);
	pool_fixture_run(&f);
	cr_assert_eq(sum.allocs, 0);
	cr_assert(pool_is_damaged(f.pool));
	cr_assert(TAILQ_EMPTY(&f.pool->jobs));
}

/* ---------------------------------------------------------------- census */

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

	stats_census(f.pool, strict, take_census, &seen);
	pool_fixture_run(&f);
	cr_assert_eq(seen.calls, 1);
	return seen;
}

Test(stats, census_by_cache_and_client)
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
Test(stats, damage_that_stays_is_reported)
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
Test(stats, lists_are_audited_too)
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

Test(stats, a_waiter_that_left_is_not_told)
{
	struct seen seen = {0};

	stats_census(f.pool, true, take_census, &seen);
	job_forget(f.pool, &seen);
	pool_fixture_run(&f);
	cr_assert_eq(seen.calls, 0);
}

Test(stats, census_with_jobs_queued_is_closed)
{
	struct seen seen = {0};

	stats_census(f.pool, true, take_census, &seen);
	pool_fixture_restart(&f);
	cr_assert_eq(seen.calls, 0);
}

/* The census walked past an object before its new owner took it and died.  That it counted none for
 * the tomb does not make the tomb's id free. */
Test(stats, a_younger_tomb_is_not_buried)
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
	stats_census(f.pool, false, take_census, &(struct seen){0});
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
