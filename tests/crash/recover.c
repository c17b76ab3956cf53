/* Recovery from one state on the mirror, and the oracle. */
#include "tests/crash/crash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/internal.h"
#include "daemon/clients.h"
#include "daemon/extent.h"
#include "shm/audit.h"

#define TOLD 4 /* failures of a case that are told in full */

#define FAIL(...) return snprintf(why, WHY, __VA_ARGS__), false

static char refused[WHY / 2]; /* what the library says of the survivor's frees */

static void on_refused(const char *message, void *arg)
{
	(void)arg;
	snprintf(refused, sizeof(refused), "%s", message);
}

/* ---------------------------------------------------------------- what recovery has left */

static enum audit_owner owner_kind(void *arg, uint32_t owner)
{
	const struct pool *pool = arg;

	if (clients_is_attached(pool, owner))
		return AUDIT_CLIENT;
	return clients_is_tomb(pool, owner) ? AUDIT_TOMB : AUDIT_NOBODY;
}

/* I-1 and I-2, and that the worker's own lists say the same. */
static bool is_balanced(struct pool *pool, uint64_t objects_max, char *why)
{
	struct audit audit;
	bool balanced;

	if (audit_init(&audit, &pool->segment, owner_kind, pool) < 0)
		FAIL("no memory");
	while (!audit_step(&audit, UINT64_MAX))
		;
	why[0] = 0;
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++) {
		const struct audit_count *n = &audit.caches[id];
		const struct cache *cache = pool->caches[id];

		if (!audit_count_is_balanced(n) || n->freeing || n->objects > objects_max)
			snprintf(why, WHY,
				 "cache %u: %llu objects: %llu in slabs, %llu in magazines, %llu "
				 "live, %llu orphaned, %llu freeing, %llu LOST, %llu DOUBLED, %llu "
				 "bad magazines",
				 id, (unsigned long long)n->objects,
				 (unsigned long long)n->in_slabs,
				 (unsigned long long)n->in_magazines, (unsigned long long)n->live,
				 (unsigned long long)n->orphaned, (unsigned long long)n->freeing,
				 (unsigned long long)n->lost, (unsigned long long)n->doubled,
				 (unsigned long long)n->magazines);
		else if (n->in_slabs != (cache ? cache->in_slabs : 0))
			snprintf(why, WHY,
				 "cache %u: %llu objects are in slabs, the worker lists %llu", id,
				 (unsigned long long)n->in_slabs,
				 (unsigned long long)(cache ? cache->in_slabs : 0));
	}
	balanced = !why[0];
	audit_deinit(&audit);
	return balanced;
}

static bool is_of_victims(const struct trace *trace, uint32_t owner)
{
	return owner && (owner == trace->client || owner == trace->first);
}

/* May the object be so, that was before and after when nobody died? */
static bool object_is_right(const struct trace *trace, uint32_t before, uint32_t after,
			    uint32_t now, bool reclaim, char *why)
{
	bool was_live = tag_state(before) == TAG_LIVE, is_live = tag_state(now) == TAG_LIVE;

	if (tag_state(now) == TAG_FREEING)
		FAIL("still FREEING");
	if (tag_state(before) == TAG_FREEING && tag_generation(now) == tag_generation(before))
		FAIL("its free was finished, but a handle of before is not stale");
	if (was_live && !is_live && tag_generation(now) == tag_generation(before))
		FAIL("freed, but a handle of before is not stale");
	if (was_live && is_live && now != after && tag_generation(now) != tag_generation(before))
		FAIL("alive, but a handle of before is stale");
	if (is_live && !is_of_victims(trace, tag_owner(now)) &&
	    tag_owner(now) != tag_owner(before) &&
	    !(tag_state(after) == TAG_LIVE && tag_owner(now) == tag_owner(after)))
		FAIL("its owner is %u", tag_owner(now));
	if (before == after && was_live && !is_live &&
	    !(reclaim && is_of_victims(trace, tag_owner(before))) &&
	    !(trace->first && tag_owner(before) == trace->first)) /* it may have been about to */
		FAIL("it was freed, but nobody wanted that");
	if (is_live && reclaim && trace->client_dies && is_of_victims(trace, tag_owner(now)))
		FAIL("it has outlived its owner");
	if (before == after && was_live && is_live && before != now)
		FAIL("it was given away, but nobody wanted that");
	if (before == after && !was_live && tag_state(before) != TAG_FREEING &&
	    (is_live || tag_generation(now) != tag_generation(before)))
		FAIL("nobody touched it, but it has changed");
	return true;
}

