/* What the worker does, as a victim of its own: the process first plays a client or two, then opens the
 * pool as the worker does. */
#include "tests/crash/worker_shapes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/census.h"
#include "daemon/clients.h"
#include "daemon/orphans.h"
#include "daemon/refill.h"

/* ---------------------------------------------------------------- shapes */

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

	census_take(pool, true, take_census, &result);
	run();
	audit_segment(&pool->segment, NULL, NULL, NULL);
	audit_segment(&pool->segment, NULL, NULL, &total);
	audit_count_is_balanced(&total);
}

static void do_census_without_memory(void)
{
	struct audit audit;

	for (unsigned i = 1; i < 4; i++) { /* each of its three */
		lies.calloc = i < 3 ? i : 0;
		lies.mmap = i == 3;
		audit_segment(&pool->segment, NULL, NULL, NULL);
	}
	if (audit_init(&audit, &pool->segment, NULL, NULL) == 0) {
		lies.mmap = 1;
		audit_watch(&audit, NULL);
		audit_deinit(&audit);
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

/* The survivor takes one object and frees another, and has a magazine as nobody leaves it. */
static void plain_moving(void)
{
	slab_ref ref = object_of(&world.live, PLAIN, world.survivor_id, 0);
	uint32_t cursor = 0, n;
	struct claim claim;

	plain_client();
	fill_one(cache);
	fill_one(cache);
	claim = depot_claim(&cache->view, MAGAZINE_FULL, world.survivor_id, UINT32_MAX, &cursor);
	n = magazine_count(claim.magazine) - 1;
	store_relaxed(&claim.magazine->count, n);
	store_relaxed(cache_tag(&cache->view, load_relaxed(&claim.magazine->rounds[n])),
		      tag_make(world.survivor_id, TAG_LIVE, 0));
	store_relaxed(cache_tag(&cache->view, load_relaxed(&claim.magazine->rounds[n - 1])),
		      tag_make(world.survivor_id, TAG_LIVE, 0));
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, world.survivor_id, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->rounds[0], ref);
	store_relaxed(&claim.magazine->rounds[1], 5);
	store_relaxed(cache_tag(&cache->view, ref), tag_make(PARTY_NONE, TAG_CIRC, 1));
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, world.survivor_id, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->count, 2);
	store_relaxed(&claim.magazine->rounds[1],
		      object_of(&world.live, PLAIN, world.survivor_id, 1));
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, world.survivor_id, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->count, 1);
	store_relaxed(&claim.magazine->rounds[0], object_of(&world.live, PLAIN, world.tomb_id, 0));
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, world.survivor_id, UINT32_MAX, &cursor);
	store_relaxed(&claim.magazine->count, 1000);
	depot_claim(&cache->view, MAGAZINE_FULL, world.survivor_id, UINT32_MAX, &cursor);
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

const struct crash_case worker_cases[] = {
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
	CASE("audit, at work", PLAIN, plain_moving, do_census, .hostile = true),
	CASE("arithmetic", PLAIN, nobody, do_arithmetic),
	CASE("map", PLAIN, nobody, do_map),
};
const unsigned worker_cases_n = sizeof(worker_cases) / sizeof(*worker_cases);

const struct crash_case recovery_by_worker =
	CASE("recovery by the worker", PLAIN, work_and_mark, bury);
const struct crash_case recovery_by_restart =
	CASE("recovery by the next worker", PLAIN, mark_gone, do_restart, .alone = true);
