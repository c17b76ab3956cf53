/* Figures at once. */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_suite.h"

static void tear_down(void)
{
	pool_fixture_close(&f);
}

TestSuite(stats, .init = pool_suite_open, .fini = tear_down);

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
	census_take(f.pool, false, count_in_finish, &sum);
	pool_fixture_run(&f);
	cr_assert_eq(sum.allocs, 0);
	cr_assert(pool_is_damaged(f.pool));
	cr_assert(TAILQ_EMPTY(&f.pool->jobs));
}
