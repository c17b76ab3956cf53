/* A client dies: its magazines come back, its objects too or as orphans, and its id only when no tag
 * names it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/refill.h"
#include "tests/support/pool_suite.h"

#define MANY 3000u

TestSuite(reclaim, .init = pool_suite_open, .fini = pool_suite_close);

static uint32_t state_of(uint32_t client)
{
	return load_relaxed(&clients_record(f.pool, client)->state);
}

Test(reclaim, with_nothing)
{
	uint32_t id = pool_fixture_attach(&f);

	pool_fixture_cache(&f, id, "c", 64, 0);
	pool_fixture_kill(&f, id);
	cr_assert_eq(state_of(id), CLIENT_FREE);
}

static void die_with(uint32_t flags, uint32_t objects, bool flushed)
{
	uint32_t id = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, flags);
	slab_ref *refs = calloc(objects + 1, sizeof(*refs));
	struct audit_count n;
	struct fake fake;

	fake_init(&fake, &f, id, cache);
	cr_assert_eq(fake_alloc_many(&fake, refs, objects), objects);
	if (flushed)
		fake_flush(&fake);
	pool_fixture_audit(&f);
	pool_fixture_kill(&f, id);
	n = pool_fixture_count(&f, cache);
	cr_assert_eq(n.live, 0);
	cr_assert_eq(n.orphaned, flags & GEOMETRY_RECLAIM ? 0 : objects);
	cr_assert_eq(state_of(id), n.orphaned ? CLIENT_TOMB : CLIENT_FREE);
	cr_assert_eq(load_relaxed(&clients_record(f.pool, id)->orphans), n.orphaned);
	cr_assert_eq(f.pool->tombs, n.orphaned > 0);
	cr_assert_eq(cache->opens, 0);
	free(refs);
}

Test(reclaim, magazine_held)
{
	die_with(0, 1, false);
}

Test(reclaim, objects_become_orphans)
{
	die_with(0, MANY, true);
}

Test(reclaim, objects_are_freed_in_a_reclaim_cache)
{
	die_with(GEOMETRY_RECLAIM, MANY, false);
}

Test(reclaim, all_caches_that_were_ever_open)
{
	uint32_t id = pool_fixture_attach(&f);
	struct cache *kept = pool_fixture_cache(&f, id, "kept", 64, 0);
	struct cache *freed = pool_fixture_cache(&f, id, "freed", 300, GEOMETRY_RECLAIM);
	struct fake a, b;
	slab_ref refs[50];
	struct result result;

	fake_init(&a, &f, id, kept);
	fake_init(&b, &f, id, freed);
	fake_alloc_many(&a, refs, 50);
	fake_alloc_many(&b, refs, 50);
	/* closed, with a magazine and objects of it still in hand */
	cr_assert_eq(registry_close(f.pool, id, freed->view.id, freed->serial, &result), 0);
	pool_fixture_kill(&f, id);
	cr_assert_eq(pool_fixture_count(&f, kept).orphaned, 50);
	cr_assert_eq(pool_fixture_count(&f, freed).orphaned, 0);
	cr_assert_eq(pool_fixture_count(&f, freed).live, 0);
}

Test(reclaim, freeing_comes_back_from_every_cache)
{
	uint32_t id = pool_fixture_attach(&f), other = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, 0);
	struct fake mine, theirs;
	slab_ref ref;
	uint32_t tag;

	pool_fixture_cache(&f, other, "c", 64, 0);
	fake_init(&mine, &f, id, cache);
	fake_init(&theirs, &f, other, cache);
	ref = fake_alloc(&theirs);
	tag = load_relaxed(fake_tag(&theirs, ref));
	/* parked, or killed right after the CAS */
	store_relaxed(fake_tag(&theirs, ref), tag_make(id, TAG_FREEING, tag_generation(tag)));
	pool_fixture_kill(&f, id);
	cr_assert_eq(load_relaxed(fake_tag(&theirs, ref)),
		     tag_make(PARTY_NONE, TAG_SLAB, tag_generation(tag) + 1));
	cr_assert_eq(state_of(id), CLIENT_FREE, "what it was freeing is no orphan");
	fake_flush(&theirs);
}

Test(reclaim, a_tombs_id_is_not_used_again)
{
	uint32_t id = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, 0);
	struct fake fake;
	slab_ref ref;

	fake_init(&fake, &f, id, cache);
	ref = fake_alloc(&fake);
	pool_fixture_kill(&f, id);
	for (int i = 0; i < 40; i++) {
		uint32_t other = pool_fixture_attach(&f);

		cr_assert_neq(other, id);
		if (i == 20)
			pool_fixture_restart(&f);
		pool_fixture_kill(&f, other);
	}
	cr_assert(clients_is_tomb(f.pool, id));
	cr_assert_eq(f.pool->tombs, 1);
	fake_remap(&fake);
	cr_assert_eq(tag_owner(load_relaxed(fake_tag(&fake, ref))), id);
}

