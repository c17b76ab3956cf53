#include "daemon/census.h"

#include <stdlib.h>

#include "daemon/clients.h"
#include "daemon/registry.h"

#define AUDIT_TRIES  10 /* walks of an audit until it is balanced, or not exact */
#define CENSUS_TRIES 3	/* and of a mere count, which says what it saw */
#define STEP_OBJECTS 4096

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

void census_take(struct pool *pool, bool strict, census_fn done, void *waiter)
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
