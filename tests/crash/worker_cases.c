/* What the worker does, as a victim of its own: the process first plays a client or two, then opens the
 * pool as the worker does. */
#include "tests/crash/crash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/internal.h"
#include "daemon/clients.h"
#include "daemon/extent.h"
#include "daemon/orphans.h"
#include "daemon/reap.h"
#include "daemon/refill.h"
#include "daemon/release.h"
#include "daemon/settings.h"
#include "daemon/slab.h"
#include "daemon/stats.h"

#define SEQUENCE 77u /* of the request that the worker dies over */
#define MADE	 "made"
#define MADE_ID	 (CACHES + 1)

static struct pool *pool;
static struct cache *cache;
static struct result result;
static struct slabd *me;
static struct slabd_cache *mine;

static const struct geometry_request made = {.object_size = OBJECT_BYTES, .magazine = ROUNDS};
static const struct geometry_request made_anew = {
	.object_size = OBJECT_BYTES, .magazine = ROUNDS, .flags = GEOMETRY_EXCLUSIVE};

/* Jobs, as pool_run has them, but by another clock: under single steps a millisecond is nothing. */
static uint64_t slice = UINT64_MAX;

static void run(void)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&pool->jobs))) {
		bool done = job->step(job, slice == UINT64_MAX ? slice : pool_now() + slice);

		TAILQ_REMOVE(&pool->jobs, job, link);
		if (done)
			job->finish(job);
		else
			TAILQ_INSERT_TAIL(&pool->jobs, job, link);
	}
}

static void take_result(void *arg, const struct result *got)
{
	*(struct result *)arg = *got;
}

static void take_shrunk(void *arg, const struct result *got, uint64_t bytes)
{
	(void)bytes;
	*(struct result *)arg = *got;
}

/* ---------------------------------------------------------------- shapes */

static uint32_t client_id(void)
{
	return load_relaxed(&me->identity->client);
}

/* This process is the worker from here on. */
static void work_on(int which)
{
	char why[WHY_BYTES] = "";

	if (pool_open(&pool, "live", &world.live.backing, why, sizeof(why)) < 0)
		die("victim: %s", why);
	cache = pool->caches[which + 1];
}

static void work(void)
{
	work_on(PLAIN);
}

/* A client with live objects, and rounds in both of its magazines. */
static void client_of(int which)
{
	void *objects[7];

	if (slabd_attach(&me, "crash") < 0 || slabd_cache_open(me, cache_names[which], &mine) < 0)
		die("victim: %s", slabd_error());
	for (unsigned i = 0; i < 7; i++)
		objects[i] = slabd_alloc(mine, 0);
	for (unsigned i = 0; i < 4; i++)
		slabd_free(mine, objects[i]);
}

static void plain_client(void)
{
	client_of(PLAIN);
	work();
}

static void reclaim_client_too(void)
{
	client_of(RECLAIM);
	work_on(RECLAIM);
}

/* Of two caches; and without anything, of none. */
static void client_of_two(void)
{
	client_of(RECLAIM);
	client_of(PLAIN);
	work();
}

static void idle_client(void)
{
	if (slabd_attach(&me, "crash") < 0)
		die("victim: %s", slabd_error());
	work();
}

/* One magazine, whatever the batch would be. */
static void fill_one(struct cache *c)
{
	store_relaxed(&c->view.desc->batch, 1 + 1);
	c->batch = 1;
	c->filled_at = pool_now() - 1000000000;
	refill_request(pool, c, 0, false, &result);
}

/* There are full magazines in the depot. */
static void plain_full(void)
{
	work();
	fill_one(cache);
	fill_one(cache);
}

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

