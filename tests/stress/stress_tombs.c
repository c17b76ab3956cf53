/* The worker is killed while it folds tombs (daemon/tombs.c).  Clients come one after the other and die
 * with objects, of which there are more dead owners than ids: to let the next one in, the worker has to
 * fold.  Meanwhile the watcher adopts and frees orphans here and there; and as soon as it sees that the
 * tag of one has changed hands, it stops the keeper and kills the worker, so that it can look at what was
 * done by then before the next worker goes on.
 *
 * After each: who waited for an id has one, no orphan is lost or stale, and each dead owner is one of
 * those that the list of orphans counts.  At the end every orphan is adopted, whole, and the audit has
 * none. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/stress/race.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/wire.h"

#define OBJECTS	    100000u /* of each who dies: the first is left alone, so that its tomb stays */
#define DEATHS	    16u
#define MEETINGS    4u	/* more deaths where the worker was seldom killed within a fold */
#define DEATHS_MOST 40u /* for which the heap has room */
#define KILLS	    2u	/* in one round */
#define KILLS_MOST  8u	/* slabd takes its time over workers that die one after the other */
#define TAKES	    2000u
#define SIZE	    16u

struct page {
	slabd_handle handles[DEATHS_MOST][OBJECTS];
	bool taken[DEATHS_MOST][OBJECTS];
	_Atomic unsigned arrived; /* clients */
	unsigned deaths;
	uint64_t takes, kills, within;
};

struct watcher {
	struct slabd_cache *cache;
	uint64_t seed;
	unsigned
		at[DEATHS_MOST]; /* an object of each of the dead that is not taken in this round */
	uint32_t owner[DEATHS_MOST];
	uint32_t left[DEATHS_MOST][OBJECTS]; /* the owner of each when the worker was killed */
	pid_t worker;
	unsigned kills, takes;
};

static struct page *page;
static struct daemon_fixture d;
static struct baton go, done;

/* ---------------------------------------------------------------- who dies */

static void be_victim(void *arg)
{
	struct slabd_cache *cache = cache_of(attach_to(d.socket), "left", SIZE, 0);
	slabd_handle *handles = page->handles[page->deaths];

	(void)arg;
	page->arrived++;
	for (unsigned i = 0; i < OBJECTS; i++) {
		void *object = slabd_alloc(cache, 0);

		CHECK(object);
		handles[i] = slabd_handle_of(cache, object);
		object_fill(object, SIZE, handles[i]);
	}
}

/* ---------------------------------------------------------------- the watcher */

static uint32_t owner_of(const struct watcher *w, unsigned death, unsigned i)
{
	return tag_owner(race_tag(w->cache, page->handles[death][i]));
}

/* An orphan's handle is good at every moment, whoever its tomb is folded into. */
static void take(struct watcher *w, unsigned death, unsigned i)
{
	slabd_handle handle = page->handles[death][i];

	if (race_random(&w->seed) % 2) {
		EXPECT(slabd_free_handle(w->cache, handle) == 0);
	} else {
		void *object = slabd_adopt(w->cache, handle);

		EXPECT(object && object_holds(object, SIZE, handle));
		slabd_free(w->cache, object);
	}
	page->taken[death][i] = true;
	page->takes++;
	w->takes++;
}

static void take_one(struct watcher *w)
{
	unsigned death, i;

	if (w->takes == TAKES || !page->deaths)
		return;
	death = (unsigned)(race_random(&w->seed) % page->deaths);
	i = 1 + (unsigned)(race_random(&w->seed) % (OBJECTS - 1));
	if (i != w->at[death] && !page->taken[death][i])
		take(w, death, i);
}

/* One of those that come first in the heap, so that there is something left to be done after it. */
static void note_owners(struct watcher *w)
{
	for (unsigned death = 0; death < page->deaths; death++) {
		do
			w->at[death] = (unsigned)(race_random(&w->seed) % (OBJECTS / 4));
		while (page->taken[death][w->at[death]]);
		w->owner[death] = owner_of(w, death, w->at[death]);
	}
}

static bool has_one_moved(const struct watcher *w)
{
	for (unsigned death = 0; death < page->deaths; death++)
		if (owner_of(w, death, w->at[death]) != w->owner[death])
			return true;
	return false;
}

static void note_all(struct watcher *w)
{
	for (unsigned death = 0; death < page->deaths; death++)
		for (unsigned i = 0; i < OBJECTS; i++)
			w->left[death][i] = owner_of(w, death, i);
}

/* The worker that was killed had moved some, and had left these to the next. */
static bool was_within(const struct watcher *w)
{
	for (unsigned death = 0; death < page->deaths; death++)
		for (unsigned i = 0; i < OBJECTS; i++)
			if (!page->taken[death][i] && owner_of(w, death, i) != w->left[death][i])
				return true;
	return false;
}

static void kill_worker(struct watcher *w)
{
	struct pollfd gone = {.fd = (int)syscall(SYS_pidfd_open, w->worker, 0), .events = POLLIN};

	EXPECT(gone.fd >= 0);
	EXPECT(kill(d.keeper, SIGSTOP) == 0 && kill(w->worker, SIGKILL) == 0);
	EXPECT(poll(&gone, 1, DAEMON_PATIENCE_MS) == 1);
	close(gone.fd);
	page->kills++;
	note_all(w);
	w->kills++;
	EXPECT(kill(d.keeper, SIGCONT) == 0);
	w->worker = daemon_worker(&d);
}

