/* Reclaim.
 *
 * The order was found by model checking and is part of the protocol (DESIGN section 7): for a
 * client first all its magazines, in all caches that it ever opened under this id, then the sweep of
 * the tags, and only then its id is free.  For a new worker: the magazines of party 1, then what
 * FREEING(1) says, only then the lists, and then each dead client.
 *
 * It runs as a job in slices; killed anywhere it is begun again by the next worker, since the
 * client's record says DYING until the end. */
#include "daemon/reclaim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/clients.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/registry.h"
#include "daemon/slab.h"
#include "daemon/tombs.h"
#include "shm/depot.h"
#include "shm/probe.h"
#include "shm/repair.h"

#define DEADLINE_EVERY 64 /* magazines or objects between two looks at the clock */

struct reclaim_job {
	struct job job;
	uint32_t client;
	result_fn done;
	const char *how;
	uint64_t started;
	bool swept;  /* false: still repairing magazines */
	uint32_t id; /* of the cache under way; 0: take the next */
	uint64_t serial;
	uint32_t next; /* cache id after it */
	uint32_t at;   /* magazine, then heap unit */
	struct repair_count repaired;
	uint64_t returned, orphans;
};

static uint32_t heap_units(const struct pool *pool)
{
	return (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);
}

/* Repairs what is left of one cache's magazines; false when the time is up. */
static bool repair_cache(struct reclaim_job *r, struct cache *cache, uint64_t deadline)
{
	uint32_t magazines = depot_magazines(&cache->view);

	while (r->at < magazines) {
		repair_magazine(&cache->view, r->at, r->client, &r->repaired);
		r->at++;
		if (r->at % DEADLINE_EVERY == 0 && pool_now() > deadline)
			return false;
	}
	return true;
}

static void sweep_slab(struct reclaim_job *r, struct cache *cache, uint32_t unit)
{
	const struct geometry *g = &cache->view.geometry;
	bool reclaim = g->flags & GEOMETRY_RECLAIM;

	for (uint32_t i = 0; i < g->objects; i++) {
		slab_ref ref = (unit << (UNIT_SHIFT - REF_SHIFT)) + i * (g->stride >> REF_SHIFT);

		switch (repair_sweep(&cache->view, ref, r->client, reclaim)) {
		case SWEEP_RETURNED:
			r->returned++;
			if (!slab_return(cache, ref))
				pool_damage(cache->pool, "a swept object was in its slab already");
			break;
		case SWEEP_ORPHAN:
			r->orphans++;
			break;
		case SWEEP_OTHER:
			break;
		}
	}
}

static bool sweep_cache(struct reclaim_job *r, struct cache *cache, uint64_t deadline)
{
	while (r->at < heap_units(cache->pool)) {
		uint32_t unit = r->at++;

		if (load_relaxed(&cache->pool->segment.slab_table[unit]) != cache->view.word)
			continue;
		sweep_slab(r, cache, unit);
		if (pool_now() > deadline)
			return false;
	}
	return true;
}

/* The cache under way, or the next one; NULL: that was all.  One that was released between two slices
 * is passed over: nothing of it is left. */
static struct cache *current_cache(struct reclaim_job *r)
{
	struct pool *pool = r->job.pool;
	struct cache *cache = r->id ? pool->caches[r->id] : NULL;

	if (cache && cache->serial == r->serial)
		return cache;
	cache = registry_next_ever(pool, r->client, &r->next);
	r->at = 0;
	r->id = cache ? cache->view.id : 0;
	r->serial = cache ? cache->serial : 0;
	return cache;
}

static bool reclaim_step(struct job *job, uint64_t deadline)
{
	struct reclaim_job *r = (struct reclaim_job *)job;
	struct cache *cache;

	for (;;) {
		while ((cache = current_cache(r))) {
			if (!(r->swept ? sweep_cache(r, cache, deadline)
				       : repair_cache(r, cache, deadline)))
				return false;
			r->id = 0;
		}
		if (r->swept)
			return true;
		r->swept = true; /* all magazines first, then all tags */
		r->next = 1;
	}
}