static void plain_threads(void)
{
	plain_client();
	clients_set_threads(pool, client_id(), RACK_MAGAZINES);
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

	if (slabd_attach(&me, "crash") < 0 || slabd_cache_open(me, "plain", &mine) < 0)
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

/* ---------------------------------------------------------------- clients come and go */

static void do_die(void)
{
	clients_died(pool, client_id(), take_result, &result);
	run();
}

static void do_die_in_slices(void)
{
	slice = 500000;
	do_die();
}

static void do_detach(void)
{
	clients_detach(pool, client_id(), take_result, &result);
	run();
}

static void do_attach(void)
{
	struct peer peer = {.pid = getppid(),
			    .uid = getuid(),
			    .start_time = clients_start_time(getppid()),
			    .image = 1,
			    .comm = "new"};
	uint32_t id;

	clients_attach(pool, &peer, &id, &result);
}

static void do_linger_and_resume(void)
{
	const struct client_record *record = side_record(&world.live, client_id());
	struct peer peer = {.pid = record->pid,
			    .uid = record->uid,
			    .start_time = record->start_time,
			    .image = record->image};

	clients_linger(pool, client_id());
	clients_resume(pool, client_id(), record->token_high, record->token_low, &peer, &result);
}

static void do_die_without_memory(void)
{
	lies.calloc = 1;
	do_die();
}

static void take_orphans(void *arg, const struct orphans *orphans)
{
	(void)arg;
	(void)orphans;
}

static void do_orphans(void)
{
	orphans_walk(pool, 0, true, 0, take_orphans, &result);
	run();
}

/* A dead client's magazines, as no protocol step leaves them. */
static void plain_hostile_repair(void)
{
	uint32_t cursor = 0;
	struct claim claim;

	plain_client();
	fill_one(cache);
	claim = depot_claim(&cache->view, MAGAZINE_FULL, client_id(), UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0], 5);
	store_relaxed(&claim.magazine->rounds[1],
		      object_of(&world.live, PLAIN, world.survivor_id, 0));
	store_relaxed(&claim.magazine->rounds[3], 7);
	store_relaxed(&claim.magazine->count, 1000);
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, client_id(), UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0],
		      object_of(&world.live, PLAIN, world.survivor_id, 0));
	store_relaxed(&claim.magazine->rounds[1], 5);
}

/* The worker has in its slab what the sweep finds to be live. */
static void reclaim_hostile_sweep(void)
{
	reclaim_client_too();
	for (uint32_t s = 0; s < SLABS; s++)
		for (uint32_t i = 0; i < SLAB_OBJECTS; i++) {
			slab_tag *tag = cache_tag(&cache->view, object_ref(s, i));

			if (tag_state(load_relaxed(tag)) == TAG_SLAB)
				store_relaxed(tag, tag_make(client_id(), TAG_LIVE, 0));
		}
}

/* ---------------------------------------------------------------- caches come and go */

static void do_create(void)
{
	struct cache *ret;

	registry_create(pool, client_id(), SEQUENCE, MADE, &made_anew, &ret, &result);
}

static bool create_again(struct pool *p, uint32_t client, char *why)
{
	struct result got;
	struct cache *ret;

	if (registry_create(p, client, SEQUENCE, MADE, &made_anew, &ret, &got) == 0)
		return true;
	snprintf(why, WHY, "the request is repeated, and not recognised: %.200s", got.why);
	return false;
}

/* All the ways to be refused. */
static void do_create_badly(void)
{
	static const struct geometry_request none = {0}, other = {.object_size = 64};
	struct cache *ret;

	registry_create(pool, client_id(), SEQUENCE, "no name!", &made, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, MADE, &none, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "plain", &other, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "plain", &made_anew, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "", &made, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "plain", &made, &ret, &result);
	registry_open_cache(pool, client_id(), "none", 0, 0, &ret, &result);
	registry_open_cache(pool, client_id(), NULL, 1, 1000, &ret, &result);
	registry_find(pool, client_id(), 2, 1000, &ret, &result);
	registry_find(pool, client_id(), 99, 1, &ret, &result);
	registry_find(pool, client_id(), 0, 1, &ret, &result);
	registry_find(pool, client_id(), 2, pool->caches[2]->serial, &ret, &result);
	registry_close(pool, client_id(), 2, pool->caches[2]->serial, &result);
}

