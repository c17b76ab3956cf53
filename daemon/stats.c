#include "daemon/stats.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/clients.h"
#include "daemon/slab.h"

#define AUDIT_TRIES  10 /* walks of an audit until it is balanced, or not exact */
#define CENSUS_TRIES 3	/* and of a mere count, which says what it saw */
#define STEP_OBJECTS 4096

/* ---------------------------------------------------------------- at once */

void stats_wait(struct pool *pool, uint64_t microseconds)
{
	unsigned bucket = microseconds ? 64 - (unsigned)__builtin_clzll(microseconds) : 0;

	if (bucket > 39)
		bucket = 39;
	pool->refill_wait.buckets[bucket]++;
}

/* The upper edge of the bucket in which the p99 falls. */
static uint64_t wait_p99(const struct histogram *histogram)
{
	uint64_t total = 0, seen = 0;

	for (int i = 0; i < 40; i++)
		total += histogram->buckets[i];
	for (int i = 0; i < 40; i++) {
		seen += histogram->buckets[i];
		if (total && seen * 100 >= total * 99)
			return i ? UINT64_C(1) << i : 0;
	}
	return 0;
}

static uint64_t boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void stats_get(struct pool *pool, struct stats *ret)
{
	const struct state_head *head =
		(const struct state_head *)(const void *)pool->segment.state;

	*ret = (struct stats){
		.backing = backing_name(pool->backing.kind),
		.backing_why = pool->backing.why,
		.heap_bytes = pool->segment.heap_bytes,
		.heap_used_bytes = (uint64_t)pool->extents.backed_count * EXTENT_BYTES,
		.memory_bytes = backing_bytes(pool->backing.catalog) +
				backing_bytes(pool->backing.depot) +
				backing_bytes(pool->backing.heap),
		.caches = pool->caches_live,
		.clients = pool->clients_attached,
		.worker_restarts = pool->restarts,
		.max_caches = pool->segment.max_caches,
		.max_clients = pool->segment.max_clients,
		.uptime_ms = boot_ms() - head->started_at_ms,
		.refills = pool->refills,
		.refill_wait_us_p99 = wait_p99(&pool->refill_wait),
		.damaged = pool_is_damaged(pool),
	};
}

struct sum {
	const struct cache *cache;
	struct counters *to;
};

static void add_stripes(void *arg)
{
	const struct sum *sum = arg;

	for (unsigned i = 0; i < COUNTER_STRIPES; i++) {
		struct counters *c = &sum->cache->view.control->counters[i];

		sum->to->allocs += load_relaxed(&c->allocs);
		sum->to->frees += load_relaxed(&c->frees);
		sum->to->claims += load_relaxed(&c->claims);
		sum->to->refills += load_relaxed(&c->refills);
		sum->to->waits += load_relaxed(&c->waits);
	}
}

/* Guarded by itself: a job's finish calls it, and one that a hole ended would answer nobody. */
void stats_counters(const struct cache *cache, struct counters *ret)
{
	struct sum sum = {cache, ret};

	*ret = (struct counters){0};
	pool_guarded(cache->pool, add_stripes, &sum);
}

static char slab_character(const struct cache *cache, const struct slab *slab)
{
	uint32_t objects = cache->view.geometry.objects, used = objects - slab->free;

	if (used == 0)
		return '.';
	if (used == objects)
		return '#';
	return (char)('1' + used * 9 / objects);
}

uint64_t stats_map(const struct cache *cache, char *map, size_t bytes)
{
	struct pool *pool = cache->pool;
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);
	size_t n = 0;

	for (uint32_t unit = 0; unit < units && n + 1 < bytes; unit++)
		if (pool->slabs[unit] &&
		    load_relaxed(&pool->segment.slab_table[unit]) == cache->view.word)
			map[n++] = slab_character(cache, pool->slabs[unit]);
	map[n] = 0;
	return cache->slabs;
}

/* ---------------------------------------------------------------- census */

struct census_job {
	struct job job;
	struct audit audit;
	bool strict;
	unsigned tries;
	uint64_t last_damage; /* hash of what the last walk found wrong */
	uint64_t tombs_ever;  /* of the pool when this walk began */
	bool exact;
	census_fn done;
};

static enum audit_owner owner_kind(void *arg, uint32_t owner)
{
	const struct pool *pool = arg;

