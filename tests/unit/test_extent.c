/* Extents: backed before use, in aligned runs, in limbo for a second, and really given back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>

#include "daemon/extent.h"
#include "tests/support/pool_suite.h"

#define UNIT_SLAB   UNIT_SHIFT
#define EXTENT_SLAB EXTENT_SHIFT

TestSuite(extent, .init = pool_suite_open, .fini = pool_suite_close);

static uint64_t heap_bytes(void)
{
	return backing_bytes(f.backing.heap);
}

/* Everything in limbo is a second older. */
static void let_a_second_pass(void)
{
	struct limbo *limbo;

	TAILQ_FOREACH (limbo, &f.pool->extents.limbo, link)
		limbo->since -= 1000000000;
}

Test(extent, backed_with_its_first_unit)
{
	uint32_t unit;

	cr_assert_eq(heap_bytes(), 0);
	cr_assert_eq(extent_alloc(f.pool, UNIT_SLAB, &unit), 0);
	cr_assert_eq(unit, EXTENT_UNITS, "the first extent is never used");
	cr_assert_eq(heap_bytes(), EXTENT_BYTES);
	cr_assert_eq(extent_free(f.pool, unit, UNIT_SLAB, true), EXTENT_BYTES);
	cr_assert_eq(heap_bytes(), 0);
	cr_assert_eq(f.pool->extents.backed_count, 0);
}

Test(extent, runs_are_aligned_and_disjoint)
{
	uint32_t seen[256] = {0}, units[64], shifts[64], n = 0;

	while (n < 64) {
		shifts[n] = UNIT_SHIFT + pool_fixture_random(&f, 6);
		if (extent_alloc(f.pool, shifts[n], &units[n]) < 0)
			break;
		cr_assert_eq(units[n] % (1u << (shifts[n] - UNIT_SHIFT)), 0);
		cr_assert_geq(units[n], EXTENT_UNITS);
		for (uint32_t i = 0; i < 1u << (shifts[n] - UNIT_SHIFT); i++)
			cr_assert_eq(seen[units[n] + i]++, 0, "unit %u twice", units[n] + i);
		n++;
	}
	while (n--)
		extent_free(f.pool, units[n], shifts[n], true);
	cr_assert_eq(heap_bytes(), 0);
}

Test(extent, every_unit_of_the_heap)
{
	uint32_t unit, n = 0;

	for (int round = 0; round < 3; round++) {
		for (n = 0; extent_alloc(f.pool, UNIT_SLAB, &unit) == 0; n++)
			cr_assert_eq(unit, EXTENT_UNITS + n, "the lowest first");
		cr_assert_eq(n, 7 * EXTENT_UNITS);
		cr_assert_eq(extent_alloc(f.pool, EXTENT_SLAB, &unit), -ENOMEM);
		for (uint32_t i = 0; i < n; i++)
			extent_free(f.pool, EXTENT_UNITS + i, UNIT_SLAB, round % 2);
		extent_expire(f.pool, true);
	}
	cr_assert_eq(heap_bytes(), 0);
}

Test(extent, a_hole_is_used_again)
{
	uint32_t units[64], again;

	for (int i = 0; i < 64; i++)
		extent_alloc(f.pool, UNIT_SLAB, &units[i]);
	extent_free(f.pool, units[5], UNIT_SLAB, true);
	extent_free(f.pool, units[40], UNIT_SLAB, true);
	cr_assert_eq(extent_alloc(f.pool, UNIT_SLAB, &again), 0);
	cr_assert_eq(again, units[5]);
	cr_assert_eq(extent_alloc(f.pool, UNIT_SLAB, &again), 0);
	cr_assert_eq(again, units[40]);
	for (int i = 0; i < 64; i++)
		extent_free(f.pool, units[i], UNIT_SLAB, true);
}

/* A checker of a stale handle may be about to read the tag. */
Test(extent, in_limbo_for_a_second)
{
	uint32_t unit, next;

	extent_alloc(f.pool, EXTENT_SLAB, &unit);
	cr_assert_eq(extent_free(f.pool, unit, EXTENT_SLAB, false), 0);
	cr_assert_eq(extent_expire(f.pool, false), 0);
	cr_assert_eq(heap_bytes(), EXTENT_BYTES);
	cr_assert_eq(extent_alloc(f.pool, EXTENT_SLAB, &next), 0);
	cr_assert_neq(next, unit);
	let_a_second_pass();
	cr_assert_eq(extent_expire(f.pool, false), EXTENT_BYTES);
	cr_assert_eq(heap_bytes(), EXTENT_BYTES);
	extent_free(f.pool, next, EXTENT_SLAB, true);
}

Test(extent, rather_early_than_no_memory)
{
	uint32_t unit;

	for (int i = 0; i < 7; i++)
		cr_assert_eq(extent_alloc(f.pool, EXTENT_SLAB, &unit), 0);
	extent_free(f.pool, unit, EXTENT_SLAB, false);
	cr_assert_eq(extent_alloc(f.pool, EXTENT_SLAB, &unit), 0);
	cr_assert_eq(extent_alloc(f.pool, EXTENT_SLAB, &unit), -ENOMEM);
	for (uint32_t i = 1; i < 8; i++)
		extent_free(f.pool, i * EXTENT_UNITS, EXTENT_SLAB, true);
}

/* What a dead worker had backed for a slab that never came to be is punched by the next. */
Test(extent, unused_memory_is_given_back_at_start)
{
	uint32_t unit;

	extent_alloc(f.pool, EXTENT_SLAB, &unit);
	extent_alloc(f.pool, UNIT_SLAB, &unit);
	cr_assert_eq(heap_bytes(), 2 * EXTENT_BYTES);
	pool_fixture_restart(&f);
	cr_assert_eq(heap_bytes(), 0);
	cr_assert_eq(f.pool->extents.backed_count, 0);
}

Test(extent, used_memory_is_kept_at_start)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	struct fake fake;
	slab_ref ref;

	fake_init(&fake, &f, client, cache);
	ref = fake_alloc(&fake);
	*(uint64_t *)ref_address(fake.view.heap, ref) = 4711;
	pool_fixture_restart(&f);
	fake_remap(&fake);
	cr_assert_eq(heap_bytes(), EXTENT_BYTES);
	cr_assert_eq(f.pool->extents.backed_count, 1);
	cr_assert_eq(*(uint64_t *)ref_address(fake.view.heap, ref), 4711);
	fake_free(&fake, ref);
	fake_flush(&fake);
}

Test(extent, a_failed_fallocate_leaves_nothing)
{
	uint64_t before = heap_bytes();

	/* beyond the end of a region that is sealed against growth */
	cr_assert_lt(backing_extent(&f.pool->backing, f.pool->segment.heap, 16 * MIB), 0);
	cr_assert_eq(heap_bytes(), before);
}