static void do_create_one_too_many(void)
{
	struct cache *ret;

	registry_create(pool, 0, 1, MADE, &made, &ret, &result);
	registry_create(pool, 0, 1, "more", &made, &ret, &result);
}

/* Caches come and go, with names of every length that the hash knows how to end. */
static void do_create_many(void)
{
	static const char name[] = "a-name-of-many";
	struct cache *ret;

	for (unsigned i = sizeof(name) - 2; i < sizeof(name); i--) {
		registry_create(pool, 0, 1, name + i, &made, &ret, &result);
		registry_destroy(pool, 0, 0, name + i, 0, 0, take_result, &result);
		run();
	}
}

static void client_depot_full(void)
{
	idle_client();
	memset(pool->depot_used, 0xff, (pool->segment.super->depot_pages / 64 + 1) * 8);
}

static void do_create_without_memory(void)
{
	lies.calloc = 1;
	do_create();
}

static void do_open(void)
{
	struct cache *ret;

	registry_open_cache(pool, client_id(), "strict", 0, 0, &ret, &result);
	registry_open_cache(pool, client_id(), NULL, ret->view.id, ret->serial, &ret, &result);
	registry_by_name(pool, "reclaim");
}

static void do_close(void)
{
	registry_close(pool, client_id(), cache->view.id, cache->serial, &result);
}

/* A cache of the client's own, with slabs and racks. */
static void made_cache(void)
{
	idle_client();
	if (registry_create(pool, client_id(), 1, MADE, &made, &cache, &result) < 0)
		die("victim: %s", result.why);
	refill_request(pool, cache, 1, false, &result);
}

static void made_two_racks(void)
{
	made_cache();
	clients_set_threads(pool, client_id(), RACK_MAGAZINES);
	refill_racks(cache);
}

static void made_unlinked(void)
{
	made_cache();
	registry_destroy(pool, client_id(), 2, NULL, cache->view.id, cache->serial, take_result,
			 &result);
	run();
}

static void destroy_made(void)
{
	registry_destroy(pool, client_id(), SEQUENCE, NULL, cache->view.id, cache->serial,
			 take_result, &result);
	run();
}

static bool destroy_again(struct pool *p, uint32_t client, char *why)
{
	struct cache *there = p->caches[MADE_ID];
	struct result got = {.status = 1};

	if (!there)
		return true;
	registry_destroy(p, client, SEQUENCE, NULL, MADE_ID, there->serial, take_result, &got);
	run_jobs(p);
	if (got.status == 0)
		return true;
	snprintf(why, WHY, "the request is repeated, and refused: %.200s", got.why);
	return false;
}

/* To its end: the last closer gives the memory back. */
static void destroy_and_close(void)
{
	uint64_t serial = cache->serial;

	destroy_made();
	registry_close(pool, client_id(), MADE_ID, serial, &result);
	run();
}

static void close_unlinked(void)
{
	do_close();
	run();
}

static void close_unlinked_in_slices(void)
{
	slice = 500000;
	close_unlinked();
}

static void do_shrink_in_slices(void)
{
	slice = 500000;
	do_shrink();
}

static void destroy_in_slices(void)
{
	slice = 0;
	destroy_made();
}

/* Twice at once: the second finds it gone, or another of that id. */
static void destroy_twice(void)
{
	struct cache *ret;

	registry_destroy(pool, client_id(), SEQUENCE, NULL, cache->view.id, cache->serial,
			 take_result, &result);
	registry_destroy(pool, client_id(), SEQUENCE + 1, NULL, cache->view.id, cache->serial,
			 take_result, &result);
	registry_close(pool, client_id(), cache->view.id, cache->serial, &result);
	run();
	registry_create(pool, client_id(), SEQUENCE + 2, MADE, &made, &ret, &result);
}