Test(reclaim, an_orphan_freed_by_anyone_buries_its_tomb)
{
	uint32_t id = pool_fixture_attach(&f), other;
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, 0);
	struct fake fake;
	slab_ref ref;

	fake_init(&fake, &f, id, cache);
	ref = fake_alloc(&fake);
	pool_fixture_kill(&f, id);
	other = pool_fixture_attach(&f);
	fake_init(&fake, &f, other, cache);
	cr_assert(fake_free(&fake, ref));
	fake_flush(&fake);
	for (int i = 0; i < 15; i++)
		pool_tick(f.pool);
	pool_fixture_run(&f);
	cr_assert_eq(state_of(id), CLIENT_FREE);
	cr_assert_eq(f.pool->tombs, 0);
}

/* Killed at any step of its work, a worker's reclaim is begun again by the next. */
static void restart_within_reclaim(uint32_t flags, uint32_t steps)
{
	uint32_t id = pool_fixture_attach_gone(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, flags);
	slab_ref refs[MANY];
	struct audit_count n;
	struct fake fake;

	fake_init(&fake, &f, id, cache);
	cr_assert_eq(fake_alloc_many(&fake, refs, MANY), MANY);
	clients_died(f.pool, id, NULL, NULL);
	for (uint32_t i = 0; i < steps; i++) {
		struct job *job = TAILQ_FIRST(&f.pool->jobs);

		if (job && job->step(job, 0))
			break;
	}
	pool_fixture_restart(&f);
	pool_fixture_run(&f);
	cache = registry_by_name(f.pool, "c");
	n = pool_fixture_count(&f, cache);
	cr_assert_eq(n.live, 0);
	cr_assert_eq(n.orphaned, flags & GEOMETRY_RECLAIM ? 0 : MANY);
	cr_assert_eq(state_of(id), n.orphaned ? CLIENT_TOMB : CLIENT_FREE);
	cr_assert_eq(cache->opens, 0);
	pool_fixture_audit(&f);
}

Test(reclaim, begun_again)
{
	for (uint32_t steps = 0; steps < 12; steps++) {
		restart_within_reclaim(0, steps);
		pool_suite_close();
		pool_suite_open();
		restart_within_reclaim(GEOMETRY_RECLAIM, steps);
		pool_suite_close();
		pool_suite_open();
	}
}

/* Killed between the last two stores, in either order: the bitmaps are clean, or the state is. */
static void killed_at_the_end(uint32_t flags, bool state_first)
{
	uint32_t id = pool_fixture_attach_gone(&f), orphans = flags ? 0 : 5;
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, flags);
	struct fake fake;
	slab_ref refs[5];

	fake_init(&fake, &f, id, cache);
	fake_alloc_many(&fake, refs, 5);
	clients_died(f.pool, id, NULL, NULL);
	pool_fixture_stop_at_finish(&f);
	if (state_first)
		store_relaxed(&clients_record(f.pool, id)->state, CLIENT_TOMB);
	else
		registry_close_all(f.pool, id);
	pool_fixture_restart(&f);
	pool_fixture_run(&f);
	cr_assert_eq(state_of(id), orphans ? CLIENT_TOMB : CLIENT_FREE);
	cr_assert_eq(f.pool->caches[1]->opens, 0);
	cr_assert_eq(pool_fixture_count(&f, f.pool->caches[1]).orphaned, orphans);
}

Test(reclaim, killed_before_a_tombs_caches_are_closed)
{
	killed_at_the_end(0, true);
}

Test(reclaim, killed_before_an_id_is_free)
{
	killed_at_the_end(GEOMETRY_RECLAIM, false);
}

/* The worker's own order of the two. */
Test(reclaim, a_tomb_before_its_caches_are_closed)
{
	uint32_t id = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, 0);
	struct fake fake;

	fake_init(&fake, &f, id, cache);
	cr_assert_neq(fake_alloc(&fake), REF_NONE);
	cr_assert_eq(pool_fixture_destroy(&f, id, cache, NULL), -EBUSY);
	pool_fixture_kill(&f, id);
	cr_assert_eq(state_of(id), CLIENT_TOMB);
	cr_assert_eq(cache->opens, 0);
	pool_fixture_restart(&f);
	cr_assert_eq(f.pool->caches[1]->opens, 0);
	cr_assert_eq(f.pool->tombs, 1);
}

