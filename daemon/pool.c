#include "daemon/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/census.h"
#include "daemon/clients.h"
#include "daemon/events.h"
#include "daemon/extent.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/reap.h"
#include "daemon/reclaim.h"
#include "daemon/registry.h"
#include "daemon/release.h"
#include "daemon/slab.h"
#include "daemon/verify.h"
#include "proto/limits.h"

#define SLICE_NS     UINT64_C(1000000)
#define REAP_SECONDS 15

uint64_t pool_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---------------------------------------------------------------- open */

static int map_region(char **ret, int fd, uint64_t bytes, bool snapshot)
{
	if (snapshot)
		return segment_snapshot(ret, fd, bytes);
	return segment_map(ret, fd, bytes, PROT_READ | PROT_WRITE, NULL);
}

static int map_regions(struct pool *pool, struct superblock *super, bool snapshot)
{
	const struct backing *b = &pool->backing;
	char *catalog = NULL, *depot = NULL, *heap = NULL, *state = NULL;
	int r;

	r = map_region(&catalog, b->catalog, super->catalog_bytes, snapshot);
	if (r == 0)
		r = map_region(&depot, b->depot, super->depot_bytes, snapshot);
	if (r == 0)
		r = map_region(&state, b->state, super->state_bytes, snapshot);
	/* anywhere: the worker follows no pointer in an object */
	if (r == 0)
		r = map_region(&heap, b->heap, super->heap_bytes, snapshot);
	if (r == 0)
		r = segment_view(&pool->segment, catalog, super->catalog_bytes, depot,
				 super->depot_bytes, heap, super->heap_bytes);
	pool->segment.state = state;
	if (snapshot) /* whatever recovery would punch or back stays as it is */
		pool->backing =
			(struct backing){.state = -1, .catalog = -1, .depot = -1, .heap = -1};
	return r;
}

/* The superblock as the file has it, to know how much to map. */
static int read_superblock(const struct backing *backing, struct superblock *super, char *why,
			   size_t n)
{
	char *page;
	int r = segment_map(&page, backing->catalog, PAGE_BYTES, PROT_READ, NULL);

	if (r < 0)
		return r;
	memcpy(super, page, sizeof(*super));
	munmap(page, PAGE_BYTES);
	return verify_superblock(super, why, n);
}

static uint64_t boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void count_start(struct pool *pool)
{
	struct state_head *head = (struct state_head *)(void *)pool->segment.state;

	pool->restarts = (uint32_t)load_relaxed(&head->worker_starts);
	store_relaxed(&head->worker_starts, pool->restarts + 1);
	if (!head->started_at_ms ||
	    head->started_at_ms > boot_ms()) /* the machine may have been started anew */
		head->started_at_ms = boot_ms();
}

void pool_set_restarts(struct pool *pool, uint32_t restarts)
{
	struct state_head *head = (struct state_head *)(void *)pool->segment.state;

	pool->restarts = restarts;
	if (!restarts)
		head->started_at_ms = boot_ms();
}

/* A rack's pages are in use if the rack table says so. */
static int depot_map_open(struct pool *pool)
{
	pool->depot_used =
		calloc(pool->segment.super->depot_pages / 64 + 1, sizeof(*pool->depot_used));
	if (!pool->depot_used)
		return -ENOMEM;
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++) {
		struct cache *cache = pool->caches[id];
		uint32_t pages;

		if (!cache)
			continue;
		pages = cache->view.geometry.magazine_bytes * RACK_MAGAZINES / PAGE_BYTES;
		for (uint32_t rack = 0; rack < load_relaxed(&cache->view.desc->racks); rack++) {
			uint64_t first = load_relaxed(&cache->view.rack_table[rack]);

			if (!first || first - 1 + pages > pool->segment.super->depot_pages)
				continue; /* a damaged file; the audit will say so */
			for (uint64_t page = first - 1; page < first - 1 + pages; page++)
				pool->depot_used[page / 64] |= UINT64_C(1) << page % 64;
		}
	}
	return 0;
}

struct opening {
	struct pool *pool;
	int r;
};