/* One asks, and while its objects are counted the cache is gone. */
static void destroy_too_late(void)
{
	struct job *first;

	registry_destroy(pool, 0, 0, MADE, 0, 0, take_result, &result);
	registry_destroy(pool, 0, 0, MADE, 0, 0, take_result, &result);
	registry_close(pool, client_id(), cache->view.id, cache->serial, &result);
	first = TAILQ_FIRST(&pool->jobs);
	TAILQ_REMOVE(&pool->jobs, first, link);
	first->step(first, UINT64_MAX);
	first->finish(first);
	release_one_now(pool);
	run();
}

static void destroy_by_name(void)
{
	registry_destroy(pool, 0, 0, MADE, 0, 0, take_result, &result);
	registry_destroy(pool, 0, 0, "none", 0, 0, take_result, &result);
	lies.calloc = 1;
	registry_destroy(pool, 0, 0, "plain", 0, 0, take_result, &result);
	registry_destroy(pool, 0, 0, "plain", 0, 0, NULL, NULL);
	run();
}

/* Live objects of one's own do not stand in the way, where they die with their owner. */
static void made_reclaim(void)
{
	const struct slabd_cache_args args = {.size_of_args = sizeof(args),
					      .object_size = OBJECT_BYTES,
					      .flags = SLABD_RECLAIM,
					      .magazine = ROUNDS};

	if (slabd_attach(&me, "crash") < 0 || slabd_cache_create(me, MADE, &args, &mine) < 0 ||
	    !slabd_alloc(mine, 0))
		die("victim: %s", slabd_error());
	work();
	cache = pool->caches[MADE_ID];
}

/* The client has nothing of it but magazines. */
static void made_unlinked_held(void)
{
	slab_ref ref;

	made_reclaim();
	ref = object_of(&world.live, MADE_ID - 1, client_id(), 0);
	slabd_free(mine, ref_address(mine->view.heap, ref));
	registry_destroy(pool, client_id(), 2, NULL, cache->view.id, cache->serial, take_result,
			 &result);
	run();
	if (!cache->unlinked)
		die("victim: %s", result.why);
}

/* Both ids are taken, one by a cache whose release is queued. */
static void made_releasing(void)
{
	made_unlinked();
	do_close();
}

static void do_create_in_its_place(void)
{
	struct cache *ret;

	registry_create(pool, client_id(), SEQUENCE, "next", &made, &ret, &result);
}

/* ---------------------------------------------------------------- the worker itself */

static void do_restart(void)
{
	char why[WHY_BYTES];

	if (pool_open(&pool, "live", &world.live.backing, why, sizeof(why)) == 0)
		run();
}

static void do_rehearse(void)
{
	char why[WHY_BYTES];

	lies.frozen = true;
	pool_rehearse("live", &world.live.backing, why, sizeof(why));
}

static void nobody(void)
{
}

/* A client that died while no worker was there to see. */
static void gone_client(void)
{
	client_of(PLAIN);
	side_record(&world.live, client_id())->pid = GONE_PID;
}

static void made_unlinked_by_the_dead(void)
{
	made_unlinked();
	side_record(&world.live, client_id())->pid = GONE_PID;
}

#define RESTART_CALLOCS 9

static void no_calloc(unsigned which)
{
	char why[WHY_BYTES];

	lies.calloc = which;
	pool_open(&pool, "live", &world.live.backing, why, sizeof(why));
	lies.calloc = 0;
}

/* Its own memory runs out, at each place in turn. */
static void do_restart_without_memory(void)
{
	for (unsigned i = 1; i < 24; i++)
		no_calloc(i);
}

/* From those on that uthash, which then ends the process, makes first. */
static void do_restart_with_little_memory(void)
{
	for (unsigned i = RESTART_CALLOCS; i < RESTART_CALLOCS + 8; i++)
		no_calloc(i);
}

static void hostile_restart(void)
{
	plain_hostile_repair();
	side_record(&world.live, client_id())->pid = GONE_PID;
	/* a slab of no cache, and a slab word that no cache has */
	store_relaxed(&world.live.segment.slab_table[object_ref(3, 0) >> (UNIT_SHIFT - REF_SHIFT)],
		      SLAB_WORD(MADE_ID, EXTENT_SHIFT - 1));
}

