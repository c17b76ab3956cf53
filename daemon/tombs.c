/* Tombs.
 *
 * 1. An id is free again only when no tag names it, so a dead owner keeps its id as long as one of its
 *    orphans is there.  When ids run short, the oldest tombs are folded into one: each of their
 *    orphans gets the id of that one, by a CAS of the whole tag that keeps the generation, so every
 *    handle stays good; then their ids are free.  What is lost is whose the objects were: the tomb
 *    that took them in is that of "owners" owners, unknown from then on.  No more are folded than
 *    make LOW_GOAL ids free, the oldest first, so that the youngest keep pid and name.
 *
 * 2. A client that frees or adopts an orphan meanwhile wins or loses by the same CAS and, having
 *    lost, reads the tag anew.  It may also have read LIVE(old) and stop until that id is somebody
 *    else's: its CAS succeeds then only if the new client owns that very incarnation of the object,
 *    and frees or adopts it from him, as it could at any time.
 *
 * 3. Killed anywhere: what is folded into what is written down first (fold_sum, then fold_to, of each
 *    tomb), then the owners of the one that stays, then tags, and last the states.  A new worker that
 *    finds a tomb with fold_to goes on; all these stores give the same when they are done twice, as
 *    fold_sum is what "owners" will be and not what is added to it.
 *
 * 4. The walk sees every tag, so it also finds the tombs whose orphans were all adopted or freed.  A
 *    census that was under way buries none meanwhile: it may have passed an object before it came to
 *    the tomb that stays (pool->folding, tombs_ever). */
#include "daemon/tombs.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/clients.h"
#include "daemon/log.h"
#include "daemon/registry.h"

#define LOW(pool)      ((pool)->segment.max_clients / 16)
#define LOW_GOAL(pool) ((pool)->segment.max_clients / 8 + 1)

struct tomb {
	bool is;	  /* when the walk began */
	uint32_t to;	  /* the one that it is folded into; 0: it stays */
	uint64_t orphans; /* seen by the walk */
	uint64_t died_at; /* for choosing the oldest */
	uint32_t id, owners;
};

struct fold_job {
	struct job job;
	uint32_t unit, folded;
	uint64_t moved;
	struct tomb tombs[]; /* by client id */
};

static uint32_t ids_end(const struct pool *pool)
{
	return pool->segment.max_clients + PARTY_FIRST;
}

/* ---------------------------------------------------------------- the walk */

static void fold_object(struct fold_job *f, slab_tag *tag)
{
	uint32_t seen = load_relaxed(tag), owner, to;

	do {
		owner = tag_owner(seen);
		if (tag_state(seen) != TAG_LIVE || owner >= ids_end(f->job.pool) ||
		    !f->tombs[owner].is)
			return;
		to = f->tombs[owner].to;
		if (!to) {
			f->tombs[owner].orphans++;
			return;
		}
	} while (!cas_acq_rel(tag, &seen, tag_make(to, TAG_LIVE, tag_generation(seen))));
	f->tombs[to].orphans++;
	f->moved++;
}

static bool fold_step(struct job *job, uint64_t deadline)
{
	struct fold_job *f = (struct fold_job *)job;
	struct pool *pool = job->pool;
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);

	while (f->unit < units) {
		uint32_t word = load_relaxed(&pool->segment.slab_table[f->unit]);
		const struct cache *cache = registry_of_word(pool, word);
		slab_ref first = f->unit++ << (UNIT_SHIFT - REF_SHIFT);

		if (!cache)
			continue;
		for (uint32_t i = 0; i < cache->view.geometry.objects; i++)
			fold_object(f, cache_tag(&cache->view,
						 first + i * (cache->view.geometry.stride >>
							      REF_SHIFT)));
		if (pool_now() > deadline)
			return false;
	}
	return true;
}

/* Before any id is free: the next worker goes on only as long as there is one to be folded. */
static void note_orphans(struct fold_job *f)
{
	for (uint32_t id = PARTY_FIRST; id < ids_end(f->job.pool); id++)
		if (f->tombs[id].is)
			store_relaxed(&clients_record(f->job.pool, id)->orphans,
				      f->tombs[id].orphans);
	atomic_step();
}

/* No tag names these ids any more. */
static uint32_t free_ids(struct fold_job *f)
{
	struct pool *pool = f->job.pool;
	uint32_t freed = 0;

	for (uint32_t id = PARTY_FIRST; id < ids_end(pool); id++) {
		if (!f->tombs[id].is || f->tombs[id].orphans)
			continue;
		store_release(&clients_record(pool, id)->state, CLIENT_FREE);
		pool->tombs--;
		freed++;
	}
	return freed;
}

static void fold_finish(struct job *job)
{
	struct fold_job *f = (struct fold_job *)job;
	uint32_t freed;

	job->pool->folding = false;
	job->pool->tombs_ever++;
	if (!job->broken) {
		note_orphans(f);
		freed = free_ids(f);
		log_info("client ids were short: %u dead owners of %llu orphans were folded into "
			 "one, %u ids are free again; slabctl orphans shows them as unknown",
			 f->folded, (unsigned long long)f->moved, freed);
	}
	free(f);
}

/* ---------------------------------------------------------------- who is folded into whom */

static uint32_t count_free(const struct pool *pool)
{
	uint32_t n = 0;

	for (uint32_t id = PARTY_FIRST; id < ids_end(pool); id++)
		n += load_relaxed(&clients_record(pool, id)->state) == CLIENT_FREE;
	return n;
}

