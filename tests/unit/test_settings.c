/* What a cache is told: bounds, the reaper that follows it, a worker's death, an id that is used again. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "daemon/reap.h"
#include "daemon/refill.h"
#include "daemon/settings.h"
#include "tests/support/pool_suite.h"

#define MANY 20000u

TestSuite(settings, .init = pool_suite_open, .fini = pool_suite_close);

static int set(struct cache *cache, const char *key, uint64_t value, bool standard)
{
	struct result result;
	uint32_t before, now;
	int r = setting_set(cache, key, value, standard, &before, &now, &result);

	cr_assert_eq(r, result.status);
	if (r == 0 && !standard)
		cr_assert_eq(now, value);
	if (r < 0)
		cr_assert_not_null(strstr(result.why, cache->view.desc->name));
	return r;
}

Test(settings, bounds)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 100, 0);

	cr_assert_eq(setting_get(cache, SETTING_SURPLUS), 8);
	cr_assert_eq(setting_get(cache, SETTING_BATCH), 2);
	cr_assert_eq(set(cache, "surplus", 0, false), 0);
	cr_assert_eq(setting_get(cache, SETTING_SURPLUS), 0);
	cr_assert_eq(set(cache, "surplus", 65535, false), 0);
	cr_assert_eq(set(cache, "surplus", 65536, false), -EINVAL);
	cr_assert_eq(set(cache, "surplus", UINT64_MAX, false), -EINVAL);
	cr_assert_eq(setting_get(cache, SETTING_SURPLUS), 65535);
	cr_assert_eq(set(cache, "batch", 0, false), -EINVAL);
	cr_assert_eq(set(cache, "batch", 64, false), 0);
	cr_assert_eq(set(cache, "batch", 65, false), -EINVAL);
	cr_assert_eq(set(cache, "", 1, false), -EINVAL);
	cr_assert_eq(set(cache, "size", 1, false), -EINVAL);
	cr_assert_eq(set(cache, "batch", 99, true), 0);
	cr_assert_eq(setting_get(cache, SETTING_BATCH), 2);
	cr_assert_eq(setting_get(cache, SETTING_SURPLUS), 65535);
}

Test(settings, reaper_leaves_the_surplus)
{
	static slab_ref refs[MANY];
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 100, 0);
	struct fake fake;

	fake_init(&fake, &f, client, cache);
	cr_assert_eq(fake_alloc_many(&fake, refs, MANY), MANY);
	fake_free_many(&fake, refs, MANY);
	fake_flush(&fake);
	cr_assert_eq(set(cache, "surplus", 40, false), 0);
	cr_assert_gt(refill_count(cache, MAGAZINE_FULL), 40);
	reap_periodic(cache);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 40);
	cr_assert_eq(set(cache, "surplus", 0, false), 0);
	reap_periodic(cache);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 0);
}

Test(settings, fill_makes_a_batch_at_least)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 100, 0);
	struct result result;

	cr_assert_eq(set(cache, "batch", 20, false), 0);
	cr_assert_eq(refill_request(f.pool, cache, 1, false, &result), 0);
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 20);
}

Test(settings, outlive_the_worker_and_not_the_cache)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 100, 0);
	uint32_t id = cache->view.id;
	struct result result;

	cr_assert_eq(set(cache, "surplus", 3, false), 0);
	cr_assert_eq(set(cache, "batch", 5, false), 0);
	pool_fixture_restart(&f);
	cache = f.pool->caches[id];
	cr_assert_eq(setting_get(cache, SETTING_SURPLUS), 3);
	cr_assert_eq(setting_get(cache, SETTING_BATCH), 5);
	cr_assert_eq(pool_fixture_destroy_name(&f, "c", &result), 0);
	pool_fixture_run(&f);
	for (unsigned i = 0; i < 8; i++) { /* every id of the fixture's 8 */
		char name[2] = {(char)('a' + i), 0};

		cache = pool_fixture_cache(&f, 0, name, 100, 0);
		cr_assert_eq(setting_get(cache, SETTING_SURPLUS), 8);
		cr_assert_eq(setting_get(cache, SETTING_BATCH), 2);
	}
}