/* Until the client that is to die next has got in. */
static void watch(struct watcher *w, unsigned arrived)
{
	unsigned most = 1 + (unsigned)(race_random(&w->seed) % KILLS);

	w->kills = 0;
	w->takes = 0;
	w->worker = daemon_worker(&d);
	note_owners(w);
	baton_pass(done, 0);
	while (page->arrived < arrived) {
		if (w->kills < most && has_one_moved(w)) {
			page->within += w->kills && was_within(w);
			kill_worker(w);
			note_owners(w);
		}
		take_one(w);
	}
	page->within += w->kills && was_within(w);
}

static void on_refused(const char *message, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s\n", message);
	abort();
}

static void be_watcher(void *arg)
{
	static struct watcher w;
	struct slabd *slabd = attach_to(d.socket);
	uint64_t arrived;

	slabd_set_error_handler(on_refused, NULL);
	w.cache = cache_of(slabd, "left", SIZE, 0);
	w.seed = *(const uint64_t *)arg;
	while ((arrived = baton_take(go))) {
		watch(&w, (unsigned)arrived);
		baton_pass(done, 1);
	}
	slabd_detach(slabd);
}

/* ---------------------------------------------------------------- a round */

/* How many owners the list of orphans has, and how many orphans. */
static void count_owners(uint64_t *owners, uint64_t *objects)
{
	static struct wire_reply answer;
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Orphans verb = SLABD__ORPHANS__INIT;
	int fd = wire_connect(d.socket);

	request.sequence = 2;
	request.verb_case = SLABD__REQUEST__VERB_ORPHANS;
	request.orphans = &verb;
	EXPECT(fd >= 0 && wire_greet(fd) == 0 && wire_send(fd, &request) == 0);
	EXPECT(wire_receive(fd, &answer, DAEMON_PATIENCE_MS) == 0);
	EXPECT(answer.reply->status == 0 && answer.reply->orphans && !answer.reply->orphans->next);
	*owners = *objects = 0;
	for (size_t i = 0; i < answer.reply->orphans->n_orphans; i++) {
		const Slabd__Orphan *orphan = answer.reply->orphans->orphans[i];

		*owners += orphan->owners > 1 ? orphan->owners : 1;
		*objects += orphan->objects;
	}
	close(fd);
}

static uint64_t left(void)
{
	return (uint64_t)page->deaths * OBJECTS - page->takes;
}

static bool all_are_orphans(const struct daemon_fixture *daemon, const void *arg)
{
	struct daemon_cache seen;

	(void)arg;
	return daemon_cache(daemon, "left", &seen) && seen.orphaned == left();
}

static void one_death(void)
{
	uint64_t owners, objects;
	pid_t pid;

	baton_pass(go, page->deaths + 1);
	baton_take(done); /* it watches */
	pid = child_start(be_victim, NULL);
	EXPECT(child_join(pid) == 0);
	baton_take(done);
	page->deaths++;
	DAEMON_UNTIL(&d, all_are_orphans, NULL);
	count_owners(&owners, &objects);
	if (owners != page->deaths || objects != left())
		fprintf(stderr, "%" PRIu64 " owners of %u, %" PRIu64 " objects of %" PRIu64 "\n",
			owners, page->deaths, objects, left());
	EXPECT(owners == page->deaths && objects == left());
	EXPECT(daemon_audit(&d).orphaned == left());
}

/* All that were left, by whoever comes now. */
static void adopt_all(void *arg)
{
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = cache_of(slabd, "left", SIZE, 0);

	(void)arg;
	for (unsigned death = 0; death < page->deaths; death++)
		for (unsigned i = 0; i < OBJECTS; i++) {
			slabd_handle handle = page->handles[death][i];
			void *object = slabd_adopt(cache, handle);

			CHECK(!object == page->taken[death][i]);
			CHECK(!object || object_holds(object, SIZE, handle));
			slabd_free(cache, object);
		}
	slabd_detach(slabd);
}

static bool wants_more(void)
{
	if (page->deaths < DEATHS || page->deaths == DEATHS_MOST)
		return page->deaths < DEATHS;
	return !page->within || (page->within < MEETINGS && page->kills < KILLS_MOST);
}

int main(void)
{
	uint64_t seed = race_seed();
	struct daemon_audit audit;
	pid_t watcher;

	/* a hello may wait for a fold, and that for two workers that are started 5 s late each */
	setenv("SLABD_TIMEOUT_MS", "60000", 0);
	page = race_page(sizeof(*page));
	go = baton_make();
	done = baton_make();
	daemon_start(&d, "--size=128M", "--set", "max-clients=8", "--set", "log-level=warning",
		     NULL);
	watcher = child_start(be_watcher, &seed);
	while (wants_more())
		one_death();
	baton_pass(go, 0);
	EXPECT(child_join(watcher) == 0);
	EXPECT(child_run(adopt_all, NULL) == 0);
	audit = daemon_audit(&d);
	EXPECT(audit.orphaned == 0 && audit.live == 0 && audit.freeing == 0);
	printf("%u owners died with %u objects each; %" PRIu64 " orphans were taken meanwhile; the "
	       "worker was killed %" PRIu64 " times, %" PRIu64 " of them within a fold\n",
	       page->deaths, OBJECTS, page->takes, page->kills, page->within);
	fflush(stdout);
	EXPECT(page->within);
	daemon_stop(&d);
	return 0;
}
