/* The fold of tombs (daemon/tombs.c), as the victim.  All ids are taken: by the survivor, by tombs, and
 * by clients that live and have nothing.  Whoever had asked for an id asks again afterwards. */
#include "tests/crash/crash.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/census.h"
#include "daemon/clients.h"
#include "daemon/tombs.h"

static struct pool *pool;
static struct result result;

static void take_result(void *arg, const struct result *got)
{
	*(struct result *)arg = *got;
}

/* ---------------------------------------------------------------- shapes */

static void work(void)
{
	char why[WHY_BYTES] = "";

	if (pool_open(&pool, "live", &world.live.backing, why, sizeof(why)) < 0)
		die("victim: %s", why);
}

static void take_over(uint32_t by, int which, uint32_t from)
{
	slab_ref ref = object_of(&world.live, which, from, 0);
	slab_tag *tag = cache_tag(&world.live.any, ref);

	if (!ref)
		die("victim: there is no object to take over");
	store_relaxed(tag, tag_make(by, TAG_LIVE, tag_generation(load_relaxed(tag))));
}

/* One more has died, of an object that it had adopted of the survivor's. */
static uint32_t another_tomb(int which, uint64_t died_at)
{
	struct peer peer = {.pid = 2, .comm = "tomb"};
	struct cache *cache;
	uint32_t id;

	if (clients_attach(pool, &peer, &id, &result) < 0 ||
	    registry_open_cache(pool, id, cache_names[which], 0, 0, &cache, &result) < 0)
		die("victim: %s", result.why);
	take_over(id, which, world.survivor_id);
	clients_died(pool, id, NULL, NULL);
	run_jobs(pool);
	if (!clients_is_tomb(pool, id))
		die("victim: a dead client is no tomb");
	side_record(&world.live, id)->died_at = died_at;
	return id;
}

static void fill_ids(void)
{
	struct peer peer = {.pid = getppid(),
			    .uid = getuid(),
			    .start_time = clients_start_time(getppid()),
			    .image = 1,
			    .comm = "alive"};
	uint32_t id;

	while (clients_attach(pool, &peer, &id, &result) == 0)
		;
	if (!tombs_may_give(pool))
		die("victim: there is nothing to fold");
}

/* Three tombs, of which the last or the first is the oldest; two have to be folded into it. */
static void tombs_of_age(uint64_t first, uint64_t last)
{
	work();
	side_record(&world.live, world.tomb_id)->died_at = first;
	another_tomb(PLAIN, 2);
	another_tomb(STRICT, last);
}

static void three_tombs(void)
{
	tombs_of_age(1, 3);
	fill_ids();
}

static void last_is_oldest(void)
{
	tombs_of_age(3, 1);
	fill_ids();
}

/* What the last fold took in is there, and two more have died since. */
static void folded_before(void)
{
	three_tombs();
	tombs_wait(pool, take_result, &result);
	run_jobs(pool);
	another_tomb(PLAIN, 4);
	another_tomb(STRICT, 5);
	fill_ids();
}

static void free_ids_too(void)
{
	tombs_of_age(1, 3);
}

/* Whoever adopted it lives. */
static void adopted(uint32_t tomb)
{
	for (int which = PLAIN; which <= STRICT; which++)
		while (object_of(&world.live, which, tomb, 0))
			take_over(world.survivor_id, which, tomb);
}

/* The one that stays has none of its own any more. */
static void first_is_empty(void)
{
	three_tombs();
	adopted(world.tomb_id);
}

static void all_are_empty(void)
{
	three_tombs();
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++)
		if (clients_is_tomb(pool, id))
			adopted(id);
}

static void one_is_empty(void)
{
	work();
	fill_ids();
	adopted(world.tomb_id);
}

/* Marks as a damaged file has them: nothing comes of them. */
static void wrong_marks(void)
{
	static const uint32_t marks[] = {0, PARTY_DAEMON, UINT32_MAX};
	uint32_t n = 0; /* the first: into itself */

	three_tombs();
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++) {
		struct client_record *record = side_record(&world.live, id);

		if (!clients_is_tomb(pool, id))
			continue;
		record->fold_sum = 7;
		store_relaxed(&record->fold_to, n ? marks[n] : id);
		n++;
	}
}

