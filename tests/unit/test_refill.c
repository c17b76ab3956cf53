/* Rounds from slabs to depot and back, by the daemon's own hand. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/extent.h"
#include "daemon/refill.h"
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

TestSuite(refill, .init = set_up, .fini = tear_down);

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