static struct fold_job *fold_new(struct pool *pool)
{
	struct fold_job *f = calloc(1, sizeof(*f) + ids_end(pool) * sizeof(f->tombs[0]));

	if (!f)
		return NULL;
	f->job = (struct job){.pool = pool, .step = fold_step, .finish = fold_finish};
	f->unit = EXTENT_UNITS;
	for (uint32_t id = PARTY_FIRST; id < ids_end(pool); id++) {
		const struct client_record *record = clients_record(pool, id);

		f->tombs[id].is = clients_is_tomb(pool, id);
		f->tombs[id].id = id;
		f->tombs[id].died_at = record->died_at;
		f->tombs[id].owners = record->owners;
	}
	return f;
}

static void fold_begin(struct fold_job *f)
{
	f->job.pool->folding = true;
	job_add(f->job.pool, &f->job);
}

/* That one which holds others already, or else the oldest; 0: none. */
static uint32_t choose(const struct fold_job *f)
{
	const struct tomb *best = NULL;

	for (uint32_t id = PARTY_FIRST; id < ids_end(f->job.pool); id++) {
		const struct tomb *tomb = &f->tombs[id];

		if (!tomb->is || tomb->to)
			continue;
		if (!best || (tomb->owners > 0) > (best->owners > 0) ||
		    ((tomb->owners > 0) == (best->owners > 0) && tomb->died_at < best->died_at))
			best = tomb;
	}
	return best ? best->id : 0;
}

/* Written down before anything is done: sum first, for it counts only with fold_to. */
static void mark(struct fold_job *f, uint32_t id, uint32_t to, uint32_t *sum)
{
	struct client_record *record = clients_record(f->job.pool, id);

	*sum += record->owners ? record->owners : 1;
	record->fold_sum = *sum;
	store_release(&record->fold_to, to);
	f->tombs[id].to = to;
	f->folded++;
}

/* From here on the one that stays is nobody's in particular. */
static void take_in(struct pool *pool, uint32_t to, uint32_t sum, uint64_t died_at)
{
	struct client_record *record = clients_record(pool, to);

	if (record->died_at < died_at)
		record->died_at = died_at;
	if (record->owners < sum) {
		atomic_step();
		record->owners = sum;
	}
	atomic_step();
}

static void fold(struct pool *pool)
{
	struct fold_job *f = fold_new(pool);
	uint32_t have = count_free(pool), goal = LOW_GOAL(pool), to, sum, id;
	uint64_t died_at = 0;

	if (!f) {
		log_error("no memory to fold the tombs of dead clients");
		return;
	}
	to = choose(f);
	sum = f->tombs[to].owners ? f->tombs[to].owners : 1;
	f->tombs[to].is = false; /* not into itself; 0: there is none */
	for (; have < goal && (id = choose(f)); have++) {
		mark(f, id, to, &sum);
		died_at = f->tombs[id].died_at;
	}
	f->tombs[to].is = to > 0;
	if (f->folded)
		take_in(pool, to, sum, died_at);
	fold_begin(f);
}

/* ---------------------------------------------------------------- when */

bool tombs_may_give(const struct pool *pool)
{
	return pool->tombs > 0 && count_free(pool) == 0 && !pool_is_damaged(pool);
}

void tombs_look(struct pool *pool)
{
	if (!pool->folding && pool->tombs > 1 && count_free(pool) < LOW(pool))
		fold(pool);
}

void tombs_open(struct pool *pool)
{
	struct fold_job *f = NULL;
	uint32_t to = 0, sum = 0;
	uint64_t died_at = 0;

	for (uint32_t id = PARTY_FIRST; id < ids_end(pool); id++) {
		struct client_record *record = clients_record(pool, id);
		uint32_t wanted = load_relaxed(&record->fold_to);

		if (!wanted || !clients_is_tomb(pool, id))
			continue;
		/* one fold at a time, into a tomb that is none of them: else a damaged file; or none
		 * had an orphan any more, and the one that was to stay is free already */
		if (wanted == id || !clients_is_tomb(pool, wanted) || (to && wanted != to) ||
		    load_relaxed(&clients_record(pool, wanted)->fold_to)) {
			store_relaxed(&record->fold_to, 0);
			continue;
		}
		to = wanted;
		f = f ? f : fold_new(pool);
		if (!f) /* the next worker will */
			return;
		f->tombs[id].to = to;
		f->folded++;
		sum = record->fold_sum > sum ? record->fold_sum : sum;
		died_at = record->died_at > died_at ? record->died_at : died_at;
	}
	if (!f)
		return;
	take_in(pool, to, sum, died_at);
	fold_begin(f);
}

/* ---------------------------------------------------------------- who waits for an id */

struct wait_job {
	struct job job;
	result_fn done;
};

/* The fold is a job as well; they take turns. */
static bool wait_step(struct job *job, uint64_t deadline)
{
	(void)deadline;
	return !job->pool->folding;
}

static void wait_finish(struct job *job)
{
	struct wait_job *w = (struct wait_job *)job;
	struct result result = {0};

	job_result(job, &result);
	if (job->waiter)
		w->done(job->waiter, &result);
	free(w);
}

void tombs_wait(struct pool *pool, result_fn done, void *waiter)
{
	struct wait_job *w = calloc(1, sizeof(*w));

	if (!w) {
		done(waiter,
		     &(struct result){.status = -ENOMEM, .why = "slabd itself has no memory"});
		return;
	}
	if (!pool->folding)
		fold(pool);
	*w = (struct wait_job){
		.job = {.pool = pool, .step = wait_step, .finish = wait_finish, .waiter = waiter},
		.done = done,
	};
	job_add(pool, &w->job);
}