static void tell(const struct reclaim_job *r)
{
	struct happening counts = {.magazines = r->repaired.magazines,
				   .objects = r->repaired.rounds + r->returned,
				   .orphans = r->orphans};

	/* who detaches in good order leaves nothing to tell */
	if (!counts.magazines && !counts.orphans && !counts.objects && strcmp(r->how, "died") != 0)
		return;
	events_client(r->job.pool, EVENT_CLIENT_RECLAIMED, r->client, &counts,
		      "client %u: %llu magazines and %llu objects came back, %llu are orphans",
		      r->client, (unsigned long long)counts.magazines,
		      (unsigned long long)counts.objects, (unsigned long long)counts.orphans);
}

static void reclaim_finish(struct job *job)
{
	struct reclaim_job *r = (struct reclaim_job *)job;
	struct client_record *record = clients_record(job->pool, r->client);
	struct result result = {0};

	store_relaxed(&record->orphans, r->orphans);
	record->died_at = (uint64_t)time(NULL);
	job->pool->tombs += r->orphans > 0;
	job->pool->tombs_ever += r->orphans > 0;
	/* A tomb first, then its caches are closed (again by clients_open, if we are killed between
	 * the two): with nothing left in the bitmaps a DYING client would be found to own nothing. */
	if (r->orphans)
		store_release(&record->state, CLIENT_TOMB);
	registry_close_all(job->pool, r->client);
	if (!r->orphans)
		store_release(&record->state, CLIENT_FREE);
	log_info("client %u (pid %d, %.15s) %s: %llu magazines with %llu objects and %llu objects "
		 "came back, "
		 "%llu are orphans, %llu operations finished; %.2f ms",
		 r->client, record->pid, record->comm, r->how,
		 (unsigned long long)r->repaired.magazines, (unsigned long long)r->repaired.rounds,
		 (unsigned long long)r->returned, (unsigned long long)r->orphans,
		 (unsigned long long)r->repaired.finished, (double)(pool_now() - r->started) / 1e6);
	tell(r);
	if (r->orphans)
		tombs_look(job->pool);
	PROBE5(reclaim, r->client, record->pid, r->repaired.rounds + r->returned, r->orphans,
	       pool_now() - r->started);
	if (r->repaired.bad)
		pool_damage(job->pool,
			    "a dead client's magazine held words that no operation leaves");
	if (job->waiter && r->done)
		r->done(job->waiter, &result);
	free(r);
}

void reclaim_client(struct pool *pool, uint32_t client, const char *how, result_fn done,
		    void *waiter)
{
	struct reclaim_job *r = calloc(1, sizeof(*r));

	if (!r) {
		struct result result = {.status = -ENOMEM, .why = "slabd itself has no memory"};

		log_error("client %u: no memory to reclaim what it held; the next worker will",
			  client);
		if (done)
			done(waiter, &result);
		return;
	}
	*r = (struct reclaim_job){
		.job = {.pool = pool,
			.step = reclaim_step,
			.finish = reclaim_finish,
			.waiter = waiter},
		.client = client,
		.done = done,
		.how = how,
		.started = pool_now(),
		.next = 1,
	};
	job_add(pool, &r->job);
}

/* The lists do not exist yet, so what is swept to SLAB is found there when they are built. */
static void finish_frees(const struct cache *cache, uint32_t unit)
{
	const struct geometry *g = &cache->view.geometry;

	for (uint32_t i = 0; i < g->objects; i++)
		repair_sweep(&cache->view,
			     (unit << (UNIT_SHIFT - REF_SHIFT)) + i * (g->stride >> REF_SHIFT),
			     PARTY_DAEMON, true);
}

void reclaim_worker(struct pool *pool)
{
	struct repair_count count = {0};

	for (uint32_t id = 1; id <= pool->segment.max_caches; id++) {
		struct cache *cache = pool->caches[id];

		if (!cache)
			continue;
		for (uint32_t i = 0, n = depot_magazines(&cache->view); i < n; i++)
			repair_magazine(&cache->view, i, PARTY_DAEMON, &count);
	}
	for (uint32_t unit = EXTENT_UNITS; unit < heap_units(pool); unit++) {
		uint32_t word = load_relaxed(&pool->segment.slab_table[unit]);
		const struct cache *cache = registry_of_word(pool, word);

		if (cache)
			finish_frees(cache, unit);
	}
	if (count.magazines)
		log_info("repaired what the last worker left: %llu magazines, %llu operations "
			 "finished",
			 (unsigned long long)count.magazines, (unsigned long long)count.finished);
	if (count.bad)
		pool_damage(pool,
			    "a magazine of the last worker held words that no operation leaves");
}