static bool objects_are_right(const struct trace *trace, const struct objects *now, char *why)
{
	const struct objects *before = &trace->before, *after = &trace->after;
	char what[WHY];

	for (uint32_t s = 0; s < SLABS; s++) {
		bool stayed = before->word[s] == now->word[s] && before->word[s] == after->word[s];

		for (uint32_t i = 0; i < SLAB_OBJECTS; i++) {
			uint32_t tag = before->tag[s][i];

			if (before->word[s] == SLAB_WORD_NONE)
				continue;
			if (!stayed && tag_state(tag) == TAG_LIVE &&
			    before->word[s] != now->word[s])
				FAIL("slab %u went with a live object in it", s);
			if (stayed &&
			    !object_is_right(trace, tag, after->tag[s][i], now->tag[s][i],
					     slab_word_cache(now->word[s]) == RECLAIM + 1, what))
				FAIL("object %u of slab %u: tag 0x%08x, 0x%08x without a kill, now "
				     "0x%08x: %.200s",
				     i, s, tag, after->tag[s][i], now->tag[s][i], what);
		}
	}
	return true;
}

/* What the victim had when its operation was over is its own, or its orphan: nobody takes it in. */
static bool what_is_over_stands(const struct trace *trace, const struct objects *now, char *why)
{
	const struct objects *after = &trace->after;

	for (uint32_t s = 0; s < SLABS; s++)
		for (uint32_t i = 0; i < SLAB_OBJECTS; i++) {
			uint32_t tag = after->tag[s][i], id = slab_word_cache(after->word[s]);

			if (id && id != RECLAIM + 1 && tag_state(tag) == TAG_LIVE &&
			    tag_owner(tag) == trace->client && now->tag[s][i] != tag)
				FAIL("object %u of slab %u: the victim had it, tag 0x%08x, now "
				     "0x%08x",
				     i, s, tag, now->tag[s][i]);
		}
	return true;
}

/* ---------------------------------------------------------------- those who live on */

/* Frees whatever is live of owner, through the library. */
static bool free_all_of(uint32_t owner, char *why)
{
	struct objects now;

	objects_read(&now, &world.mirror);
	for (uint32_t s = 0; s < SLABS; s++)
		for (uint32_t i = 0; i < SLAB_OBJECTS; i++) {
			uint32_t tag = now.tag[s][i], id = slab_word_cache(now.word[s]);
			slab_ref ref = object_ref(s, i);
			struct slabd_cache *cache;

			if (!now.word[s] || tag_state(tag) != TAG_LIVE || tag_owner(tag) != owner)
				continue;
			if (id < 1 || id > CACHES)
				FAIL("a live object in slab %u of cache %u", s, id);
			cache = world.caches[id - 1];
			slabd_free(cache, ref_address(cache->view.heap, ref));
			tag = load_relaxed(cache_tag(&cache->view, ref));
			if (refused[0] || tag_state(tag) == TAG_LIVE)
				FAIL("object %u of slab %u can't be freed: %s", i, s, refused);
		}
	return true;
}

/* Of the tombs, whoever was folded into whom. */
static bool free_all_orphans(const struct pool *pool, char *why)
{
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++)
		if (clients_is_tomb(pool, id) && !free_all_of(id, why))
			return false;
	return true;
}

