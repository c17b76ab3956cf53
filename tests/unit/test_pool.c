/* The worker dies, the next one finds everything; a rehearsal says beforehand whether it will; a
 * hole under the segment's memory harms one call. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/extent.h"
#include "daemon/orphans.h"
#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_fixture.h"

#define MANY 2000u

static struct pool_fixture f;
static char why[WHY_BYTES];

static void set_up(void)
{
	pool_fixture_open(&f, 16 * MIB);
	why[0] = 0;
}

static void tear_down(void)
{
	pool_fixture_close(&f);
}

TestSuite(pool, .init = set_up, .fini = tear_down);

/* ---------------------------------------------------------------- something to find again */

struct world {
	struct cache *caches[3];
	struct fake fakes[2][3];
	slab_ref live[2][3][MANY];
	uint32_t n[2][3];
};

/* Two clients alive, with objects, held magazines and a little of everything else in three caches. */
static void make_world(struct world *w)
{
	const uint32_t sizes[] = {16, 200, 9000}, flags[] = {0, GEOMETRY_RECLAIM, GEOMETRY_STRICT};
	const uint32_t counts[] = {MANY, MANY, 200};
	char name[] = "c0";

	memset(w, 0, sizeof(*w));
	for (int i = 0; i < 2; i++) {
		uint32_t client = pool_fixture_attach(&f);

		for (int c = 0; c < 3; c++) {
			name[1] = (char)('0' + c);
			w->caches[c] = pool_fixture_cache(&f, client, name, sizes[c], flags[c]);
			fake_init(&w->fakes[i][c], &f, client, w->caches[c]);
		}
	}
	for (uint32_t round = 0; round < 4000; round++) {
		uint32_t i = pool_fixture_random(&f, 2), c = pool_fixture_random(&f, 3);
		uint32_t *n = &w->n[i][c];
		slab_ref *live = w->live[i][c];

		if (*n < counts[c] && pool_fixture_random(&f, 5) < 3) {
			live[*n] = fake_alloc(&w->fakes[i][c]);
			*n += live[*n] != REF_NONE;
		} else if (*n) {
			uint32_t k = pool_fixture_random(&f, *n);

			cr_assert(fake_free(&w->fakes[1 - i][c], live[k]));
			live[k] = live[--*n];
		}
		if (round % 500 == 499)
			refill_drain(w->caches[c], 2, UINT32_MAX);
	}
}

static void remap_world(struct world *w)
{
	for (int i = 0; i < 2; i++)
		for (int c = 0; c < 3; c++)
			fake_remap(&w->fakes[i][c]);
}

static void end_world(struct world *w)
{
	for (int i = 0; i < 2; i++)
		for (int c = 0; c < 3; c++) {
			fake_free_many(&w->fakes[i][c], w->live[i][c], w->n[i][c]);
			fake_flush(&w->fakes[i][c]);
		}
}

/* ---------------------------------------------------------------- restart */

Test(pool, a_restart_finds_the_same)
{
	struct world *w = malloc(sizeof(*w));
	struct audit_count before[3], after;
	uint64_t in_slabs[3], slabs[3];
	uint32_t opens[3], full[3];

	make_world(w);
	pool_fixture_audit(&f);
	for (int c = 0; c < 3; c++) {
		before[c] = pool_fixture_count(&f, w->caches[c]);
		in_slabs[c] = w->caches[c]->in_slabs;
		slabs[c] = w->caches[c]->slabs;
		opens[c] = w->caches[c]->opens;
		full[c] = refill_count(w->caches[c], MAGAZINE_FULL);
	}
	for (int round = 0; round < 3; round++) {
		pool_fixture_restart(&f);
		pool_fixture_run(&f);
		for (uint32_t c = 0; c < 3; c++) {
			struct cache *cache = f.pool->caches[c + 1];

			after = pool_fixture_count(&f, cache);
			cr_assert_eq(memcmp(&before[c], &after, sizeof(after)), 0);
			cr_assert_eq(cache->in_slabs, in_slabs[c]);
			cr_assert_eq(cache->slabs, slabs[c]);
			cr_assert_eq(cache->opens, opens[c]);
			cr_assert_eq(refill_count(cache, MAGAZINE_FULL), full[c]);
		}
		cr_assert_eq(f.pool->caches_live, 3);
		cr_assert_eq(f.pool->damage, 0);
		pool_fixture_audit(&f);
	}
	remap_world(w);
	end_world(w);
	pool_fixture_audit(&f);
	pool_fixture_shrink(&f, NULL);
	cr_assert_eq(backing_bytes(f.backing.heap), 0);
	free(w);
}