/* ---------------------------------------------------------------- the fold */

static void fold_step(uint64_t deadline)
{
	struct job *job = TAILQ_FIRST(&pool->jobs);
	bool done = job->step(job, deadline);

	TAILQ_REMOVE(&pool->jobs, job, link);
	if (done)
		job->finish(job);
	else
		TAILQ_INSERT_TAIL(&pool->jobs, job, link);
}

/* By slices that have no end: under single steps each of pool_run's would have none too soon. */
static void do_fold(void)
{
	if (tombs_may_give(pool))
		tombs_wait(pool, take_result, &result);
	while (!TAILQ_EMPTY(&pool->jobs))
		fold_step(UINT64_MAX);
}

static void do_fold_in_slices(void)
{
	tombs_wait(pool, take_result, &result);
	while (!TAILQ_EMPTY(&pool->jobs))
		fold_step(0);
}

/* The second finds no tomb. */
static void do_fold_twice(void)
{
	do_fold();
	do_fold();
}

/* Somebody was told to wait, and ids are free when it comes to it. */
static void do_fold_needlessly(void)
{
	do_fold();
	tombs_wait(pool, take_result, &result);
	while (!TAILQ_EMPTY(&pool->jobs))
		fold_step(UINT64_MAX);
}

/* Two wait for it, and it is done once. */
static void do_fold_for_two(void)
{
	tombs_wait(pool, take_result, &result);
	tombs_look(pool);
	do_fold();
}

static void do_fold_without_memory(void)
{
	lies.calloc = 1; /* of who waits */
	do_fold();
	lies.calloc = 2; /* of the fold */
	do_fold();
}

static void do_restart(void)
{
	work();
	while (!TAILQ_EMPTY(&pool->jobs))
		fold_step(UINT64_MAX);
}

/* ---------------------------------------------------------------- afterwards */

#define FAIL(...) return snprintf(why, WHY, __VA_ARGS__), false

struct found {
	uint32_t free, tombs, owners, most; /* most: of one tomb */
};

/* Counts the records, each of which is as the tags say. */
static bool look(struct pool *p, bool counted, struct found *ret, char *why)
{
	*ret = (struct found){0};
	for (uint32_t id = PARTY_FIRST; id < p->segment.max_clients + PARTY_FIRST; id++) {
		const struct client_record *record = side_record(&world.mirror, id);
		uint32_t owners = record->owners ? record->owners : 1;
		unsigned orphans = 0;

		ret->free += load_relaxed(&record->state) == CLIENT_FREE;
		if (!clients_is_tomb(p, id))
			continue;
		ret->tombs++;
		ret->owners += owners;
		ret->most = owners > ret->most ? owners : ret->most;
		while (object_of(&world.mirror, PLAIN, id, orphans))
			orphans++;
		for (unsigned n = 0; object_of(&world.mirror, STRICT, id, n); n++)
			orphans++;
		if (load_relaxed(&record->fold_to))
			FAIL("tomb %u is still to be folded into %u", id,
			     load_relaxed(&record->fold_to));
		if (counted && load_relaxed(&record->orphans) != orphans)
			FAIL("tomb %u has %u orphans, its record says %llu", id, orphans,
			     (unsigned long long)load_relaxed(&record->orphans));
	}
	if (ret->tombs != p->tombs)
		FAIL("%u tombs, the worker counts %u", ret->tombs, p->tombs);
	return true;
}

static bool ask(struct pool *p, char *why)
{
	struct result got = {.status = 1};

	if (!tombs_may_give(p))
		return true;
	tombs_wait(p, take_result, &got);
	run_jobs(p);
	if (got.status)
		FAIL("who waits for an id gets %d: %.200s", got.status, got.why);
	return true;
}

/* Of so many dead, of whom one tomb stood for so many before: those that went into it are in its sum, and
 * each of them has left a free id. */
