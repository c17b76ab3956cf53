/* Rounds between slabs and depot, and memory between slabs, extents and the system, as victims: fills,
 * drains, racks, the reaper. */
#include "tests/crash/worker_shapes.h"

#include <string.h>

#include "daemon/extent.h"
#include "daemon/reap.h"
#include "daemon/refill.h"
#include "daemon/settings.h"
#include "daemon/slab.h"

static void take_shrunk(void *arg, const struct result *got, uint64_t bytes)
{
	(void)bytes;
	*(struct result *)arg = *got;
}

/* ---------------------------------------------------------------- shapes */

/* The next magazine that is filled takes the last object of the slab, and more. */
static void plain_slab_low(void)
{
	work();
	while (cache->in_slabs >= ROUNDS)
		fill_one(cache);
	if (!cache->in_slabs) /* a slab holds no whole number of magazines */
		refill_request(pool, cache, 1, false, &result);
	while (cache->in_slabs >= ROUNDS)
		fill_one(cache);
	if (!cache->in_slabs)
		die("victim: %llu objects are in %llu slabs", (unsigned long long)cache->in_slabs,
		    (unsigned long long)cache->slabs);
}

static void plain_all_handed_out(void)
{
	uint32_t full;

	work();
	do {
		full = refill_count(cache, MAGAZINE_FULL);
		fill_one(cache);
	} while (refill_count(cache, MAGAZINE_FULL) > full);
}

/* And nothing in the depot: a refill has to fail. */
static void plain_no_memory(void)
{
	struct claim claim;

	if (slabd_attach(&me, "crash") < 0 || slabd_cache_open(me, "plain", &my_cache) < 0)
		die("victim: %s", slabd_error());
	plain_all_handed_out();
	while ((claim = depot_claim(&cache->view, MAGAZINE_FULL, client_id(), UINT32_MAX,
				    &cache->full_cursor))
		       .magazine) /* the hint of a claimer that was killed before it cleared it */
		or_relaxed(&cache->view.hints[MAGAZINE_FULL][0],
			   UINT64_C(1) << claim.index % RACK_MAGAZINES);
}

static void plain_no_calloc(void)
{
	plain_slab_low();
	lies.calloc = 1;
}

/* Another cache has empty slabs in store; those of the depot are in them as well. */
static void other_with_slabs(unsigned slabs)
{
	struct cache *other;

	if (registry_create(pool, 0, 1, MADE, &made, &other, &result) < 0)
		die("victim: %s", result.why);
	for (unsigned i = 0; other->slabs < slabs && i < SLABS * SLAB_OBJECTS; i++)
		fill_one(other);
	refill_drain(other, UINT32_MAX, UINT32_MAX);
	if (other->slabs != slabs || !other->in_slabs)
		die("victim: there is nothing to borrow");
}

static void plain_borrows(void)
{
	plain_slab_low();
	other_with_slabs(3);
}

/* Half an extent is in use, and one is not backed. */
static void plain_new_extent(void)
{
	plain_slab_low();
	other_with_slabs(1);
}

static void plain_new_extent_no_memory(void)
{
	plain_new_extent();
	lies.extent = true;
}

/* A slab that was given up a moment ago, and one of a second ago. */
static void plain_limbo(void)
{
	struct limbo *limbo;

	plain_borrows();
	slab_release_empty(pool->caches[MADE_ID], 0, false);
	TAILQ_FOREACH (limbo, &pool->extents.limbo, link)
		limbo->since = 0;
}

static void plain_limbo_young(void)
{
	plain_borrows();
	slab_release_empty(pool->caches[MADE_ID], 0, false);
}

/* ---------------------------------------------------------------- fill */

static void do_fill(void)
{
	fill_one(cache);
}

static void do_fill_batch(void)
{
	refill_request(pool, cache, 1, false, &result);
}

static void do_fill_much(void)
{
	refill_request(pool, cache, 1000, false, &result);
}

static void do_fill_empty(void)
{
	refill_request(pool, cache, 0, true, &result);
}

static void do_doorbell(void)
{
	refill_doorbell(cache);
}

static void plain_rung(void)
{
	plain_slab_low();
	refill_drain(cache, UINT32_MAX, UINT32_MAX);
	depot_ring(&cache->view);
}

/* The client holds every empty magazine. */
static void plain_no_empty(void)
{
	uint32_t cursor = 0;

	plain_client();
	while (depot_claim(&cache->view, MAGAZINE_EMPTY, client_id(), UINT32_MAX, &cursor).magazine)
		;
}

static void plain_damaged(void)
{
	work();
	store_relaxed(&pool->segment.super->damaged, 1);
}