static bool a_few_each(char *why)
{
	for (int c = 0; c < CACHES; c++) {
		void *objects[4];

		for (int i = 0; i < 4; i++) {
			objects[i] = slabd_alloc(world.caches[c], 0);
			if (!objects[i] && errno == ENOMEM) /* the dead may own all that there is */
				continue;
			if (!objects[i])
				FAIL("cache %s: alloc: %s", cache_names[c], slabd_error());
			for (int k = 0; k < i; k++)
				if (objects[k] == objects[i])
					FAIL("cache %s: DOUBLED: %p twice", cache_names[c],
					     objects[i]);
		}
		for (int i = 0; i < 4; i++)
			slabd_free(world.caches[c], objects[i]);
		if (refused[0])
			FAIL("%s", refused);
	}
	return true;
}

/* Everything goes back to the system: what stays behind is lost. */
static bool give_all_back(struct pool *pool, char *why)
{
	slabd_flush(world.survivor);
	if (slabd_cache_shrink(world.caches[PLAIN]) < 0)
		FAIL("shrink: %s", slabd_error());
	if (pool->extents.backed_count)
		FAIL("LOST: after everything was freed, %u extents are still in use",
		     pool->extents.backed_count);
	return is_balanced(pool, 0, why);
}

/* All the objects that the heap has room for can be had, each once. */
static bool take_all(int c, char *why)
{
	struct slabd_cache *cache = world.caches[c];
	void *objects[SLABS * SLAB_OBJECTS + 1];
	bool seen[SLABS][SLAB_OBJECTS] = {{false}};
	unsigned n = 0;

	for (;; n++) {
		uint32_t offset, slab, i;

		if (n == SLABS * SLAB_OBJECTS + 1)
			FAIL("DOUBLED: more objects than the heap holds");
		objects[n] = slabd_alloc(cache, 0);
		if (!objects[n])
			break;
		offset = (uint32_t)((char *)objects[n] - cache->view.heap) - EXTENT_BYTES;
		slab = offset / (EXTENT_BYTES / 2);
		i = offset % (EXTENT_BYTES / 2) / OBJECT_BYTES;
		if (slab >= SLABS || i >= SLAB_OBJECTS || seen[slab][i])
			FAIL("DOUBLED: %p is handed out twice", objects[n]);
		seen[slab][i] = true;
	}
	if (errno != ENOMEM || n != SLABS * SLAB_OBJECTS)
		FAIL("LOST: %u objects of %u can be had, then: %s", n, SLABS * SLAB_OBJECTS,
		     slabd_error());
	slabd_free_bulk(cache, n, objects);
	if (refused[0])
		FAIL("%s", refused);
	return true;
}

/* Somebody new comes, makes a cache where one may just have gone, uses it, and goes. */
static bool newcomer_lives(struct pool *pool, char *why)
{
	const struct slabd_cache_args args = {
		.size_of_args = sizeof(args), .object_size = OBJECT_BYTES, .magazine = 2 * ROUNDS};
	struct slabd_cache *cache;
	struct client_record *record;
	void *objects[2 * ROUNDS];
	uint32_t id;

	if (!pool->caches[CACHES + 1]) {
		if (slabd_cache_create(world.survivor, "later", &args, &cache) < 0)
			FAIL("create: %s", slabd_error());
		for (unsigned i = 0; i < 2 * ROUNDS; i++) {
			objects[i] = slabd_alloc(cache, 0);
			if (!objects[i])
				FAIL("a new cache: %s", slabd_error());
		}
		if (!is_balanced(pool, UINT64_MAX, why))
			return false;
		slabd_free_bulk(cache, 2 * ROUNDS, objects);
		if (refused[0])
			FAIL("%s", refused);
		slabd_flush(world.survivor);
		if (slabd_cache_destroy(cache) < 0)
			FAIL("destroy: %s", slabd_error());
	}
	id = proxy_come_and_go();
	record = id ? side_record(&world.mirror, id) : NULL;
	if (!record || load_relaxed(&record->state) != CLIENT_FREE)
		FAIL("a new client can't come and go");
	return true;
}

