/* Races against the reclaim of what a dead client owned: a victim allocates, hands its handles over, and
 * is killed; while slabd goes through its objects, from the lowest to the highest, the survivor takes what it
 * can, from the highest down, and so they meet.
 *
 *	adopt against sweep	RECLAIM caches: an object is the survivor's, or it is free
 *	free against sweep	the same by slabd_free_handle
 *	adopt against freeing	other caches: the dead one's orphans are freed by the operator
 *
 * What the survivor got is kept a round longer and then must be whole: its tag, and every byte.  At the
 * end the audit balances with nothing live.  Both sides must have won. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "tests/stress/race.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/wire.h"

#define OBJECTS	    12000u
#define ROUNDS	    60u /* of each race on each kind of cache */
#define MEETINGS    5u	/* more rounds where they met less often */
#define ROUNDS_MOST 400u
#define SECONDS	    4u /* no more than is asserted, then */
#define SIZE	    64u

enum race { ADOPT, FREE, RACES };

static const char *const race_names[RACES] = {"adopt against reclaim", "free against reclaim"};

struct page {
	slabd_handle handles[OBJECTS]; /* from the lowest ref up */
	uint64_t rounds, adopted, freed, late, met;
};

struct survivor {
	enum race race;
	const struct race_kind *kind;
	struct slabd_cache *cache;
	uint64_t seed;
	struct kept {
		void *object;
		slabd_handle handle;
	} kept[OBJECTS];
	unsigned n;
};

static struct page *page;
static struct daemon_fixture d;
static struct baton ready, go, done;

/* ---------------------------------------------------------------- the victim */

static int by_ref(const void *a, const void *b)
{
	uint32_t x = (uint32_t) * (const slabd_handle *)a, y = (uint32_t) * (const slabd_handle *)b;

	return x < y ? -1 : x > y;
}

static void be_victim(void *arg)
{
	const struct race_kind *kind = arg;
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = cache_of(slabd, kind->name, SIZE, kind->flags);

	for (unsigned i = 0; i < OBJECTS; i++) {
		void *object = slabd_alloc(cache, 0);

		CHECK(object);
		page->handles[i] = slabd_handle_of(cache, object);
		object_fill(object, SIZE, page->handles[i]);
	}
	qsort(page->handles, OBJECTS, sizeof(*page->handles), by_ref);
	baton_pass(ready, 1);
	for (;;)
		pause();
}

/* ---------------------------------------------------------------- the survivor */

static void check_and_free(struct survivor *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		EXPECT(slabd_get(s->cache, s->kept[i].handle) == s->kept[i].object);
		EXPECT(tag_owner(race_tag(s->cache, s->kept[i].handle)) ==
		       s->cache->slabd->identity->client);
		EXPECT(object_holds(s->kept[i].object, SIZE, s->kept[i].handle));
		slabd_free(s->cache, s->kept[i].object);
	}
	s->n = 0;
}

static bool take(struct survivor *s, slabd_handle handle)
{
	void *object;
	int r;

	if (s->race == FREE) {
		r = slabd_free_handle(s->cache, handle);
		EXPECT(r == 0 || r == -ESTALE);
		page->freed += r == 0;
		return r == 0;
	}
	object = slabd_adopt(s->cache, handle);
	EXPECT(object || errno == ESTALE);
	if (!object)
		return false;
	s->kept[s->n++] = (struct kept){object, handle};
	page->adopted++;
	return true;
}

/* Until the first object is gone; in some rounds a little more, or not at all. */
static void wait_for_sweep(struct survivor *s)
{
	unsigned spins = 0, sentinel = (unsigned)(race_random(&s->seed) % (OBJECTS / 4));

	while (race_random(&s->seed) % 100000 && slabd_get(s->cache, page->handles[sentinel]))
		race_relax(&spins);
}

static void one_round(struct survivor *s)
{
	unsigned won = 0;

	check_and_free(s);
	wait_for_sweep(s);
	for (unsigned i = OBJECTS; i--;)
		won += take(s, page->handles[i]);
	page->late += OBJECTS - won;
	page->rounds++;
	page->met += won > 0 && won < OBJECTS;
}

