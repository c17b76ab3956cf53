/* Ids that run short: dead owners are folded into one, their objects stay good, the audit balances; a
 * worker killed at any step leaves it to the next. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/orphans.h"
#include "daemon/tombs.h"
#include "tests/support/pool_suite.h"

#define CLIENTS 8u /* LOW is 0: nothing is folded before the last id is taken */
#define EACH	100u

static struct cache *cache;

static void open_with(uint32_t clients)
{
	const struct backing_options options = {.size = 16 * MIB,
						.hugepages = HUGEPAGES_NEVER,
						.max_caches = 4,
						.max_clients = clients};

	pool_fixture_open_with(&f, &options);
	f.pool->max_clients_per_uid = 1000;
	cache = pool_fixture_cache(&f, 0, "c", 64, 0);
}

static void set_up(void)
{
	open_with(CLIENTS);
}

TestSuite(tombs, .init = set_up, .fini = pool_suite_close);
TestSuite(many_tombs, .fini = pool_suite_close); /* they open a pool of their own */

static struct client_record *record_of(uint32_t id)
{
	return clients_record(f.pool, id);
}

static uint32_t count(uint32_t state)
{
	uint32_t n = 0;

	for (uint32_t id = PARTY_FIRST; id < f.pool->segment.max_clients + PARTY_FIRST; id++)
		n += load_relaxed(&record_of(id)->state) == state;
	return n;
}

static void restart(void)
{
	pool_fixture_restart(&f);
	f.pool->max_clients_per_uid = 1000;
	cache = f.pool->caches[1];
}

/* A client that dies with n objects; its death is the nth in time. */
static uint32_t leave(uint32_t n, slab_ref *refs, uint64_t died_at)
{
	uint32_t id = pool_fixture_attach(&f);
	slab_ref own[EACH];
	struct fake fake;

	pool_fixture_cache(&f, id, "c", 64, 0);
	fake_init(&fake, &f, id, cache);
	cr_assert_eq(fake_alloc_many(&fake, refs ? refs : own, n), n);
	record_of(id)->pid = 1000 + (int)died_at;
	pool_fixture_kill(&f, id);
	record_of(id)->died_at = died_at;
	return id;
}

static void mark_done(void *arg, const struct result *result)
{
	*(int *)arg = result->status;
}

static void wait_for_id(void)
{
	int status = 1;

	cr_assert(tombs_may_give(f.pool));
	tombs_wait(f.pool, mark_done, &status);
	pool_fixture_run(&f);
	cr_assert_eq(status, 0);
	cr_assert_not(f.pool->folding);
}

static slab_ref refs[CLIENTS][EACH];
static uint32_t ids[CLIENTS];

/* All ids are those of the dead; the later ones died first. */
static void all_dead(void)
{
	for (uint32_t i = 0; i < f.pool->segment.max_clients; i++)
		ids[i] = leave(EACH, refs[i], 100 - i);
	cr_assert_eq(count(CLIENT_TOMB), f.pool->segment.max_clients);
	cr_assert_eq(f.pool->tombs, f.pool->segment.max_clients);
}

static uint32_t tag_of(slab_ref ref)
{
	return load_relaxed(cache_tag(&cache->view, ref));
}

/* Every object is an orphan still, of the same generation; moved: those of the two or three oldest. */
static void expect_folded(const uint32_t *tags, uint32_t into, uint32_t folded)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		for (uint32_t n = 0; n < EACH; n++) {
			uint32_t tag = tag_of(refs[i][n]);
			bool moved = i >= CLIENTS - 1 - folded;

			cr_assert_eq(tag_state(tag), TAG_LIVE);
			cr_assert_eq(tag_generation(tag), tag_generation(tags[i * EACH + n]));
			cr_assert_eq(tag_owner(tag), moved ? into : ids[i], "client %u", i);
		}
}

static void note_tags(uint32_t *tags)
{
	for (uint32_t i = 0; i < CLIENTS * EACH; i++)
		tags[i] = tag_of(refs[i / EACH][i % EACH]);
}

