/* The reaper.
 *
 * Every 15 seconds, for each cache: magazines beyond a surplus (settings.c) go back to the slabs, slabs that
 * are empty then (but one, against a cache that breathes) go back to the extents, and extents that
 * are empty then go back to the system a second later.  Partly full magazines go first: their rounds
 * come back in whole ones, which is how the depot is kept merged (I-7 counts on it); the tick does
 * that at once when empty magazines run low.
 *
 * Shrink does all of it, keeps nothing, and does not wait. */
#include "daemon/reap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/extent.h"
#include "daemon/refill.h"
#include "daemon/release.h"
#include "daemon/settings.h"
#include "daemon/slab.h"

#define REAP_MOST 1024u /* magazines drained in one go */
#define EMPTY_LOW 16u

static uint32_t drain_partial(struct cache *cache, uint32_t most)
{
	return refill_drain(cache, most, cache->view.geometry.capacity - 1);
}

void reap_tick(struct cache *cache)
{
	release_if_unused(cache);
	if (cache->releasing || pool_is_damaged(cache->pool))
		return;
	if (load_relaxed(&cache->view.control->rung)) /* a doorbell that got lost */
		refill_doorbell(cache);
	if (refill_count(cache, MAGAZINE_EMPTY) >= EMPTY_LOW)
		return;
	refill_racks(cache);
	drain_partial(cache, REAP_MOST);
}

void reap_periodic(struct cache *cache)
{
	uint32_t surplus = setting_get(cache, SETTING_SURPLUS), full;

	if (cache->releasing || pool_is_damaged(cache->pool))
		return;
	drain_partial(cache, REAP_MOST);
	full = refill_count(cache, MAGAZINE_FULL);
	if (full > surplus)
		refill_drain(cache, full - surplus < REAP_MOST ? full - surplus : REAP_MOST,
			     UINT32_MAX);
	slab_release_empty(cache, 1, false);
}

struct shrink_job {
	struct job job;
	uint32_t id, last; /* caches still to be shrunk */
	uint64_t bytes;
	shrink_fn done;
};

/* Drains and releases until the time is up; true when the cache is done. */
static bool shrink_cache(struct shrink_job *s, struct cache *cache, uint64_t deadline)
{
	while (refill_drain(cache, 1, UINT32_MAX))
		if (pool_now() > deadline)
			return false;
	s->bytes += slab_release_empty(cache, 0, true);
	return true;
}

static bool shrink_step(struct job *job, uint64_t deadline)
{
	struct shrink_job *s = (struct shrink_job *)job;

	for (; s->id <= s->last; s->id++) {
		struct cache *cache = job->pool->caches[s->id];

		if (!cache || cache->releasing)
			continue;
		if (!shrink_cache(s, cache, deadline))
			return false;
	}
	s->bytes += extent_expire(job->pool, true);
	return true;
}

static void shrink_finish(struct job *job)
{
	struct shrink_job *s = (struct shrink_job *)job;
	struct result result = {0};

	job_result(job, &result);
	if (job->waiter)
		s->done(job->waiter, &result, s->bytes);
	free(s);
}

void reap_shrink(struct pool *pool, struct cache *cache, shrink_fn done, void *waiter)
{
	struct shrink_job *s = calloc(1, sizeof(*s));

	if (!s) {
		struct result result = {.status = -ENOMEM, .why = "slabd itself has no memory"};

		done(waiter, &result, 0);
		return;
	}
	*s = (struct shrink_job){
		.job = {.pool = pool,
			.step = shrink_step,
			.finish = shrink_finish,
			.waiter = waiter},
		.id = cache ? cache->view.id : 1,
		.last = cache ? cache->view.id : pool->segment.max_caches,
		.done = done,
	};
	job_add(pool, &s->job);
}
