/* The end of a cache, in an order in which a kill at any step leaves less of the same to do: the
 * descriptor says RELEASING, slabs leave the slab table, racks leave the rack table, the control is
 * wiped, and only then is the descriptor free.  A new worker finds an UNLINKED or RELEASING descriptor
 * that nobody has open, and goes on. */
#include "daemon/release.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/slab.h"

struct release_job {
	struct job job;
	struct cache *cache;
};

static struct slab *any_slab(struct cache *cache)
{
	if (!TAILQ_EMPTY(&cache->empty))
		return TAILQ_FIRST(&cache->empty);
	if (!TAILQ_EMPTY(&cache->full))
		return TAILQ_FIRST(&cache->full);
	for (int i = 0; i < SLAB_BUCKETS; i++)
		if (!TAILQ_EMPTY(&cache->partial[i]))
			return TAILQ_FIRST(&cache->partial[i]);
	return NULL;
}

static bool release_step(struct job *job, uint64_t deadline)
{
	struct release_job *r = (struct release_job *)job;
	struct slab *slab;

	while ((slab = any_slab(r->cache))) {
		slab_release(r->cache, slab, false);
		if (pool_now() > deadline)
			return false;
	}
	return true;
}

void release_racks(struct cache *cache)
{
	struct pool *pool = cache->pool;
	uint32_t racks = load_relaxed(&cache->view.desc->racks);
	uint32_t pages = cache->view.geometry.magazine_bytes * RACK_MAGAZINES / PAGE_BYTES;

	store_release(&cache->view.desc->racks, 0);
	for (uint32_t rack = 0; rack < racks; rack++) {
		uint32_t page = load_relaxed(&cache->view.rack_table[rack]);

		store_relaxed(&cache->view.rack_table[rack], 0);
		if (!page)
			continue;
		backing_punch(pool->backing.depot,
			      pool->segment.super->racks + (uint64_t)(page - 1) * PAGE_BYTES,
			      (uint64_t)pages * PAGE_BYTES);
		for (uint32_t i = page - 1; i < page - 1 + pages; i++)
			pool->depot_used[i / 64] &= ~(UINT64_C(1) << i % 64);
	}
}

static void release_finish(struct job *job)
{
	struct release_job *r = (struct release_job *)job;
	struct cache *cache = r->cache;
	struct pool *pool = job->pool;
	uint32_t id = cache->view.id;

	release_racks(cache);
	backing_punch(pool->backing.depot, (uint64_t)pool->segment.super->control_bytes * id,
		      pool->segment.super->control_bytes);
	store_release(&cache->view.desc->state, CACHE_FREE);
	pool->caches[id] = NULL;
	log_debug("cache id %u released", id);
	free(cache);
	free(r);
}

void release_if_unused(struct cache *cache)
{
	struct release_job *r;

	if (!cache->unlinked || cache->opens || cache->releasing)
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return; /* the tick tries again */
	cache->releasing = true;
	store_release(&cache->view.desc->state, CACHE_RELEASING);
	*r = (struct release_job){
		.job = {.pool = cache->pool, .step = release_step, .finish = release_finish},
		.cache = cache,
	};
	job_add(cache->pool, &r->job);
}

bool release_one_now(struct pool *pool)
{
	struct job *job;

	TAILQ_FOREACH (job, &pool->jobs, link)
		if (job->step == release_step)
			break;
	if (!job)
		return false;
	TAILQ_REMOVE(&pool->jobs, job, link);
	job->step(job, UINT64_MAX);
	job->finish(job);
	return true;
}
