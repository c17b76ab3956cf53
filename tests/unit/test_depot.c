/* Claims, puts and hints, on the racks of a cache that nobody else uses. */
#include <criterion/criterion.h>
#include <errno.h>

#include "daemon/refill.h"
#include "tests/support/pool_suite.h"

#define ME 5

static struct cache *cache;
static const struct cache_view *view;
static uint32_t cursor;

/* Two racks at least, all empty. */
static void set_up(void)
{
	pool_suite_open();
	cache = pool_fixture_cache(&f, 0, "depot", 64, 0);
	view = &cache->view;
	while (depot_magazines(view) < 3 * RACK_MAGAZINES) {
		struct result result;
		struct claim claim;
		uint32_t any = 0;

		do {
			claim = depot_claim(view, MAGAZINE_EMPTY, ME, UINT32_MAX, &any);
		} while (claim.magazine);
		cr_assert_eq(refill_request(f.pool, cache, 0, true, &result), 0);
	}
	for (uint32_t i = 0; i < depot_magazines(view); i++)
		if (owner_is_held_by(load_relaxed(&depot_magazine(view, i)->owner), ME))
			depot_put(view, i, depot_magazine(view, i));
}

TestSuite(depot, .init = set_up, .fini = pool_suite_close);

static bool has_hint(uint32_t state, uint32_t index)
{
	return load_relaxed(&view->hints[state][index / 64]) >> index % 64 & 1;
}

static struct claim claim_any(uint32_t want)
{
	return depot_claim(view, want, ME, UINT32_MAX, &cursor);
}

static void fill(uint32_t magazines)
{
	struct result result;

	cr_assert_eq(
		refill_request(f.pool, cache, magazines * view->geometry.capacity, false, &result),
		0);
}

static void put_all(void)
{
	for (uint32_t i = 0; i < depot_magazines(view); i++)
		if (owner_is_held_by(load_relaxed(&depot_magazine(view, i)->owner), ME))
			depot_put(view, i, depot_magazine(view, i));
}

Test(depot, new_racks_are_empty_magazines)
{
	cr_assert_eq(refill_count(cache, MAGAZINE_EMPTY), depot_magazines(view));
	cr_assert_eq(refill_count(cache, MAGAZINE_FULL), 0);
	cr_assert_null(claim_any(MAGAZINE_FULL).magazine);
	cr_assert_null(depot_magazine(view, depot_magazines(view)));
}

Test(depot, a_claim_signs_and_counts)
{
	struct claim claim = claim_any(MAGAZINE_EMPTY);
	uint64_t owner;

	cr_assert_not_null(claim.magazine);
	cr_assert_eq(claim.magazine, depot_magazine(view, claim.index));
	owner = load_relaxed(&claim.magazine->owner);
	cr_assert(owner_is_held_by(owner, ME));
	cr_assert_not(has_hint(MAGAZINE_EMPTY, claim.index));
	cr_assert_not(has_hint(MAGAZINE_FULL, claim.index));
	depot_put(view, claim.index, claim.magazine);
	cr_assert_eq(load_relaxed(&claim.magazine->owner),
		     owner_make(MAGAZINE_EMPTY, PARTY_NONE, owner_sequence(owner) + 1));
	cr_assert(has_hint(MAGAZINE_EMPTY, claim.index));
}

Test(depot, every_magazine_once)
{
	uint32_t n = depot_magazines(view);

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < n; i++)
			cr_assert_not_null(claim_any(MAGAZINE_EMPTY).magazine, "%u of %u", i, n);
		cr_assert_null(claim_any(MAGAZINE_EMPTY).magazine);
		for (uint32_t i = 0; i < n; i++)
			cr_assert(owner_is_held_by(load_relaxed(&depot_magazine(view, i)->owner),
						   ME));
		put_all();
	}
}

Test(depot, one_that_was_put_back_can_be_had_again)
{
	struct claim one = {0}, again;

	for (struct claim c; (c = claim_any(MAGAZINE_EMPTY)).magazine;)
		one = c;
	depot_put(view, one.index, one.magazine);
	again = claim_any(MAGAZINE_EMPTY);
	cr_assert_eq(again.index, one.index);
	put_all();
}