Test(tombs, the_oldest_are_folded_into_one)
{
	uint32_t tags[CLIENTS * EACH], into, folded = CLIENTS / 8 + 1;
	struct result result;
	uint32_t id;

	all_dead();
	into = ids[CLIENTS - 1];
	note_tags(tags);
	cr_assert_eq(clients_attach(f.pool, &(struct peer){.pid = 1}, &id, &result), -ENOSPC);
	wait_for_id();
	expect_folded(tags, into, folded);
	cr_assert_eq(count(CLIENT_FREE), folded);
	cr_assert_eq(f.pool->tombs, CLIENTS - folded);
	cr_assert_eq(record_of(into)->owners, folded + 1);
	cr_assert_eq(load_relaxed(&record_of(into)->orphans), (folded + 1) * EACH);
	cr_assert_eq(record_of(into)->died_at, 100 - (CLIENTS - 1 - folded));
	/* the youngest keep their names */
	cr_assert_eq(record_of(ids[0])->pid, 1100);
	cr_assert_eq(record_of(ids[0])->owners, 0);
}

Test(tombs, again_and_again_into_the_same)
{
	uint32_t into;

	all_dead();
	into = ids[CLIENTS - 1];
	for (uint32_t i = 0; i < 40; i++) {
		if (count(CLIENT_FREE) == 0)
			wait_for_id();
		leave(1, NULL, 1000 + i);
	}
	/* all 48 are in one tomb or have one of their own */
	cr_assert_eq(record_of(into)->owners + count(CLIENT_TOMB) - 1, CLIENTS + 40);
	cr_assert_eq(pool_fixture_count(&f, cache).orphaned, CLIENTS * EACH + 40);
}

/* Who adopts or frees an orphan does so before the fold or after it. */
Test(tombs, adopted_and_freed_meanwhile)
{
	struct fake fake;
	uint32_t id, folded = CLIENTS / 8 + 1;
	int status = 1;

	for (uint32_t i = 0; i < CLIENTS - 1; i++)
		ids[i] = leave(EACH, refs[i], 100 - i);
	id = pool_fixture_attach(&f);
	pool_fixture_cache(&f, id, "c", 64, 0);
	fake_init(&fake, &f, id, cache);
	tombs_wait(f.pool, mark_done, &status);
	cr_assert(f.pool->folding);
	for (uint32_t n = 0; n < EACH; n++) {
		uint32_t tag = tag_of(refs[CLIENTS - 3][n]);

		if (n % 2)
			cr_assert(fake_free(&fake, refs[CLIENTS - 3][n]));
		else /* as slabd_adopt does */
			store_relaxed(cache_tag(&cache->view, refs[CLIENTS - 3][n]),
				      tag_make(id, TAG_LIVE, tag_generation(tag)));
	}
	pool_fixture_run(&f);
	cr_assert_eq(status, 0);
	cr_assert_eq(count(CLIENT_FREE), folded);
	cr_assert_eq(pool_fixture_count(&f, cache).live, EACH / 2);
	cr_assert_eq(pool_fixture_count(&f, cache).orphaned, (CLIENTS - 2) * EACH);
	fake_flush(&fake);
}

/* A tomb whose orphans are all gone needs no fold, nor the next census. */
Test(tombs, one_without_orphans_is_buried)
{
	uint32_t id, other[CLIENTS];
	slab_ref ref;
	struct fake fake;

	id = leave(1, &ref, 1);
	for (uint32_t i = 0; i < CLIENTS - 1; i++)
		other[i] = pool_fixture_attach(&f);
	fake_init(&fake, &f, other[0], cache);
	wait_for_id();
	cr_assert(clients_is_tomb(f.pool, id),
		  "it has an orphan, and there is none to fold it into");
	cr_assert_eq(record_of(id)->owners, 0);
	cr_assert(fake_free(&fake, ref));
	fake_flush(&fake);
	wait_for_id();
	cr_assert_eq(load_relaxed(&record_of(id)->state), CLIENT_FREE);
	cr_assert_eq(f.pool->tombs, 0);
}