static void hostile_worker_magazine(void)
{
	uint32_t cursor = 0;
	struct claim claim;

	plain_full();
	claim = depot_claim(&cache->view, MAGAZINE_FULL, PARTY_DAEMON, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0], 5);
	store_relaxed(&claim.magazine->rounds[1],
		      object_of(&world.live, PLAIN, world.survivor_id, 0));
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, PARTY_DAEMON, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0],
		      object_of(&world.live, PLAIN, world.survivor_id, 0));
}

static void take_census(void *arg, const struct census *census)
{
	(void)arg;
	(void)census;
}

static void do_census(void)
{
	struct audit_count total;

	stats_census(pool, true, take_census, &result);
	run();
	audit_segment(&pool->segment, NULL, NULL, NULL);
	audit_segment(&pool->segment, NULL, NULL, &total);
	audit_count_is_balanced(&total);
}

static void do_census_without_memory(void)
{
	for (unsigned i = 1; i < 4; i++) { /* each of its three */
		lies.calloc = i < 3 ? i : 0;
		lies.mmap = i == 3;
		audit_segment(&pool->segment, NULL, NULL, NULL);
	}
}

/* What no one but a test asks of the depot, and the search from a place that is no more. */
static void do_ask_depot(void)
{
	struct magazine *magazine = depot_magazine(&cache->view, 60);

	depot_low(&cache->view, 4, 1000);
	depot_low(&cache->view, 1000, 0);
	if (depot_claim_index(&cache->view, MAGAZINE_EMPTY, PARTY_DAEMON, 60))
		depot_put(&cache->view, 60, magazine);
	depot_claim_index(&cache->view, MAGAZINE_FULL, PARTY_DAEMON, 60);
	refill_drain(cache, 0, 0);
	refill_drain(cache, UINT32_MAX, UINT32_MAX);
	depot_any(&cache->view, MAGAZINE_FULL);
}

/* By names of every length that the hash knows how to end. */
static void do_names(void)
{
	static const char name[] = "a-name-that-is-rather-long";

	for (unsigned i = 1; i < sizeof(name); i++)
		registry_by_name(pool, name + sizeof(name) - 1 - i);
}

/* Every kind of damage that the audit tells. */
static void plain_damage(void)
{
	uint32_t cursor = 0;
	struct claim claim;

	plain_client();
	fill_one(cache);
	fill_one(cache);
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, 5, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->count, 1000);
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, 5, UINT32_MAX, &cursor);
	claim = depot_claim(&cache->view, MAGAZINE_FULL, PARTY_DAEMON, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[1], load_relaxed(&claim.magazine->rounds[0]));
	claim = depot_claim(&cache->view, MAGAZINE_FULL, 6, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0],
		      object_of(&world.live, PLAIN, world.survivor_id, 0));
	store_relaxed(&claim.magazine->owner, owner_make(3, 0, 0));
	store_relaxed(cache_tag(&cache->view, object_of(&world.live, PLAIN, world.survivor_id, 1)),
		      tag_make(99, TAG_LIVE, 0));
	store_relaxed(cache_tag(&cache->view, object_of(&world.live, PLAIN, world.tomb_id, 0)),
		      tag_make(99, TAG_FREEING, 0));
	store_relaxed(&pool->segment.slab_table[1], SLAB_WORD(99, 16));
	store_relaxed(&pool->segment.slab_table[2], SLAB_WORD(2, 16));
	store_relaxed(&pool->segment.descriptors[1].racks, 2);
}