static void plain_hostile_fill(void)
{
	uint32_t cursor = 0;
	struct claim claim;

	work();
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, world.survivor_id, UINT32_MAX, &cursor);
	depot_put(&cache->view, claim.index, claim.magazine);
	store_relaxed(&claim.magazine->count, 1000);
	for (uint32_t i = 0; i < SLAB_OBJECTS; i++) {
		slab_tag *tag = cache_tag(&cache->view, object_ref(0, i));

		if (tag_state(load_relaxed(tag)) == TAG_SLAB)
			store_relaxed(tag, tag_make(world.survivor_id, TAG_LIVE, 0));
	}
}

/* The depot has no room for another rack. */
static void plain_depot_full(void)
{
	plain_no_empty();
	memset(pool->depot_used, 0xff, (pool->segment.super->depot_pages / 64 + 1) * 8);
}

/* Nor for one of four pages, where there is one page here and there. */
static void depot_in_pieces(void)
{
	work();
	memset(pool->depot_used, 0xff, (pool->segment.super->depot_pages / 64 + 1) * 8);
	for (unsigned i = 1; i < 4; i++)
		pool->depot_used[i] = UINT64_C(0x5555555555555555);
}

static void do_create_wide(void)
{
	static const struct geometry_request wide = {.object_size = OBJECT_BYTES, .magazine = 40};

	registry_create(pool, 0, 1, MADE, &wide, &cache, &result);
}

static void do_fill_unpunched(void)
{
	lies.punch = 1; /* the file system does not know how */
	do_fill();
}

static void plain_racks_full(void)
{
	plain_threads();
	pool->segment.max_racks = load_relaxed(&cache->view.desc->racks);
}

static void do_add_racks(void)
{
	refill_racks(cache);
	refill_request(pool, cache, 0, true, &result);
}

/* Batches after a short and a long while, up to their bounds. */
static void do_batches(void)
{
	store_relaxed(&cache->view.desc->batch, 0);
	for (unsigned i = 0; i < 3; i++) {
		cache->batch = i ? 2 * BATCH_MAX : 1;
		cache->filled_at = i == 1 ? 0 : pool_now();
		refill_doorbell(cache);
		refill_drain(cache, UINT32_MAX, UINT32_MAX);
	}
}

static const struct geometry_request small = {.object_size = 500, .magazine = 60};

static void small_cache(void)
{
	work();
	if (registry_create(pool, 0, 1, MADE, &small, &cache, &result) < 0)
		die("victim: %s", result.why);
}

static void small_full(void)
{
	small_cache();
	fill_one(cache);
}

/* The half of an extent that is free has a small slab in it. */
static void plain_hole(void)
{
	small_full();
	cache = pool->caches[PLAIN + 1];
	while (cache->in_slabs >= ROUNDS)
		fill_one(cache);
}

static void plain_nothing_in_slabs(void)
{
	slab_ref refs[SLAB_OBJECTS];

	plain_full();
	while (slab_take(cache, refs, SLAB_OBJECTS))
		;
}

/* What nobody asks who knows the lists. */
static void do_take_none(void)
{
	slab_ref ref;

	slab_take(cache, &ref, 1);
	slab_return(cache, 5);
}

/* Objects so small that a fill by bytes would have no bound. */
static void do_fill_small(void)
{
	fill_one(cache);
	fill_one(cache);
}

/* ---------------------------------------------------------------- drain and give back */

static void do_drain(void)
{
	refill_drain(cache, UINT32_MAX, UINT32_MAX);
}

static void do_reap(void)
{
	reap_periodic(cache);
}

static void do_tick(void)
{
	pool->ticks = 14;
	pool_tick(pool);
	run();
}

static void other_empty(void)
{
	work();
	other_with_slabs(3);
	cache = pool->caches[MADE_ID];
}

static void do_close_pool(void)
{
	pool_close(pool);
}

static void do_shrink(void)
{
	reap_shrink(pool, NULL, take_shrunk, &result);
	run();
}

static void do_expire(void)
{
	extent_expire(pool, false);
}

static void plain_hostile_drain(void)
{
	uint32_t cursor = 0;
	struct claim claim;

	plain_full();
	/* a count over the capacity, and a round that is none, one that is live, one twice */
	claim = depot_claim(&cache->view, MAGAZINE_FULL, world.survivor_id, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0], 5);
	store_relaxed(&claim.magazine->rounds[1],
		      object_of(&world.live, PLAIN, world.survivor_id, 0));
	store_relaxed(&claim.magazine->rounds[2], object_ref(SLABS, 0));
	store_relaxed(&claim.magazine->count, 1000);
	depot_put(&cache->view, claim.index, claim.magazine);
}