static bool survivor_lives(struct pool *pool, const struct trace *trace, char *why)
{
	for (int i = 0; i < CACHES; i++)
		*world.slots[i] = world.slots_base[i];
	served_by = pool;
	served_side = &world.mirror;
	slabd_set_error_handler(on_refused, NULL);
	refused[0] = 0;
	if (!a_few_each(why) || !free_all_of(world.survivor_id, why) ||
	    !free_all_orphans(pool, why))
		return false;
	if (trace->client && !free_all_of(trace->client, why))
		return false;
	if (trace->first && !free_all_of(trace->first, why))
		return false;
	pool_tick(pool); /* goes on with releases that were under way */
	run_jobs(pool);
	if (!give_all_back(pool, why) || !take_all(trace->crash_case->cache, why) ||
	    !give_all_back(pool, why))
		return false;
	return newcomer_lives(pool, why) && give_all_back(pool, why);
}

/* ---------------------------------------------------------------- one kill */

static bool after_recovery(struct pool *pool, const struct trace *trace, bool over, char *why)
{
	struct objects now;

	if (trace->crash_case->hostile)
		return true;
	if (!world_has_all_racks(pool))
		FAIL("the harness does not look at all racks");
	if (pool->damage || pool_is_damaged(pool))
		FAIL("the worker found damage");
	if (!is_balanced(pool, UINT64_MAX, why))
		return false;
	objects_read(&now, &world.mirror);
	if (!objects_are_right(trace, &now, why))
		return false;
	if (over && !what_is_over_stands(trace, &now, why))
		return false;
	if (trace->client_dies && clients_is_attached(pool, trace->client))
		FAIL("the dead client is still attached");
	if (trace->crash_case->again && !trace->crash_case->again(pool, trace->client, why))
		return false;
	/* a client that outlived the worker goes now, so that what it holds can be counted, too */
	if (trace->client)
		clients_died(pool, trace->client, NULL, NULL);
	run_jobs(pool);
	return survivor_lives(pool, trace, why);
}

/* Nobody has told the next worker: it sees that there is no such process. */
static void mark_gone(uint32_t client)
{
	if (client)
		side_record(&world.mirror, client)->pid = GONE_PID;
}

bool recover_one(const struct trace *trace, const struct kill_point *point, bool worker_lives,
		 char *why)
{
	struct pool *pool;
	bool right, over;

	image_put(&world.mirror, point->image);
	if (!worker_lives) {
		mark_gone(trace->client_dies ? trace->client : 0);
		mark_gone(trace->first);
	}
	if (pool_open(&pool, "mirror", &world.mirror.backing, why, WHY) < 0)
		return false;
	if (worker_lives) {
		if (trace->client_dies)
			clients_died(pool, trace->client, NULL, NULL);
		clients_died(pool, trace->first, NULL, NULL);
	}
	run_jobs(pool);
	over = trace->crash_case->victim == VICTIM_CLIENT && point == &trace->points[trace->last];
	right = after_recovery(pool, trace, over, why);
	pool_close(pool);
	totals->recoveries++;
	return right;
}

unsigned recover_all(const struct trace *trace)
{
	bool two = trace->crash_case->victim == VICTIM_CLIENT;
	char why[WHY] = "", where[128];
	unsigned failures = 0;

	for (uint32_t i = 0; i < trace->n; i++)
		for (int lives = two; lives >= 0; lives--) {
			if (recover_one(trace, &trace->points[i], lives, why))
				continue;
			if (failures++ >= TOLD)
				continue;
			fprintf(stderr, "%s, killed before step %llu, %s%s: %s\n",
				trace->crash_case->name, (unsigned long long)trace->points[i].step,
				symbol_at(trace->points[i].pc, where, sizeof(where)),
				!two	? ""
				: lives ? ""
					: ", and the worker with it",
				why);
		}
	return failures;
}