/* Numbers that are no party's and no object's business, but part of shm all the same. */
static void do_arithmetic(void)
{
	static const struct geometry_request requests[] = {
		{.object_size = 1},
		{.object_size = 64, .flags = GEOMETRY_HWALIGN},
		{.object_size = 12, .flags = GEOMETRY_HWALIGN},
		{.object_size = 12, .align = 128, .flags = GEOMETRY_HWALIGN},
		{.object_size = 300},
		{.object_size = 1000, .align = 4096},
		{.object_size = 10000},
		{.object_size = 100000},
		{.object_size = OBJECT_SIZE_MAX},
		{.object_size = OBJECT_SIZE_MAX + 1},
		{.object_size = 8, .align = 24},
		{.object_size = 8, .flags = 0x100},
		{.object_size = 8, .magazine = MAGAZINE_ROUNDS_MAX},
		{.object_size = 8, .magazine = MAGAZINE_ROUNDS_MAX + 1},
	};
	struct superblock super = {0};
	struct geometry g;
	char why[WHY_BYTES];

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		memset(&g, 0, sizeof(g));
		geometry_make(&g, &requests[i], 3u * EXTENT_BYTES, 100, why, sizeof(why));
		geometry_matches(&g, &requests[(i + 1) % 4]);
		geometry_matches(&g, &requests[i]);
	}
	geometry_make(&g, &(struct geometry_request){.object_size = 8, .magazine = 1},
		      HEAP_BYTES_MAX, 1, why, sizeof(why));
	geometry_segment(&super, 3u * EXTENT_BYTES, 4, 4, why, sizeof(why));
	geometry_segment(&super, 1, 4, 4, why, sizeof(why));
	geometry_segment(&super, HEAP_BYTES_MAX + 1, 4, 4, why, sizeof(why));
	geometry_segment(&super, 3u * EXTENT_BYTES, 0, 4, why, sizeof(why));
	geometry_segment(&super, 3u * EXTENT_BYTES, CACHES_MAX + 1, 4, why, sizeof(why));
	geometry_segment(&super, 3u * EXTENT_BYTES, 4, 0, why, sizeof(why));
	geometry_segment(&super, 3u * EXTENT_BYTES, 4, 20000, why, sizeof(why));
}

static void do_map(void)
{
	const struct backing *b = &world.live.backing;
	struct segment segment = world.live.segment;
	uint64_t bytes = segment.super->catalog_bytes;
	char *p = NULL, *q;

	segment_map(&p, b->catalog, bytes, PROT_READ, NULL);
	segment_map(&q, b->catalog, bytes, PROT_READ, p);
	segment_map(&q, -1, bytes, PROT_READ, NULL);
	segment_snapshot(&q, b->catalog, bytes);
	segment_snapshot(&q, -1, bytes);
	segment_view(&segment, p, 1, NULL, 0, NULL, 0);
	segment_view(&segment, p, bytes, NULL, 0, NULL, 0);
	segment_view(&segment, p, bytes, NULL, segment.super->depot_bytes, NULL,
		     segment.super->heap_bytes);
	setenv("SLABD_DUMP", "1", 1);
	segment_map(&q, b->catalog, bytes, PROT_READ | PROT_WRITE, NULL);
	setenv("SLABD_DUMP", "10", 1);
	segment_map(&q, b->catalog, bytes, PROT_READ | PROT_WRITE, NULL);
	segment_base(1, 2);
	setenv("SLABD_BASE", "0x7e8000000000", 1);
	segment_base(1, 2);
}

/* ---------------------------------------------------------------- recovery as the victim */

uint32_t recovery_client;

/* Should this worker be killed, too, the next one will find that the client is gone. */
static void mark_gone(void)
{
	if (recovery_client)
		side_record(&world.live, recovery_client)->pid = GONE_PID;
}

static void work_and_mark(void)
{
	work();
	mark_gone();
}

static void bury(void)
{
	clients_died(pool, recovery_client, take_result, &result);
	run();
}

#define CASE(name_, cache_, prepare_, operate_, ...)                                          \
	{                                                                                     \
		.name = name_, .victim = VICTIM_WORKER, .cache = cache_, .prepare = prepare_, \
		.operate = operate_, __VA_ARGS__                                              \
	}