/* The order is part of the protocol: see reclaim.c. */
static void rebuild(void *arg)
{
	struct opening *o = arg;
	struct pool *pool = o->pool;

	o->r = registry_open(pool);
	if (o->r == 0)
		o->r = depot_map_open(pool);
	if (o->r == 0)
		o->r = extent_open(pool);
	if (o->r < 0)
		return;
	reclaim_worker(pool);
	o->r = slab_open(pool);
	if (o->r < 0)
		return;
	clients_open(pool);
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++)
		if (pool->caches[id]) /* the last worker's releases go on */
			release_if_unused(pool->caches[id]);
}

static int open_regions(struct pool **ret, const char *name, const struct backing *backing,
			bool snapshot, char *why, size_t n)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	struct superblock super;
	struct opening opening = {.pool = pool};
	char fault[WHY_BYTES / 2] = "";
	int r;

	if (!pool) {
		snprintf(why, n, "no memory");
		return -ENOMEM;
	}
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	pool->backing = *backing;
	pool->max_clients_per_uid = LIMIT_CLIENTS_PER_UID;
	pool->threads_epoch = 1;
	TAILQ_INIT(&pool->jobs);
	TAILQ_INIT(&pool->extents.limbo);
	r = read_superblock(backing, &super, fault, sizeof(fault));
	if (r == 0)
		r = map_regions(pool, &super, snapshot);
	if (r == 0 &&
	    snapshot) /* before it is taken over; what a live worker finds it goes on with */
		r = verify_regions(pool, fault, sizeof(fault));
	if (r == 0)
		r = events_open(pool);
	if (r == 0) {
		pool->caches = calloc(pool->segment.max_caches + 1, sizeof(*pool->caches));
		pool->slabs = calloc(pool->segment.heap_bytes >> UNIT_SHIFT, sizeof(*pool->slabs));
		r = pool->caches && pool->slabs ? 0 : -ENOMEM;
	}
	if (r == 0 && getrandom(&pool->random, sizeof(pool->random), 0) != sizeof(pool->random))
		r = -EIO;
	pool->random |= 1;
	if (r == 0)
		r = pool_guarded(pool, rebuild, &opening);
	if (r == 0)
		r = opening.r;
	if (r < 0) {
		snprintf(why, n, "segment %s: %s", name, fault[0] ? fault : strerror(-r));
		pool_close(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

int pool_open(struct pool **ret, const char *name, const struct backing *backing, char *why,
	      size_t n)
{
	int r = open_regions(ret, name, backing, false, why, n);

	if (r == 0)
		count_start(*ret);
	return r;
}

static void take_balance(void *arg, const struct census *census)
{
	*(bool *)arg = census && census->balanced;
}

int pool_rehearse(const char *name, const struct backing *backing, char *why, size_t n)
{
	struct pool *pool;
	bool balanced = false;
	int r = open_regions(&pool, name, backing, true, why, n);

	if (r < 0)
		return r;
	census_take(pool, true, take_balance, &balanced);
	while (pool_run(pool))
		;
	if (!balanced || pool_is_damaged(pool)) {
		snprintf(why, n,
			 "segment %s: its audit finds damage; the files are left as they are. "
			 "Inspect them, or "
			 "remove them to begin anew",
			 name);
		r = -EIO;
	}
	pool_close(pool);
	return r;
}

static void close_slabs(struct pool *pool)
{
	if (!pool->slabs)
		return;
	for (uint64_t unit = 0; unit < pool->segment.heap_bytes >> UNIT_SHIFT; unit++)
		free(pool->slabs[unit]);
	free(pool->slabs);
}

void pool_close(struct pool *pool)
{
	struct segment *s = &pool->segment;
	struct job *job;

	/* what they were about is in the regions, for the next worker to begin again */
	while ((job = TAILQ_FIRST(&pool->jobs))) {
		TAILQ_REMOVE(&pool->jobs, job, link);
		if (job->drop)
			job->drop(job);
		else
			free(job);
	}
	close_slabs(pool);
	HASH_CLEAR(hh, pool->by_name);
	for (uint32_t id = 1; pool->caches && id <= s->max_caches; id++)
		free(pool->caches[id]);
	free(pool->caches);
	extent_close(pool);
	events_close(pool);
	free(pool->depot_used);
	if (s->state)
		munmap(s->state, s->state_bytes);
	if (s->heap)
		munmap(s->heap, s->heap_bytes);
	if (s->depot)
		munmap(s->depot, s->depot_bytes);
	if (s->catalog)
		munmap(s->catalog, s->catalog_bytes);
	free(pool);
}

/* ---------------------------------------------------------------- damage */

bool pool_is_damaged(const struct pool *pool)
{
	return load_relaxed(&pool->segment.super->damaged) != 0;
}

static const struct happening damage_event = {.kind = EVENT_DAMAGE};

int pool_guarded(struct pool *pool, void (*fn)(void *arg), void *arg)
{
	const struct guard_range ranges[] = {
		{pool->segment.depot, pool->segment.depot_bytes},
		{pool->segment.heap, pool->segment.heap_bytes},
	};
	int r = guard_call(ranges, 2, fn, arg);

	if (r < 0 && !pool_is_damaged(pool)) {
		store_relaxed(&pool->segment.super->damaged, 1);
		log_error("segment %s is damaged: memory under it is gone (SIGBUS); a client "
			  "punched a hole, or "
			  "the hugepage pool shrank.  Nothing more is handed out of it; restart "
			  "slabd and its "
			  "clients",
			  pool->name);
		events_add(
			pool, &damage_event,
			"memory under the segment is gone (SIGBUS); restart slabd and its clients");
	}
	return r;
}

void pool_damage(struct pool *pool, const char *what)
{
	if (pool->damage++)
		return;
	events_add(pool, &damage_event, "%s; see slabctl audit", what);
	log_warning("segment %s: %s; one of its clients writes where it should not. See "
		    "slabctl audit",
		    pool->name, what);
}

/* ---------------------------------------------------------------- jobs and time */

void job_add(struct pool *pool, struct job *job)
{
	TAILQ_INSERT_TAIL(&pool->jobs, job, link);
}

void job_result(const struct job *job, struct result *result)
{
	if (!job->broken)
		return;
	result->status = -EIO;
	snprintf(result->why, sizeof(result->why),
		 "segment %s is damaged: memory under it is gone; see slabd's log",
		 job->pool->name);
}

void job_forget(struct pool *pool, const void *waiter)
{
	struct job *job;

	TAILQ_FOREACH (job, &pool->jobs, link)
		if (job->waiter == waiter)
			job->waiter = NULL;
}

struct slice {
	struct pool *pool;
	uint64_t deadline;
};

/* The jobs take turns, so that a long one does not keep a short one waiting. */
static void run_slice(void *arg)
{
	struct slice *slice = arg;
	struct pool *pool = slice->pool;
	struct job *job;

	while ((job = TAILQ_FIRST(&pool->jobs)) && pool_now() < slice->deadline) {
		bool done = job->step(job, slice->deadline);

		TAILQ_REMOVE(&pool->jobs, job, link);
		if (done)
			job->finish(job);
		else
			TAILQ_INSERT_TAIL(&pool->jobs, job, link);
	}
}

bool pool_run(struct pool *pool)
{
	struct slice slice = {pool, pool_now() + SLICE_NS};
	struct job *first = TAILQ_FIRST(&pool->jobs);

	if (pool_guarded(pool, run_slice, &slice) < 0 && first &&
	    first == TAILQ_FIRST(&pool->jobs)) {
		/* it met a hole and would meet it again; what it answers now is what it has */
		TAILQ_REMOVE(&pool->jobs, first, link);
		first->broken = true;
		first->finish(first);
	}
	return !TAILQ_EMPTY(&pool->jobs);
}

static void forget_census(void *arg, const struct census *census)
{
	(void)arg;
	(void)census;
}

void pool_tick(struct pool *pool)
{
	bool reap = ++pool->ticks % REAP_SECONDS == 0;

	events_tick(pool);
	extent_expire(pool, false);
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++) {
		struct cache *cache = pool->caches[id];

		if (!cache)
			continue;
		reap_tick(cache);
		if (reap)
			reap_periodic(cache);
	}
	if (reap && pool->tombs)
		census_take(pool, false, forget_census, NULL); /* buries tombs without orphans */
}