/* A tag that says CIRC in a magazine, of an object that the worker has in its slab. */
static void plain_hostile_return(void)
{
	uint32_t cursor = 0;
	struct claim claim;

	plain_full();
	claim = depot_claim(&cache->view, MAGAZINE_FULL, world.survivor_id, UINT32_MAX, &cursor);
	for (uint32_t i = 0; i < SLAB_OBJECTS; i++) {
		slab_tag *tag = cache_tag(&cache->view, object_ref(0, i));

		if (tag_state(load_relaxed(tag)) != TAG_SLAB)
			continue;
		store_relaxed(tag, tag_make(0, TAG_CIRC, 0));
		store_relaxed(&claim.magazine->rounds[0], object_ref(0, i));
	}
	depot_put(&cache->view, claim.index, claim.magazine);
}

/* ---------------------------------------------------------------- caches come and go */

static void do_shrink_in_slices(void)
{
	slice = 500000;
	do_shrink();
}

const struct crash_case refill_cases[] = {
	CASE("fill", PLAIN, work, do_fill, .core = true),
	CASE("fill, a batch", PLAIN, work, do_fill_batch),
	CASE("fill, much", PLAIN, work, do_fill_much),
	CASE("fill, carve", PLAIN, plain_slab_low, do_fill, .core = true),
	CASE("fill, borrow", PLAIN, plain_borrows, do_fill),
	CASE("fill, out of limbo", PLAIN, plain_limbo_young, do_fill),
	CASE("fill, heap full", PLAIN, plain_all_handed_out, do_fill),
	CASE("fill, no memory", PLAIN, plain_no_memory, do_fill),
	CASE("fill, carve, new extent", PLAIN, plain_new_extent, do_fill),
	CASE("fill, no extent", PLAIN, plain_new_extent_no_memory, do_fill),
	CASE("fill, no memory of its own", PLAIN, plain_no_calloc, do_fill),
	CASE("fill, another rack", PLAIN, plain_threads, do_fill),
	CASE("fill, no room for a rack", PLAIN, plain_depot_full, do_fill),
	CASE("racks, too many", PLAIN, plain_racks_full, do_add_racks),
	CASE("racks, wide, no room", PLAIN, depot_in_pieces, do_create_wide),
	CASE("racks, wide", PLAIN, work, do_create_wide),
	CASE("rack, can't be punched", PLAIN, plain_threads, do_fill_unpunched),
	CASE("fill, carve beside a hole", PLAIN, plain_hole, do_fill),
	CASE("slabs, nothing to take", PLAIN, plain_nothing_in_slabs, do_take_none,
	     .hostile = true),
	CASE("batches", PLAIN, plain_full, do_batches),
	CASE("fill, small objects", PLAIN, small_cache, do_fill_small),
	CASE("drain, small objects", PLAIN, small_full, do_drain),
	CASE("fill, no empty magazine", PLAIN, plain_no_empty, do_fill),
	CASE("fill, hostile", PLAIN, plain_hostile_fill, do_fill_much, .hostile = true),
	CASE("refill, empty ones", PLAIN, plain_no_empty, do_fill_empty),
	CASE("refill, damaged", PLAIN, plain_damaged, do_fill, .hostile = true),
	CASE("doorbell", PLAIN, plain_rung, do_doorbell),
	CASE("doorbell, damaged", PLAIN, plain_damaged, do_doorbell, .hostile = true),
	CASE("drain", PLAIN, plain_full, do_drain, .core = true),
	CASE("drain, hostile", PLAIN, plain_hostile_drain, do_drain, .hostile = true),
	CASE("drain, hostile tag", PLAIN, plain_hostile_return, do_drain, .hostile = true),
	CASE("reap", PLAIN, plain_slab_low, do_reap),
	CASE("reap, empty slabs", PLAIN, other_empty, do_reap),
	CASE("shrink, empty slabs", PLAIN, other_empty, do_shrink),
	CASE("end", PLAIN, plain_limbo_young, do_close_pool),
	CASE("tick", PLAIN, plain_rung, do_tick),
	CASE("tick, no empty magazine", PLAIN, plain_no_empty, do_tick),
	CASE("shrink", PLAIN, plain_client, do_shrink, .core = true),
	CASE("shrink, in slices", PLAIN, plain_full, do_shrink_in_slices),
	CASE("limbo", PLAIN, plain_limbo, do_expire),
	CASE("limbo, young", PLAIN, plain_limbo_young, do_expire),
};
const unsigned refill_cases_n = sizeof(refill_cases) / sizeof(*refill_cases);