Test(depot, full_means_has_rounds)
{
	struct claim claim;

	fill(1);
	claim = claim_any(MAGAZINE_FULL);
	cr_assert_not_null(claim.magazine);
	cr_assert_gt(magazine_count(claim.magazine), 0);
	cr_assert_not(has_hint(MAGAZINE_FULL, claim.index));
	depot_put(view, claim.index, claim.magazine);
	cr_assert_eq(owner_state(load_relaxed(&claim.magazine->owner)), MAGAZINE_FULL);
	cr_assert(has_hint(MAGAZINE_FULL, claim.index));
}

/* Claimed between a searcher's look at the hint and its compare-and-swap. */
Test(depot, a_claim_that_fails_leaves_the_hint)
{
	struct claim claim = claim_any(MAGAZINE_EMPTY);

	or_relaxed(&view->hints[MAGAZINE_EMPTY][claim.index / 64], UINT64_C(1) << claim.index % 64);
	cr_assert_not(depot_claim_index(view, MAGAZINE_EMPTY, ME + 1, claim.index));
	cr_assert(has_hint(MAGAZINE_EMPTY, claim.index));
	cr_assert(owner_is_held_by(load_relaxed(&claim.magazine->owner), ME));
	depot_put(view, claim.index, claim.magazine);
}

/* Killed after the claim's compare-and-swap, or between a put's two steps: a hint too many. */
Test(depot, a_hint_without_magazine_costs_one_look)
{
	struct claim full;

	fill(1);
	full = claim_any(MAGAZINE_FULL);
	for (struct claim c; (c = claim_any(MAGAZINE_FULL)).magazine;)
		;
	or_relaxed(&view->hints[MAGAZINE_FULL][full.index / 64], UINT64_C(1) << full.index % 64);
	cr_assert_null(claim_any(MAGAZINE_FULL).magazine);
	cr_assert(has_hint(MAGAZINE_FULL, full.index), "it is the holder's to clear");
	put_all();
	cr_assert_not_null(claim_any(MAGAZINE_FULL).magazine);
	put_all();
}

Test(depot, claims_by_number)
{
	cr_assert(depot_claim_index(view, MAGAZINE_EMPTY, ME, 70));
	cr_assert_not(has_hint(MAGAZINE_EMPTY, 70));
	cr_assert_not(depot_claim_index(view, MAGAZINE_EMPTY, ME, 70));
	cr_assert_not(depot_claim_index(view, MAGAZINE_FULL, ME, 70));
	cr_assert_not(depot_claim_index(view, MAGAZINE_FULL, ME, 71));
	cr_assert_not(depot_claim_index(view, MAGAZINE_EMPTY, ME, depot_magazines(view)));
	put_all();
}

Test(depot, count_max_finds_one_with_room)
{
	uint32_t capacity = view->geometry.capacity, client = pool_fixture_attach(&f);
	struct fake fake;
	slab_ref ref;
	struct claim claim;

	fill(1);
	cr_assert_null(depot_claim(view, MAGAZINE_FULL, ME, capacity - 1, &cursor).magazine);
	fake_init(&fake, &f, client, cache);
	ref = fake_alloc(&fake);
	fake_flush(&fake);
	claim = depot_claim(view, MAGAZINE_FULL, ME, capacity - 1, &cursor);
	cr_assert_not_null(claim.magazine);
	cr_assert_eq(magazine_count(claim.magazine), capacity - 1);
	depot_put(view, claim.index, claim.magazine);
	cr_assert(fake_free(&fake, ref));
	fake_flush(&fake);
}

/* EMPTY upwards from the cursor, and round. */
Test(depot, the_cursor_stays_where_it_found)
{
	uint32_t racks = depot_magazines(view) / RACK_MAGAZINES;

	cursor = 64 + 5;
	for (uint32_t i = 5; i < 64; i++) {
		cr_assert_eq(claim_any(MAGAZINE_EMPTY).index, 64 + i);
		cr_assert_eq(cursor, 64 + i);
	}
	for (uint32_t i = 0; i < 5; i++)
		cr_assert_eq(claim_any(MAGAZINE_EMPTY).index, 64 + i, "the rack's rest");
	cr_assert_eq(claim_any(MAGAZINE_EMPTY).index, 2 % racks * 64);
	cursor = (racks - 1) * 64;
	for (int i = 0; i < 64; i++)
		claim_any(MAGAZINE_EMPTY);
	cr_assert_not_null(claim_any(MAGAZINE_EMPTY).magazine, "the search goes round");
	cursor = 4711 * 64;
	cr_assert_not_null(claim_any(MAGAZINE_EMPTY).magazine, "a cursor of another time");
	cr_assert_lt(cursor, racks * 64);
	put_all();
}