Test(reclaim, of_hostile_magazines_is_damage_and_no_more)
{
	uint32_t id = pool_fixture_attach(&f), other = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, GEOMETRY_RECLAIM);
	struct fake fake, victim;
	slab_ref ref, mine;

	pool_fixture_cache(&f, other, "c", 64, GEOMETRY_RECLAIM);
	fake_init(&fake, &f, id, cache);
	fake_init(&victim, &f, other, cache);
	mine = fake_alloc(&fake);
	ref = fake_alloc(&victim);
	fake_flush(&victim);
	/* another's live object as a round of ours, and a count beyond everything */
	store_relaxed(&fake.held.magazine->rounds[magazine_count(fake.held.magazine)], ref);
	store_relaxed(&fake.held.magazine->count, UINT32_MAX);
	pool_fixture_kill(&f, id);
	cr_assert_gt(f.pool->damage, 0);
	cr_assert_eq(tag_state(load_relaxed(fake_tag(&victim, ref))), TAG_LIVE);
	cr_assert_eq(tag_owner(load_relaxed(fake_tag(&victim, ref))), other);
	cr_assert_eq(tag_state(load_relaxed(fake_tag(&victim, mine))), TAG_SLAB);
	cr_assert_not(pool_is_damaged(f.pool), "the segment serves on");
}

/* ---------------------------------------------------------------- the worker's own death */

/* The magazine that the dead worker held is repaired by the next, whatever it was about. */
static void worker_dies(bool draining, uint32_t rounds, uint32_t part)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	struct cache_view *view = &cache->view;
	uint32_t cursor = 0, n, full;
	struct audit_count before, after;
	struct claim claim;
	slab_ref ref;

	refill_doorbell(cache);
	before = pool_fixture_count(&f, cache);
	claim = depot_claim(view, MAGAZINE_FULL, PARTY_DAEMON, UINT32_MAX, &cursor);
	cr_assert_not_null(claim.magazine);
	n = magazine_count(claim.magazine);
	for (uint32_t i = 0; i <= rounds; i++, n--) {
		slab_tag *tag;

		ref = load_relaxed(&claim.magazine->rounds[n - 1]);
		tag = cache_tag(view, ref);
		if (!draining) { /* the same words in the order of a fill */
			if (i < rounds || part < 3)
				store_relaxed(&claim.magazine->count, n - 1);
			if (i < rounds || part < 2)
				store_relaxed(tag, tag_make(0, TAG_SLAB,
							    tag_generation(load_relaxed(tag))));
			if (i < rounds || part < 1)
				store_relaxed(&claim.magazine->rounds[n - 1], REF_NONE);
			continue;
		}
		if (i < rounds || part > 0)
			store_relaxed(tag,
				      tag_make(0, TAG_SLAB, tag_generation(load_relaxed(tag))));
		if (i < rounds || part > 1)
			store_relaxed(&claim.magazine->count, n - 1);
		if (i < rounds || part > 2)
			store_relaxed(&claim.magazine->rounds[n - 1], REF_NONE);
	}
	full = refill_count(cache, MAGAZINE_FULL);
	pool_fixture_restart(&f);
	pool_fixture_audit(&f);
	cache = registry_by_name(f.pool, "c");
	after = pool_fixture_count(&f, cache);
	cr_assert_eq(after.in_slabs + after.in_magazines, before.in_slabs + before.in_magazines);
	cr_assert_geq(refill_count(cache, MAGAZINE_FULL), full);
	cr_assert_eq(cache->in_slabs, after.in_slabs);
	cr_assert_eq(f.pool->damage, 0);
}

static void worker_dies_anywhere(bool drain)
{
	for (uint32_t rounds = 0; rounds < 123; rounds += 40)
		for (uint32_t part = 0; part < 4; part++) {
			worker_dies(drain, rounds, part);
			pool_suite_close();
			pool_suite_open();
		}
}

Test(reclaim, a_worker_killed_in_a_fill)
{
	worker_dies_anywhere(false);
}

Test(reclaim, a_worker_killed_in_a_drain)
{
	worker_dies_anywhere(true);
}

/* The order of things: first all magazines of party 1, then FREEING(1), then the lists, then each
 * dead client. */
Test(reclaim, worker_and_clients_die_together)
{
	uint32_t id = pool_fixture_attach_gone(&f), here = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, id, "c", 64, 0);
	struct fake dead, alive;
	uint32_t cursor = 0, n;
	slab_ref refs[300], ref;
	struct claim claim;

	pool_fixture_cache(&f, here, "c", 64, 0);
	fake_init(&dead, &f, id, cache);
	fake_init(&alive, &f, here, cache);
	cr_assert_eq(fake_alloc_many(&dead, refs, 300), 300);
	ref = fake_alloc(&alive);
	refill_doorbell(cache);
	claim = depot_claim(&cache->view, MAGAZINE_FULL, PARTY_DAEMON, UINT32_MAX, &cursor);
	n = magazine_count(claim.magazine);
	store_relaxed(cache_tag(&cache->view, load_relaxed(&claim.magazine->rounds[n - 1])),
		      tag_make(0, TAG_SLAB, 5));
	pool_fixture_restart(&f);
	pool_fixture_audit(&f);
	fake_remap(&alive);
	cr_assert(clients_is_tomb(f.pool, id));
	cr_assert(clients_is_attached(f.pool, here));
	cr_assert(fake_free(&alive, ref));
	fake_flush(&alive);
}