Test(pool, another_layout_is_refused)
{
	struct pool *pool;

	f.pool->segment.super->layout++;
	cr_assert_eq(pool_open(&pool, "main", &f.backing, why, sizeof(why)), -EPROTO);
	cr_assert_not_null(strstr(why, "layout"), "%s", why);
	f.pool->segment.super->layout--;
}

Test(pool, jobs_take_turns)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 16, 0);
	int slices = 0;

	while (slab_carve(cache) == 0)
		;
	for (int i = 0; i < 20; i++)
		census_take(f.pool, true, NULL, NULL);
	clients_died(f.pool, client, NULL, NULL);
	while (pool_run(f.pool))
		slices++;
	cr_assert_gt(slices, 10);
	pool_fixture_audit(&f);
}

/* ---------------------------------------------------------------- rehearsal */

struct sums {
	uint64_t sum[4];
};

/* Of all bytes of all regions, read as a stranger would, so that no hole is filled by the reading. */
static struct sums sum_regions(void)
{
	const int fds[] = {f.backing.state, f.backing.catalog, f.backing.depot, f.backing.heap};
	static uint64_t page[8192];
	struct sums sums = {{0}};

	for (int i = 0; i < 4; i++) {
		off_t at = 0;
		ssize_t n;

		while ((n = pread(fds[i], page, sizeof(page), at)) > 0) {
			for (size_t w = 0; w < (size_t)n / 8; w++)
				sums.sum[i] = (sums.sum[i] ^ page[w]) * 0x100000001b3;
			at += n;
		}
	}
	return sums;
}

/* What a rehearsal says, and that it changed nothing and took nothing. */
static int rehearse(void)
{
	struct sums before = sum_regions(), after;
	uint64_t blocks = backing_bytes(f.backing.heap);
	int r;

	why[0] = 0;
	r = pool_rehearse("main", &f.backing, why, sizeof(why));
	after = sum_regions();
	cr_assert_eq(memcmp(&before, &after, sizeof(after)), 0);
	cr_assert_eq(backing_bytes(f.backing.heap), blocks);
	cr_assert_eq(r != 0, why[0] != 0);
	return r;
}

Test(pool, rehearsal_of_a_new_segment)
{
	cr_assert_eq(rehearse(), 0, "%s", why);
}

Test(pool, rehearsal_of_a_good_segment)
{
	struct world *w = malloc(sizeof(*w));

	make_world(w);
	cr_assert_eq(rehearse(), 0, "%s", why);
	pool_fixture_audit(&f);
	/* the dead are reclaimed in the rehearsal too, and only there */
	pool_fixture_cache(&f, pool_fixture_attach_gone(&f), "c0", 16, 0);
	cr_assert_eq(rehearse(), 0, "%s", why);
	pool_fixture_audit(&f);
	end_world(w);
	free(w);
}

Test(pool, rehearsal_of_what_a_worker_left_half_done)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);
	uint32_t cursor = 0, n;
	struct claim claim;

	refill_doorbell(cache);
	claim = depot_claim(&cache->view, MAGAZINE_FULL, PARTY_DAEMON, UINT32_MAX, &cursor);
	n = magazine_count(claim.magazine);
	store_relaxed(cache_tag(&cache->view, load_relaxed(&claim.magazine->rounds[n - 1])),
		      tag_make(PARTY_NONE, TAG_SLAB, 5));
	cr_assert_eq(rehearse(), 0, "%s", why);
	pool_fixture_restart(&f);
	pool_fixture_audit(&f);
}

