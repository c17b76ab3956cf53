/* The slab layer: carved, taken from the fullest, returned, given up, rebuilt from tags. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/extent.h"
#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_suite.h"

static struct cache *cache;

static void set_up(void)
{
	pool_suite_open();
	cache = pool_fixture_cache(&f, 0, "c", 1000, 0);
}

TestSuite(slab, .init = set_up, .fini = pool_suite_close);

static uint32_t objects(void)
{
	return cache->view.geometry.objects;
}

/* Takes n of one slab, as the worker does; what was taken is given back by give(). */
static uint32_t take(slab_ref *refs, uint32_t n)
{
	return slab_take(cache, refs, n);
}

static void give(const slab_ref *refs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		cr_assert(slab_return(cache, refs[i]));
}

Test(slab, carve)
{
	slab_ref ref = (slab_ref)(EXTENT_BYTES >> REF_SHIFT);
	uint32_t same = 0, last = 0;

	cr_assert_eq(slab_carve(cache), 0);
	cr_assert_eq(cache->slabs, 1);
	cr_assert_eq(cache->in_slabs, objects());
	cr_assert_eq(load_relaxed(&f.pool->segment.slab_table[EXTENT_UNITS]), cache->view.word);
	for (uint32_t i = 0; i < objects(); i++, ref += cache->view.geometry.stride >> REF_SHIFT) {
		uint32_t tag = load_relaxed(cache_tag(&cache->view, ref));

		cr_assert_eq(tag_state(tag), TAG_SLAB);
		cr_assert_eq(tag_owner(tag), PARTY_NONE);
		same += tag_generation(tag) == last;
		last = tag_generation(tag);
	}
	cr_assert_lt(same, objects() / 4, "generations start at random");
}

Test(slab, nothing_to_take_without_a_slab)
{
	slab_ref ref;

	cr_assert_eq(take(&ref, 1), 0);
}

Test(slab, take_goes_up_and_hands_out_down)
{
	slab_ref refs[8];

	cr_assert_eq(slab_carve(cache), 0);
	cr_assert_eq(take(refs, 8), 8);
	cr_assert_eq(refs[7], EXTENT_BYTES >> REF_SHIFT, "the lowest is popped first");
	for (int i = 1; i < 8; i++)
		cr_assert_lt(refs[i], refs[i - 1]);
	cr_assert_eq(cache->in_slabs, objects() - 8);
	give(refs, 8);
	cr_assert_eq(cache->in_slabs, objects());
}

Test(slab, at_most_one_slab_at_a_time)
{
	slab_ref refs[1024];

	slab_carve(cache);
	slab_carve(cache);
	cr_assert_eq(take(refs, 1024), objects());
	give(refs, objects());
}

Test(slab, fullest_first)
{
	slab_ref a[1024], b[1024], one;
	uint32_t n = objects(), slab;

	slab_carve(cache);
	slab_carve(cache);
	cr_assert_eq(take(a, n), n);
	cr_assert_eq(take(b, n), n);
	give(a, n / 2);
	give(b, n / 8);
	/* b has fewer objects left, so it gives */
	slab = geometry_slab(&cache->view.geometry, b[0]);
	for (uint32_t i = 0; i < n / 8; i++) {
		cr_assert_eq(take(&one, 1), 1);
		cr_assert_eq(geometry_slab(&cache->view.geometry, one), slab);
	}
	cr_assert_eq(take(&one, 1), 1);
	cr_assert_neq(geometry_slab(&cache->view.geometry, one), slab);
	give(&one, 1);
	give(a + n / 2, n - n / 2);
	give(b, n);
	cr_assert_eq(cache->in_slabs, 2 * n);
}

Test(slab, partial_before_empty)
{
	slab_ref a, b;

	slab_carve(cache);
	slab_carve(cache);
	take(&a, 1);
	take(&b, 1);
	cr_assert_eq(geometry_slab(&cache->view.geometry, a),
		     geometry_slab(&cache->view.geometry, b));
	give(&a, 1);
	give(&b, 1);
}

/* By the bitmap, whatever the tags say (2 in the head of slab.c). */
Test(slab, returned_once)
{
	slab_ref ref;

	slab_carve(cache);
	take(&ref, 1);
	cr_assert(slab_return(cache, ref));
	cr_assert_not(slab_return(cache, ref));
	cr_assert_not(slab_return(cache, ref + 1), "no object's base");
	cr_assert_not(slab_return(cache, REF_NONE));
	cr_assert_not(slab_return(cache, UINT32_MAX));
	cr_assert_eq(cache->in_slabs, objects());
}