static void on_refused(const char *message, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s\n", message);
	abort();
}

static void be_survivor(void *arg)
{
	struct survivor *s = arg;
	struct slabd *slabd = attach_to(d.socket);

	slabd_set_error_handler(on_refused, NULL);
	s->cache = cache_of(slabd, s->kind->name, SIZE, s->kind->flags);
	slabd_free(s->cache, slabd_alloc(s->cache, 0));
	while (baton_take(go)) {
		one_round(s);
		baton_pass(done, 1);
	}
	check_and_free(s);
	slabd_detach(slabd);
}

/* ---------------------------------------------------------------- the operator */

static void free_orphans(void)
{
	static struct wire_reply answer;
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Orphans verb = SLABD__ORPHANS__INIT;
	int fd = wire_connect(d.socket);

	verb.free = true;
	request.sequence = 2;
	request.verb_case = SLABD__REQUEST__VERB_ORPHANS;
	request.orphans = &verb;
	EXPECT(fd >= 0 && wire_greet(fd) == 0 && wire_send(fd, &request) == 0);
	EXPECT(wire_receive(fd, &answer, DAEMON_PATIENCE_MS) == 0 && answer.reply->status == 0);
	close(fd);
}

static bool is_swept(const struct daemon_fixture *daemon, const void *arg)
{
	struct daemon_cache seen;

	/* the dead one's objects and no others: the survivor gave back what it kept, or has it yet */
	return daemon_cache(daemon, arg, &seen) && seen.orphaned == OBJECTS;
}

static void kill_victim(const struct race_kind *kind)
{
	pid_t victim = child_start(be_victim, (void *)(uintptr_t)kind);

	baton_take(ready);
	if (kind->flags & SLABD_RECLAIM) {
		baton_pass(go, 1);
		child_kill(victim);
	} else {
		child_kill(victim);
		DAEMON_UNTIL(&d, is_swept, kind->name);
		baton_pass(go, 1);
		free_orphans();
	}
	baton_take(done);
}

static bool is_empty(const struct daemon_fixture *daemon, const void *arg)
{
	struct daemon_audit audit = daemon_audit(daemon);

	(void)arg;
	return audit.live == 0 && audit.orphaned == 0 && audit.freeing == 0;
}

static bool wants_more(uint64_t until)
{
	if (page->rounds >= ROUNDS_MOST)
		return false;
	if (clock_now() > until) /* until they met, at least */
		return !page->met;
	return page->rounds < ROUNDS || page->met < MEETINGS;
}

static void run_race(enum race race, const struct race_kind *kind, uint64_t *seed)
{
	static struct survivor s;
	uint64_t won, until = clock_now() + SECONDS * UINT64_C(1000000000);
	pid_t pid;

	memset(page, 0, sizeof(*page));
	s = (struct survivor){.race = race, .kind = kind, .seed = race_random(seed)};
	pid = child_start(be_survivor, &s);
	while (wants_more(until))
		kill_victim(kind);
	baton_pass(go, 0);
	EXPECT(child_join(pid) == 0);
	won = page->adopted + page->freed;
	printf("%-22s %-15s %7" PRIu64 " races: survivor won %" PRIu64 ", slabd %" PRIu64
	       "; met in the middle in %" PRIu64 " of %" PRIu64 " rounds\n",
	       race_names[race], kind->name, page->rounds * OBJECTS, won, page->late, page->met,
	       page->rounds);
	fflush(stdout);
	EXPECT(won && page->late && page->met);
	DAEMON_UNTIL(&d, is_empty, NULL);
}

int main(void)
{
	uint64_t seed = race_seed();

	page = race_page(sizeof(*page));
	ready = baton_make();
	go = baton_make();
	done = baton_make();
	daemon_start(&d, "--set", "log-level=warning", NULL);
	for (unsigned i = 0; i < RACE_KINDS; i++)
		for (enum race race = 0; race < RACES; race++)
			run_race(race, &race_kinds[i], &seed);
	daemon_stop(&d);
	return 0;
}
