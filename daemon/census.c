#include "daemon/census.h"

#include <stdlib.h>

#include "daemon/clients.h"
#include "daemon/registry.h"
#include "daemon/suspects.h"

#define AUDIT_TRIES  10 /* walks of an audit until it is balanced, or not exact */
#define CENSUS_TRIES 3	/* and of a mere count, which says what it saw */
#define STEP_OBJECTS 4096

struct census_job {
	struct job job;
	struct audit audit;
	struct suspects suspects;
	bool strict;
	unsigned tries;
	uint64_t *in_slabs;  /* by cache id: what the private lists had when this walk began */
	bool lists_differ;   /* after this walk, and not for the first time */
	uint64_t tombs_ever; /* of the pool when this walk began */
	bool exact;
	census_fn done;
};

static enum audit_owner owner_kind(void *arg, uint32_t owner)
{
	const struct pool *pool = ((const struct census_job *)arg)->job.pool;

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

static void on_finding(void *arg, uint32_t cache, enum audit_finding finding, uint64_t words)
{
	suspects_add(&((struct census_job *)arg)->suspects, cache, finding, words);
}

static void begin_walk(struct census_job *c)
{
	struct pool *pool = c->job.pool;

	c->tombs_ever = pool->tombs_ever;
	for (uint32_t id = 1; c->strict && id <= pool->segment.max_caches; id++)
		c->in_slabs[id] = pool->caches[id] ? pool->caches[id]->in_slabs : 0;
}

/* The private lists must agree with the tags too: an object that says SLAB and is listed nowhere
 * would never be handed out again.  Where refills went on during the walk there is nothing to compare. */
static bool lists_agree(const struct census_job *c)
{
	struct pool *pool = c->job.pool;

	for (uint32_t id = 1; id <= pool->segment.max_caches; id++)
		if (pool->caches[id] && !pool->caches[id]->releasing &&
		    pool->caches[id]->in_slabs == c->in_slabs[id] &&
		    pool->caches[id]->in_slabs != c->audit.caches[id].in_slabs)
			return false;
	return true;
}

/* Twice in a row, as all damage. */
static bool lists_are_judged(struct census_job *c)
{
	bool again = !c->lists_differ;

	c->lists_differ = !lists_agree(c);
	return !c->lists_differ || !again;
}

/* True to end. */
static bool is_settled(struct census_job *c)
{
	bool final = suspects_judge(&c->suspects, c->audit.caches);

	if (c->strict && !lists_are_judged(c))
		final = false;
	c->exact = final;
	return final || ++c->tries == (c->strict ? AUDIT_TRIES : CENSUS_TRIES);
}

static bool census_step(struct job *job, uint64_t deadline)
{
	struct census_job *c = (struct census_job *)job;

	do {
		if (!audit_step(&c->audit, STEP_OBJECTS))
			continue;
		if (is_settled(c))
			return true;
		suspects_turn(&c->suspects);
		audit_restart(&c->audit);
		begin_walk(c);
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
	suspects_deinit(&c->suspects);
	free(c->in_slabs);
	free(c);
}

static void census_finish(struct job *job)
{
	struct census_job *c = (struct census_job *)job;
	struct census census = {
		.caches = c->audit.caches,
		.live = c->audit.live_of,
		.rounds = c->audit.rounds_of,
		.balanced = audit_is_balanced(&c->audit) && !c->lists_differ,
		.exact = c->exact,
	};

	bury(c);
	if (job->waiter)
		c->done(job->waiter, &census);
	census_drop(job);
}

static struct census_job *census_new(struct pool *pool, bool strict)
{
	struct census_job *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->job = (struct job){
		.pool = pool, .step = census_step, .finish = census_finish, .drop = census_drop};
	c->strict = strict;
	if (strict)
		c->in_slabs = calloc(pool->segment.max_caches + 1, sizeof(*c->in_slabs));
	if (audit_init(&c->audit, &pool->segment, owner_kind, c) == 0 &&
	    audit_watch(&c->audit, on_finding) == 0 && (c->in_slabs || !strict))
		return c;
	census_drop(&c->job);
	return NULL;
}

void census_take(struct pool *pool, bool strict, census_fn done, void *waiter)
{
	struct census_job *c = census_new(pool, strict);

	if (!c) {
		if (done)
			done(waiter, NULL);
		return;
	}
	c->job.waiter = waiter;
	c->done = done;
	begin_walk(c);
	job_add(pool, &c->job);
}