Test(pool, rehearsal_finds_damage)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	struct fake fake;
	slab_tag *tag;
	uint32_t good;

	fake_init(&fake, &f, client, cache);
	tag = fake_tag(&fake, fake_alloc(&fake));
	good = load_relaxed(tag);
	store_relaxed(tag, tag_make(PARTY_NONE, TAG_CIRC, 1));
	cr_assert_eq(rehearse(), -EIO);
	cr_assert_not_null(strstr(why, "damage"), "%s", why);
	store_relaxed(tag, tag_make(client + 1, TAG_LIVE, 1));
	cr_assert_eq(rehearse(), -EIO);
	store_relaxed(tag, good);
	cr_assert_eq(rehearse(), 0, "%s", why);
	store_relaxed(&fake.held.magazine->rounds[0], load_relaxed(&fake.held.magazine->rounds[1]));
	cr_assert_eq(rehearse(), -EIO);
}

/* ---------------------------------------------------------------- holes */

static char *volatile touched;

static void touch(void *arg)
{
	touched = arg;
	*(volatile char *)touched;
}

static void let_be(void *arg)
{
	*(int *)arg = 1;
}

Test(pool, a_hole_in_the_heap_ends_one_call)
{
	int ran = 0;

	cr_assert_eq(pool_guarded(f.pool, let_be, &ran), 0);
	cr_assert_eq(ran, 1);
	pool_fixture_hole(f.pool->segment.heap + EXTENT_BYTES, EXTENT_BYTES);
	cr_assert_eq(pool_guarded(f.pool, touch, f.pool->segment.heap + EXTENT_BYTES + 4711), -EIO);
	cr_assert(pool_is_damaged(f.pool));
	cr_assert_eq(pool_guarded(f.pool, let_be, &ran), 0, "and the next one runs");
	cr_assert_eq(pool_guarded(f.pool, touch, f.pool->segment.heap + EXTENT_BYTES), -EIO);
}

Test(pool, a_hole_in_the_depot_ends_one_call)
{
	pool_fixture_hole(f.pool->segment.depot, EXTENT_BYTES);
	cr_assert_eq(pool_guarded(f.pool, touch, f.pool->segment.depot + 64), -EIO);
	cr_assert(pool_is_damaged(f.pool));
}

static void fall_inside(void *arg)
{
	int *fell = arg;

	*fell = pool_guarded(f.pool, touch, f.pool->segment.depot);
	touch(f.pool->segment.depot + 64);
	*fell = 0;
}

Test(pool, a_hole_ends_the_inner_call_first)
{
	int fell = 0;

	pool_fixture_hole(f.pool->segment.depot, EXTENT_BYTES);
	cr_assert_eq(pool_guarded(f.pool, fall_inside, &fell), -EIO);
	cr_assert_eq(fell, -EIO);
}

Test(pool, a_damaged_segment_takes_nobody_in)
{
	struct peer peer = {.pid = getpid()};
	struct result result;
	struct stats stats;
	uint32_t id;

	pool_fixture_hole(f.pool->segment.depot, EXTENT_BYTES);
	pool_guarded(f.pool, touch, f.pool->segment.depot);
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), -EIO);
	cr_assert_not_null(strstr(result.why, "damaged"));
	stats_get(f.pool, &stats);
	cr_assert(stats.damaged);
}

/* The job that met the hole answers with what it has; others go on. */
Test(pool, jobs_over_a_hole_end)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 64, 0);
	struct fake fake;
	int rounds = 0;

	fake_init(&fake, &f, client, cache);
	cr_assert_neq(fake_alloc(&fake), REF_NONE);
	pool_fixture_hole(f.pool->segment.heap + EXTENT_BYTES, EXTENT_BYTES);
	census_take(f.pool, true, NULL, NULL);
	orphans_walk(f.pool, 0, true, 0, NULL, NULL);
	clients_died(f.pool, client, NULL, NULL);
	while (pool_run(f.pool))
		cr_assert_lt(rounds++, 1000, "no end");
	cr_assert(pool_is_damaged(f.pool));
	pool_tick(f.pool);
	cr_assert(TAILQ_EMPTY(&f.pool->jobs));
}

Test(pool, sigbus_elsewhere_is_fatal, .signal = SIGBUS)
{
	static char *page;

	page = mmap(NULL, EXTENT_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pool_fixture_hole(page, EXTENT_BYTES);
	pool_guarded(f.pool, touch, page);
}

Test(pool, damage_is_counted)
{
	pool_damage(f.pool, "a test says so");
	pool_damage(f.pool, "again");
	cr_assert_eq(f.pool->damage, 2);
	cr_assert_not(pool_is_damaged(f.pool));
}