Test(tombs, nothing_to_give)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		pool_fixture_attach(&f);
	cr_assert_not(tombs_may_give(f.pool));
}

/* With many ids it begins before the last one is taken. */
Test(many_tombs, before_ids_run_out)
{
	open_with(64); /* LOW is 4, the goal 9 */
	for (uint32_t i = 0; i < 60; i++)
		leave(1, NULL, i + 1);
	pool_fixture_run(&f);
	cr_assert_eq(count(CLIENT_FREE), 4);
	leave(1, NULL, 61);
	pool_fixture_run(&f);
	cr_assert_geq(count(CLIENT_FREE), 8);
	cr_assert_eq(pool_fixture_count(&f, cache).orphaned, 61);
	for (uint32_t i = 0; i < 200; i++) {
		leave(1, NULL, i + 100);
		pool_fixture_run(&f);
		cr_assert_geq(count(CLIENT_FREE), 3);
	}
	cr_assert_eq(pool_fixture_count(&f, cache).orphaned, 261);
}

/* A census that began before the fold, or within it, may have passed what the tomb was given since. */
static void census_and_fold(bool census_first)
{
	struct fake fake;
	uint32_t into, id;
	int done = 1;

	/* the one that stays has no orphan of its own any more */
	for (uint32_t i = 0; i < CLIENTS - 1; i++)
		ids[i] = leave(EACH, refs[i], 100 - i);
	into = ids[CLIENTS - 2];
	id = pool_fixture_attach(&f);
	fake_init(&fake, &f, id, cache);
	fake_free_many(&fake, refs[CLIENTS - 2], EACH);
	fake_flush(&fake);
	if (!census_first)
		tombs_wait(f.pool, mark_done, &done);
	for (int i = 0; i < 15; i++)
		pool_tick(f.pool);
	if (census_first) {
		struct job *census = TAILQ_FIRST(&f.pool->jobs);

		while (!census->step(census, 0))
			;
		tombs_wait(f.pool, mark_done, &done);
		/* the fold runs, then the census comes to its end */
		TAILQ_REMOVE(&f.pool->jobs, census, link);
		TAILQ_INSERT_TAIL(&f.pool->jobs, census, link);
	}
	pool_fixture_run(&f);
	cr_assert_eq(done, 0);
	cr_assert(clients_is_tomb(f.pool, into));
	cr_assert_eq(pool_fixture_count(&f, cache).orphaned, (CLIENTS - 2) * EACH);
}

Test(tombs, a_census_before_the_fold_buries_none)
{
	census_and_fold(true);
}

Test(tombs, a_census_within_the_fold_buries_none)
{
	census_and_fold(false);
}

/* ---------------------------------------------------------------- the worker is killed */

static void check_after_restart(const uint32_t *tags, uint32_t into, uint32_t folded)
{
	expect_folded(tags, into, folded);
	cr_assert_eq(count(CLIENT_FREE), folded);
	cr_assert_eq(f.pool->tombs, CLIENTS - folded);
	cr_assert_eq(record_of(into)->owners, folded + 1);
	pool_fixture_audit(&f);
}

/* After so many tags, as the fold's own CAS changes them. */
Test(tombs, a_restart_goes_on)
{
	uint32_t folded = CLIENTS / 8 + 1;

	for (uint32_t moved = 0; moved <= folded * EACH; moved += EACH / 3) {
		uint32_t tags[CLIENTS * EACH], into, left = moved;

		all_dead();
		into = ids[CLIENTS - 1];
		note_tags(tags);
		tombs_wait(f.pool, mark_done, &(int){0});
		cr_assert_eq(record_of(into)->owners, folded + 1, "said before it is done");
		for (uint32_t i = CLIENTS - 1 - folded; i < CLIENTS - 1; i++)
			for (uint32_t n = 0; n < EACH && left; n++, left--)
				store_relaxed(cache_tag(&cache->view, refs[i][n]),
					      tag_make(into, TAG_LIVE,
						       tag_generation(tag_of(refs[i][n]))));
		restart();
		cr_assert(f.pool->folding);
		pool_fixture_run(&f);
		check_after_restart(tags, into, folded);
		pool_suite_close();
		set_up();
	}
}

