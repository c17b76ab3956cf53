#include "daemon/orphans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "daemon/clients.h"
#include "daemon/log.h"
#include "daemon/registry.h"
#include "daemon/slab.h"
#include "shm/repair.h"

struct found {
	UT_hash_handle hh;
	uint64_t key; /* cache id, owner */
	struct orphan orphan;
};

struct orphans_job {
	struct job job;
	uint32_t cache, unit;
	bool reclaim;
	uint64_t first, end; /* keys of this page */
	struct found *found;
	struct orphans result;
	orphans_fn done;
};

static void identify(const struct pool *pool, struct orphan *orphan)
{
	const struct client_record *record = clients_record(pool, orphan->owner);

	orphan->died_at = record->died_at;
	orphan->owners = record->owners ? record->owners : 1;
	if (record->owners)
		return;
	orphan->pid = record->pid;
	memcpy(orphan->comm, record->comm, sizeof(orphan->comm));
	orphan->comm[sizeof(orphan->comm) - 1] = 0;
}

static int by_cache_and_owner(struct found *a, struct found *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

/* The first page's worth stays; what lies behind it is not looked at again in this walk. */
static void cut(struct orphans_job *o)
{
	struct found *found, *next;
	size_t i = 0;

	HASH_SORT(o->found, by_cache_and_owner);
	HASH_ITER (hh, o->found, found, next) {
		if (i++ < ORPHANS_PAGE)
			continue;
		if (i == ORPHANS_PAGE + 1)
			o->end = found->key;
		HASH_DEL(o->found, found);
		free(found);
	}
}

/* NULL: not of this page, or there is no memory. */
static struct found *entry_of(struct orphans_job *o, uint32_t cache, uint32_t owner)
{
	uint64_t key = (uint64_t)cache << 32 | owner;
	struct found *found;

	if (key < o->first || key >= o->end)
		return NULL;
	HASH_FIND(hh, o->found, &key, sizeof(key), found);
	if (found)
		return found;
	if (o->reclaim && HASH_COUNT(o->found) == ORPHANS_PAGE) {
		o->result.next = 1; /* later: what of it was passed already is not freed */
		return NULL;
	}
	found = calloc(1, sizeof(*found));
	if (!found) {
		o->result.status = -ENOMEM;
		return NULL;
	}
	found->key = key;
	found->orphan = (struct orphan){.cache = cache, .owner = owner};
	identify(o->job.pool, &found->orphan);
	HASH_ADD(hh, o->found, key, sizeof(key), found);
	return found;
}

static void see_object(struct orphans_job *o, struct cache *cache, slab_ref ref)
{
	uint32_t tag = load_relaxed(cache_tag(&cache->view, ref));
	struct found *found;

	if (tag_state(tag) != TAG_LIVE || !clients_is_tomb(o->job.pool, tag_owner(tag)))
		return;
	found = entry_of(o, cache->view.id, tag_owner(tag));
	if (!found)
		return;
	found->orphan.objects++;
	if (!o->reclaim && HASH_COUNT(o->found) > 2 * ORPHANS_PAGE)
		cut(o);
	if (o->reclaim && repair_sweep(&cache->view, ref, tag_owner(tag), true) == SWEEP_RETURNED &&
	    slab_return(cache, ref))
		o->result.freed++;
}

static bool orphans_step(struct job *job, uint64_t deadline)
{
	struct orphans_job *o = (struct orphans_job *)job;
	struct pool *pool = job->pool;
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);

	for (; o->unit < units; o->unit++) {
		uint32_t word = load_relaxed(&pool->segment.slab_table[o->unit]);
		struct cache *cache = registry_of_word(pool, word);
		const struct geometry *g;

		if (!cache || cache->releasing || (o->cache && o->cache != cache->view.id))
			continue;
		if (pool_now() > deadline)
			return false;
		g = &cache->view.geometry;
		for (uint32_t i = 0; i < g->objects; i++)
			see_object(o, cache,
				   (o->unit << (UNIT_SHIFT - REF_SHIFT)) +
					   i * (g->stride >> REF_SHIFT));
	}
	return true;
}

static void orphans_drop(struct job *job)
{
	struct orphans_job *o = (struct orphans_job *)job;
	struct found *found, *next;

	HASH_ITER (hh, o->found, found, next) {
		HASH_DEL(o->found, found);
		free(found);
	}
	free(o);
}

static void orphans_finish(struct job *job)
{
	struct orphans_job *o = (struct orphans_job *)job;
	struct orphan *list = calloc(ORPHANS_PAGE, sizeof(*list));
	struct found *found;
	size_t i = 0;

	cut(o);
	for (found = o->found; found && list; found = found->hh.next)
		list[i++] = found->orphan;
	if (o->end != UINT64_MAX)
		o->result.next = o->end;
	if (!list)
		o->result.status = -ENOMEM;
	o->result.list = list;
	o->result.n = i;
	if (o->reclaim)
		log_info("%llu orphans freed", (unsigned long long)o->result.freed);
	if (job->waiter)
		o->done(job->waiter, &o->result);
	free(list);
	orphans_drop(job);
}

void orphans_walk(struct pool *pool, uint32_t cache, bool reclaim, uint64_t first, orphans_fn done,
		  void *waiter)
{
	struct orphans_job *o = calloc(1, sizeof(*o));

	if (!o) {
		done(waiter, &(struct orphans){.status = -ENOMEM});
		return;
	}
	*o = (struct orphans_job){
		.job = {.pool = pool,
			.step = orphans_step,
			.finish = orphans_finish,
			.drop = orphans_drop,
			.waiter = waiter},
		.cache = cache,
		.unit = EXTENT_UNITS,
		.reclaim = reclaim,
		.first = reclaim ? 0 : first,
		.end = UINT64_MAX,
		.done = done,
	};
	job_add(pool, &o->job);
}