const struct crash_case worker_cases[] = {
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

	CASE("death", PLAIN, client_of_two, do_die, .core = true),
	CASE("death, in slices", PLAIN, client_of_two, do_die_in_slices),
	CASE("death, reclaim", RECLAIM, reclaim_client_too, do_die),
	CASE("death, with nothing", PLAIN, idle_client, do_die),
	CASE("death, an unlinked cache", PLAIN, made_unlinked_held, do_die),
	CASE("death, no memory for it", PLAIN, plain_client, do_die_without_memory),
	CASE("death, hostile magazines", PLAIN, plain_hostile_repair, do_die, .hostile = true),
	CASE("death, hostile tags", RECLAIM, reclaim_hostile_sweep, do_die, .hostile = true),
	CASE("detach", PLAIN, client_of_two, do_detach),
	CASE("detach, with nothing", PLAIN, idle_client, do_detach),
	CASE("attach", PLAIN, work, do_attach),
	CASE("linger and resume", PLAIN, idle_client, do_linger_and_resume),
	CASE("orphans", PLAIN, plain_client, do_orphans),

	CASE("create", PLAIN, idle_client, do_create, .again = create_again),
	CASE("create, refused", PLAIN, idle_client, do_create_badly),
	CASE("create, one too many", PLAIN, work, do_create_one_too_many),
	CASE("create, many", PLAIN, work, do_create_many),
	CASE("create, no room for a rack", PLAIN, client_depot_full, do_create),
	CASE("create, no memory", PLAIN, idle_client, do_create_without_memory),
	CASE("create, in the place of another", PLAIN, made_releasing, do_create_in_its_place),
	CASE("open", PLAIN, idle_client, do_open),
	CASE("close", PLAIN, plain_client, do_close),
	CASE("close, the last of an unlinked one", PLAIN, made_unlinked, close_unlinked),
	CASE("close, the last, in slices", PLAIN, made_unlinked, close_unlinked_in_slices),
	CASE("destroy", PLAIN, made_cache, destroy_made, .again = destroy_again),
	CASE("destroy, reclaim", PLAIN, made_reclaim, destroy_made, .again = destroy_again),
	CASE("destroy, to its end", PLAIN, made_two_racks, destroy_and_close),
	CASE("destroy, by name", PLAIN, made_cache, destroy_by_name),
	CASE("destroy, in slices", PLAIN, made_cache, destroy_in_slices, .again = destroy_again),
	CASE("destroy, twice", PLAIN, made_cache, destroy_twice),
	CASE("destroy, too late", PLAIN, made_cache, destroy_too_late),
	CASE("destroy, unlinked", PLAIN, made_unlinked, destroy_made),

	CASE("restart", PLAIN, nobody, do_restart),
	CASE("restart, somebody died", PLAIN, gone_client, do_restart),
	CASE("restart, an unlinked cache", PLAIN, made_unlinked_by_the_dead, do_restart),
	CASE("restart, no memory", PLAIN, plain_client, do_restart_without_memory),
	CASE("restart, little memory", PLAIN, plain_client, do_restart_with_little_memory),
	CASE("restart, hostile", PLAIN, hostile_restart, do_restart, .hostile = true),
	CASE("restart, hostile magazine", PLAIN, hostile_worker_magazine, do_restart,
	     .hostile = true),
	CASE("rehearse", PLAIN, plain_client, do_rehearse),
	CASE("audit", PLAIN, plain_client, do_census),
	CASE("audit, no memory", PLAIN, work, do_census_without_memory),
	CASE("names", PLAIN, work, do_names),
	CASE("depot", PLAIN, plain_threads, do_ask_depot),
	CASE("audit, damage", PLAIN, plain_damage, do_census, .hostile = true),
	CASE("arithmetic", PLAIN, nobody, do_arithmetic),
	CASE("map", PLAIN, nobody, do_map),
};

const struct crash_case recovery_by_worker =
	CASE("recovery by the worker", PLAIN, work_and_mark, bury);
const struct crash_case recovery_by_restart =
	CASE("recovery by the next worker", PLAIN, mark_gone, do_restart, .alone = true);

const unsigned worker_cases_n = sizeof(worker_cases) / sizeof(*worker_cases);