/* FULL downwards: the last that was put comes first. */
Test(depot, full_ones_are_a_stack)
{
	slab_ref refs[70];
	uint32_t first = 64, n = 0;

	cursor = first;
	for (; n < 70; n++) {
		struct claim claim = claim_any(MAGAZINE_EMPTY);

		cr_assert_eq(claim.index, first + n);
		refs[n] = 16 * (n + 1);
		store_relaxed(&claim.magazine->rounds[0], refs[n]);
		store_relaxed(&claim.magazine->count, 1);
		depot_put(view, claim.index, claim.magazine);
	}
	while (n--) {
		struct claim claim = claim_any(MAGAZINE_FULL);

		cr_assert_eq(claim.index, first + n);
		cr_assert_eq(load_relaxed(&claim.magazine->rounds[0]), refs[n]);
		store_relaxed(&claim.magazine->count, 0);
		store_relaxed(&claim.magazine->rounds[0], REF_NONE);
		depot_put(view, claim.index, claim.magazine);
	}
}

Test(depot, a_search_in_vain_looks_everywhere)
{
	cursor = 64;
	for (struct claim c; (c = claim_any(MAGAZINE_EMPTY)).magazine;)
		;
	depot_put(view, 0, depot_magazine(view, 0));
	cursor = 64;
	cr_assert_eq(claim_any(MAGAZINE_EMPTY).magazine, depot_magazine(view, 0));
	put_all();
}

Test(depot, low_water)
{
	uint32_t full;

	cr_assert(depot_low(view, 1, 0));
	cr_assert_not(depot_low(view, 0, 0));
	fill(4);
	full = refill_count(cache, MAGAZINE_FULL);
	cr_assert_geq(full, 4);
	cr_assert_not(depot_low(view, 4, 0));
	cr_assert_not(depot_low(view, full, 2));
	cr_assert(depot_low(view, full + 1, 2));
	cr_assert_not(depot_low(view, full, 4711));
}

/* By owner words: a hint alone is none. */
Test(depot, any_of_a_state)
{
	cr_assert(depot_any(view, MAGAZINE_EMPTY));
	cr_assert_not(depot_any(view, MAGAZINE_FULL));
	or_relaxed(&view->hints[MAGAZINE_FULL][1], UINT64_C(1) << 7);
	cr_assert_not(depot_any(view, MAGAZINE_FULL));
	fill(1);
	cr_assert(depot_any(view, MAGAZINE_FULL));
	for (struct claim c; (c = claim_any(MAGAZINE_FULL)).magazine;)
		;
	cr_assert_not(depot_any(view, MAGAZINE_FULL));
	put_all();
}

Test(depot, one_ring_until_the_daemon_came)
{
	cr_assert(depot_ring(view));
	cr_assert_not(depot_ring(view));
	refill_doorbell(cache);
	cr_assert(depot_ring(view));
	fill(1);
	cr_assert(depot_ring(view));
}

Test(depot, a_doorbell_brings_it_over_low_water)
{
	refill_doorbell(cache);
	refill_doorbell(cache);
	cr_assert_not(depot_low(view, 4, 0));
}

Test(depot, a_rack_table_entry_out_of_bounds_is_no_rack)
{
	uint32_t page = load_relaxed(&view->rack_table[0]);

	store_relaxed(&view->rack_table[0], (uint32_t)view->depot_pages + 1);
	cr_assert_null(depot_magazine(view, 0));
	cursor = 0;
	cr_assert_eq(claim_any(MAGAZINE_EMPTY).index, 64);
	store_relaxed(&view->rack_table[0], page);
	put_all();
}

Test(depot, counters_are_striped)
{
	cr_assert_eq(depot_counters(view, 3), depot_counters(view, 3 + COUNTER_STRIPES));
	cr_assert_neq(depot_counters(view, 3), depot_counters(view, 4));
	cr_assert_eq((char *)depot_counters(view, 7), (char *)view->control + 128 + 7 * 64);
}
