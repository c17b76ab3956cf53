/* The slowest tier: asking slabd. */
#include <errno.h>

#include "client/internal.h"
#include "shm/probe.h"

int refill_wait(struct slabd_cache *cache, uint32_t objects, uint64_t deadline)
{
	struct request request = {.verb = REQUEST_REFILL,
				  .id = cache->view.id,
				  .serial = cache->serial,
				  .objects = objects};
	uint32_t refilled = load_relaxed(&cache->refilled);
	struct slabd *slabd = cache->slabd;
	struct counters *counters;
	struct answer answer;
	int r = attachment_lock(slabd, deadline);

	if (r < 0)
		return r;
	if (load_relaxed(&cache->refilled) == refilled) {
		counters = depot_counters(&cache->view, load_relaxed(&slabd->identity->client));
		add_relaxed(&counters->refills, 1);
		add_relaxed(&counters->waits, 1);
		PROBE2(refill__start, cache->name, objects);
		r = attachment_call(slabd, &request, &answer, deadline);
		PROBE3(refill__end, cache->name, objects, r);
		if (r == 0)
			store_relaxed(&cache->refilled, refilled + 1);
	} /* else another thread was answered while we waited for the lock: look again */
	attachment_unlock(slabd);
	return r;
}

void refill_ring(struct slabd_cache *cache, bool sure)
{
	struct identity *identity = cache->slabd->identity;

	if (!depot_ring(&cache->view) && !sure)
		return;
	store_relaxed(&identity->bell, cache->slot + 1);
	if (pthread_mutex_trylock(&identity->lock) == 0)
		attachment_unlock(cache->slabd);
}