	if (clients_is_attached(pool, owner))
		return AUDIT_CLIENT;
	if (clients_is_tomb(pool, owner))
		return AUDIT_TOMB;
	/* DYING: its sweep is under way, so what it owns is about to move */
	if (owner >= PARTY_FIRST && owner < pool->segment.max_clients + PARTY_FIRST &&
	    load_relaxed(&clients_record(pool, owner)->state) == CLIENT_DYING)
		return AUDIT_CLIENT;
	return AUDIT_NOBODY;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3);
}

/* The private lists must agree with the tags too: an object that says SLAB and is listed nowhere
 * would never be handed out again. */
static bool lists_agree(const struct census_job *c)
{
	struct pool *pool = c->job.pool;

	for (uint32_t id = 1; id <= pool->segment.max_caches; id++)
		if (pool->caches[id] && !pool->caches[id]->releasing &&
		    pool->caches[id]->in_slabs != c->audit.caches[id].in_slabs)
			return false;
	return true;
}

static uint64_t damage_of(const struct census_job *c)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (uint32_t id = 1; id <= c->job.pool->segment.max_caches; id++) {
		const struct audit_count *n = &c->audit.caches[id];

		hash = mix(mix(mix(mix(hash, n->lost), n->doubled), n->magazines), n->in_slabs);
	}
	return hash;
}

/* Balanced, or the same damage twice in a row: then it is no operation under way.  True to end. */
static bool is_settled(struct census_job *c)
{
	uint64_t damage;

	c->tries++;
	if (audit_is_balanced(&c->audit) && lists_agree(c))
		return true;
	if (!c->strict) /* what moves between two slices is seen twice or not at all */
		return c->tries == CENSUS_TRIES;
	damage = damage_of(c);
	if (c->tries > 1 && damage == c->last_damage)
		return true;
	c->last_damage = damage;
	c->exact = c->tries < AUDIT_TRIES;
	return !c->exact;
}

static bool census_step(struct job *job, uint64_t deadline)
{
	struct census_job *c = (struct census_job *)job;

	do {
		if (!audit_step(&c->audit, STEP_OBJECTS))
			continue;
		if (is_settled(c))
			return true;
		audit_restart(&c->audit);
		c->tombs_ever = job->pool->tombs_ever;
	} while (pool_now() <= deadline);
	return false;
}

/* A tomb whose orphans were all adopted or freed is no tomb: no tag names it.  Not if one became a
 * tomb while the walk was under way, or took others in: it may have passed what that one took before
 * its death, or was given since. */
static void bury(const struct census_job *c)
{
	struct pool *pool = c->job.pool;
	const struct audit *audit = &c->audit;

	if (pool->folding || pool->tombs_ever != c->tombs_ever)
		return;
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++) {
		struct client_record *record = clients_record(pool, id);

		if (!clients_is_tomb(pool, id))
			continue;
		store_relaxed(&record->orphans, audit->live_of[id]);
		if (audit->live_of[id])
			continue;
		pool->tombs--;
		store_release(&record->state, CLIENT_FREE);
	}
}

static void census_drop(struct job *job)
{
	struct census_job *c = (struct census_job *)job;

	audit_deinit(&c->audit);
	free(c);
}

static void census_finish(struct job *job)
{
	struct census_job *c = (struct census_job *)job;
	struct census census = {
		.caches = c->audit.caches,
		.live = c->audit.live_of,
		.rounds = c->audit.rounds_of,
		.balanced = audit_is_balanced(&c->audit) && (!c->strict || lists_agree(c)),
		.exact = c->exact,
	};

	bury(c);
	if (job->waiter)
		c->done(job->waiter, &census);
	census_drop(job);
}

void stats_census(struct pool *pool, bool strict, census_fn done, void *waiter)
{
	struct census_job *c = calloc(1, sizeof(*c));

	if (!c || audit_init(&c->audit, &pool->segment, owner_kind, pool) < 0) {
		free(c);
		if (done)
			done(waiter, NULL);
		return;
	}
	c->job = (struct job){.pool = pool,
			      .step = census_step,
			      .finish = census_finish,
			      .drop = census_drop,
			      .waiter = waiter};
	c->strict = strict;
	c->exact = true;
	c->tombs_ever = pool->tombs_ever;
	c->done = done;
	job_add(pool, &c->job);
}