/* Killed while it was writing down what to fold, or while it freed the ids. */
Test(tombs, a_restart_with_some_of_the_marks)
{
	uint32_t tags[CLIENTS * EACH], into;

	all_dead();
	into = ids[CLIENTS - 1];
	note_tags(tags);
	record_of(ids[CLIENTS - 3])->fold_sum = 3; /* its fold_to was not stored */
	record_of(ids[CLIENTS - 2])->fold_sum = 2;
	store_relaxed(&record_of(ids[CLIENTS - 2])->fold_to, into);
	restart();
	pool_fixture_run(&f);
	check_after_restart(tags, into, 1);
}

Test(tombs, a_restart_with_some_of_the_ids_free)
{
	uint32_t tags[CLIENTS * EACH], into, folded = CLIENTS / 8 + 1;

	all_dead();
	into = ids[CLIENTS - 1];
	note_tags(tags);
	tombs_wait(f.pool, mark_done, &(int){0});
	pool_fixture_stop_at_finish(&f);
	store_relaxed(&record_of(ids[CLIENTS - 2])->state, CLIENT_FREE);
	restart();
	pool_fixture_run(&f);
	check_after_restart(tags, into, folded);
	/* who gets such an id is in no fold */
	for (uint32_t i = 0; i < folded; i++)
		cr_assert_eq(load_relaxed(&record_of(pool_fixture_attach(&f))->fold_to), 0);
}

/* A state file that somebody damaged. */
Test(tombs, marks_that_no_fold_leaves)
{
	all_dead();
	store_relaxed(&record_of(ids[0])->fold_to, ids[0]);
	store_relaxed(&record_of(ids[1])->fold_to, 0xffffffff);
	store_relaxed(&record_of(ids[2])->fold_to, PARTY_DAEMON);
	store_relaxed(&record_of(ids[3])->fold_to, ids[4]);
	store_relaxed(&record_of(ids[4])->fold_to, ids[3]);
	restart();
	pool_fixture_run(&f);
	for (uint32_t i = 0; i < CLIENTS; i++)
		cr_assert(i == 4 || i == 3 || clients_is_tomb(f.pool, ids[i]));
	cr_assert_eq(pool_fixture_count(&f, cache).orphaned, CLIENTS * EACH);
}

/* ---------------------------------------------------------------- what is shown */

struct shown {
	struct orphan list[CLIENTS];
	size_t n;
};

static void take_orphans(void *arg, const struct orphans *orphans)
{
	struct shown *shown = arg;

	shown->n = orphans->n;
	memcpy(shown->list, orphans->list, orphans->n * sizeof(*orphans->list));
}

Test(tombs, owners_are_said_to_be_gone)
{
	uint32_t folded = CLIENTS / 8 + 1;
	struct shown shown = {0};
	unsigned unknown = 0;

	all_dead();
	wait_for_id();
	orphans_walk(f.pool, 0, false, 0, take_orphans, &shown);
	pool_fixture_run(&f);
	cr_assert_eq(shown.n, CLIENTS - folded);
	for (size_t i = 0; i < shown.n; i++) {
		const struct orphan *orphan = &shown.list[i];

		cr_assert_eq(orphan->objects, orphan->owners > 1 ? (folded + 1) * EACH : EACH);
		cr_assert_eq(orphan->pid == 0, orphan->owners > 1);
		cr_assert_eq(orphan->comm[0] == 0, orphan->owners > 1);
		unknown += orphan->owners > 1;
	}
	cr_assert_eq(unknown, 1);
}