Test(slab, a_forged_tag_hands_out_nothing_twice)
{
	uint32_t n = objects(), got = 0;
	slab_ref *refs = calloc(n, sizeof(*refs)), more;

	slab_carve(cache);
	while (got < n)
		got += take(refs + got, 7 < n - got ? 7 : n - got);
	for (uint32_t i = 0; i < n; i++)
		store_relaxed(cache_tag(&cache->view, refs[i]), tag_make(0, TAG_SLAB, 1));
	cr_assert_eq(take(&more, 1), 0);
	give(refs, n);
	free(refs);
}

Test(slab, find)
{
	slab_ref ref;
	struct slab *slab;

	slab_carve(cache);
	take(&ref, 1);
	slab = slab_find(cache, ref);
	cr_assert_not_null(slab);
	cr_assert_eq(slab->unit, EXTENT_UNITS);
	cr_assert_null(slab_find(cache, ref + 1));
	cr_assert_null(slab_find(cache, ref + (1u << 20)), "another unit, not in the table");
	give(&ref, 1);
}

Test(slab, release_empty)
{
	slab_ref ref;

	slab_carve(cache);
	slab_carve(cache);
	slab_carve(cache);
	take(&ref, 1);
	slab_release_empty(cache, 1, true);
	cr_assert_eq(cache->slabs, 2);
	slab_release_empty(cache, 0, true);
	cr_assert_eq(cache->slabs, 1);
	give(&ref, 1);
	cr_assert_eq(slab_release_empty(cache, 0, true), EXTENT_BYTES);
	cr_assert_eq(cache->slabs, 0);
	cr_assert_eq(cache->in_slabs, 0);
	cr_assert_eq(load_relaxed(&f.pool->segment.slab_table[EXTENT_UNITS]), SLAB_WORD_NONE);
}

Test(slab, all_of_the_heap)
{
	uint32_t n = 0, per = EXTENT_BYTES >> cache->view.geometry.slab_shift;
	int r;

	while ((r = slab_carve(cache)) == 0)
		n++;
	cr_assert_eq(r, -ENOMEM);
	cr_assert_eq(n, 7 * per, "all but the first extent");
	slab_release_empty(cache, 0, true);
}

/* What a new worker finds: the same lists, whatever the slabs held. */
Test(slab, rebuilt_from_tags)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *c = pool_fixture_cache(&f, client, "c", 1000, 0);
	uint64_t slabs, in_slabs;
	slab_ref refs[600];
	char before[100], after[100];
	struct fake fake;
	uint32_t n = 0;

	fake_init(&fake, &f, client, c);
	cr_assert_eq(fake_alloc_many(&fake, refs, 600), 600);
	for (uint32_t i = 0; i < 600; i++)
		if (pool_fixture_random(&f, 3))
			fake_free(&fake, refs[i]);
		else
			refs[n++] = refs[i];
	fake_flush(&fake);
	refill_drain(c, 10, UINT32_MAX);
	slabs = c->slabs;
	in_slabs = c->in_slabs;
	stats_map(c, before, sizeof(before));
	pool_fixture_restart(&f);
	cache = c = registry_by_name(f.pool, "c");
	stats_map(c, after, sizeof(after));
	cr_assert_eq(c->slabs, slabs);
	cr_assert_eq(c->in_slabs, in_slabs);
	cr_assert_str_eq(before, after);
	fake_remap(&fake);
	fake_free_many(&fake, refs, n);
	fake_flush(&fake);
}

Test(slab, map_of_slabs)
{
	char map[8];
	slab_ref refs[1024];
	uint32_t n = objects();

	slab_carve(cache);
	slab_carve(cache);
	cr_assert_eq(stats_map(cache, map, sizeof(map)), 2);
	cr_assert_str_eq(map, "..");
	cr_assert_eq(take(refs, n), n);
	stats_map(cache, map, sizeof(map));
	cr_assert(!strcmp(map, "#.") || !strcmp(map, ".#"), "%s", map);
	give(refs, n / 2);
	stats_map(cache, map, sizeof(map));
	cr_assert(strchr(map, '5') || strchr(map, '6'), "%s", map);
	cr_assert_eq(stats_map(cache, map, 2), 2, "how many there are, not how many fit");
	cr_assert_eq(strlen(map), 1);
	cr_assert_eq(stats_map(cache, map, 1), 2);
	cr_assert_eq(strlen(map), 0);
	give(refs + n / 2, n - n / 2);
}