static bool is_folded(struct pool *p, uint32_t dead, uint32_t stood, bool counted, char *why)
{
	struct found n;

	for (int asked = 0; asked < 2; asked++) {
		if (asked && !ask(p, why))
			return false;
		if (!look(p, counted, &n, why))
			return false;
		if (n.owners != dead || n.most != stood + n.free)
			FAIL("%u free ids, %u tombs of %u owners, of which %u in one; %u died, %u "
			     "had been in one",
			     n.free, n.tombs, n.owners, n.most, dead, stood);
	}
	if (!n.free)
		FAIL("no id is free after the fold");
	return true;
}

static bool three_again(struct pool *p, uint32_t client, char *why)
{
	(void)client;
	return is_folded(p, 3, 1, true, why);
}

static bool five_again(struct pool *p, uint32_t client, char *why)
{
	(void)client;
	return is_folded(p, 5, 3, true, why);
}

static bool uncounted_again(struct pool *p, uint32_t client, char *why)
{
	(void)client;
	return is_folded(p, 3, 1, false, why);
}

static void take_census(void *arg, const struct census *census)
{
	(void)arg;
	(void)census;
}

/* No orphan is left, so no tomb either, once somebody has looked at every tag. */
static bool none_again(struct pool *p, uint32_t client, char *why)
{
	struct found n;

	(void)client;
	if (!look(p, false, &n, why) || !ask(p, why))
		return false;
	census_take(p, false, take_census, NULL);
	run_jobs(p);
	if (!look(p, true, &n, why))
		return false;
	if (n.tombs || !n.free)
		FAIL("%u tombs without orphans, %u free ids", n.tombs, n.free);
	return true;
}

#define CASE(name_, prepare_, operate_, again_, ...)                                         \
	{                                                                                    \
		.name = name_, .victim = VICTIM_WORKER, .cache = PLAIN, .prepare = prepare_, \
		.operate = operate_, .again = again_, __VA_ARGS__                            \
	}

const struct crash_case tomb_cases[] = {
	CASE("fold", three_tombs, do_fold, three_again, .deep = true),
	CASE("fold, into the last", last_is_oldest, do_fold, three_again, .deep = true),
	CASE("fold, in slices", three_tombs, do_fold_in_slices, three_again),
	CASE("fold, for two", three_tombs, do_fold_for_two, three_again),
	CASE("fold, once more", folded_before, do_fold, five_again, .deep = true),
	CASE("fold, into an empty one", first_is_empty, do_fold, uncounted_again),
	CASE("fold, all empty", all_are_empty, do_fold, none_again, .deep = true),
	CASE("fold, one empty", one_is_empty, do_fold_twice, none_again),
	CASE("fold, ids are free", free_ids_too, do_fold_needlessly, NULL),
	CASE("fold, no memory", three_tombs, do_fold_without_memory, three_again),
	CASE("fold, wrong marks", wrong_marks, do_restart, three_again),
};

const unsigned tomb_cases_n = sizeof(tomb_cases) / sizeof(*tomb_cases);

/* ---------------------------------------------------------------- a client's orphan is folded */

char *graves_make(void)
{
	char *image = malloc(image_bytes());

	if (!image)
		die("no memory");
	image_put(&world.live, world.base);
	last_is_oldest();
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++)
		if (id != world.survivor_id && clients_is_attached(pool, id)) {
			clients_died(pool, id, NULL, NULL);
			break;
		}
	run_jobs(pool);
	image_take(&world.live, image);
	pool_close(pool);
	return image;
}

const struct crash_case graves_fold = CASE("fold, meanwhile", work, do_fold, NULL);

void graves_fold_now(void *arg)
{
	struct peer peer = {.pid = getpid(), .start_time = clients_start_time(getpid())};
	uint32_t id;

	(void)arg;
	if (!tombs_may_give(served_by))
		die("there is nothing to fold");
	tombs_wait(served_by, take_result, &result);
	run_jobs(served_by);
	if (clients_attach(served_by, &peer, &id, &result) < 0)
		die("%s", result.why);
}

/* Three, and the client if it is dead. */
bool graves_again(struct pool *p, uint32_t client, char *why)
{
	struct found n;

	(void)client;
	if (!ask(p, why) || !look(p, false, &n, why))
		return false;
	if (!n.free || n.owners > 4)
		FAIL("%u free ids, %u tombs of %u owners", n.free, n.tombs, n.owners);
	return true;
}
