/* How long a death costs.  A client that holds 10,000 objects of a RECLAIM cache is killed, again and
 * again.  Measured: the time from the SIGKILL to the last object back, and the longest pause that
 * another client, the bystander, sees in its loop of alloc and free meanwhile; against a window as
 * long, directly before, in which nobody died.
 *
 * The bystander is also the one that looks: an object is back when its handle is stale, which costs no
 * call to slabd.  In the second half of the runs nobody looks but slabd itself, by its list of caches.
 *
 * A bystander that is preempted pauses for a time slice, whoever dies: windows without an involuntary
 * context switch are shown apart. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/storm/storm.h"
#include "tests/support/child.h"

#define OBJECTS	     10000u
#define OBJECT_BYTES 64u
#define VICTIMS	     "victims"
#define BYSTANDERS   "bystanders"
#define LOOK_EVERY   8u
#define CALM_FIRST   UINT64_C(2000000) /* ns */

enum phase { PHASE_NONE, PHASE_CALM, PHASE_DEATH, PHASE_END };

struct window {
	uint64_t pause; /* ns */
	bool preempted;
};

struct recovery {
	_Atomic int phase;
	uint64_t calm;	   /* ns, how long */
	bool look;	   /* the bystander says when the last is back */
	_Atomic bool over; /* else the parent does */
	uint64_t back_at;  /* ns */
	struct window result;
	slabd_handle handles[OBJECTS];
};

struct runs {
	uint64_t *times;
	struct window *calm, *death;
	unsigned n;
};

static struct recovery *recovery;
static struct baton ready, answer;

/* ---------------------------------------------------------------- the victim */

static void be_victim(void *arg)
{
	struct slabd *slabd = attach_to(slabd_under_test.socket);
	struct slabd_cache *cache = cache_of(slabd, VICTIMS, OBJECT_BYTES, SLABD_RECLAIM);

	(void)arg;
	for (unsigned i = 0; i < OBJECTS; i++) {
		void *object = slabd_alloc(cache, 0);

		CHECK(object);
		memset(object, 1, OBJECT_BYTES);
		recovery->handles[i] = slabd_handle_of(cache, object);
	}
	baton_pass(ready, 1);
	for (;;)
		pause();
}

/* ---------------------------------------------------------------- the bystander */

struct bystander {
	struct slabd_cache *cache, *victims;
	uint64_t last, longest;
	unsigned back; /* objects seen to be back */
};

static uint64_t switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_nivcsw;
}

static void turn(struct bystander *b)
{
	uint64_t now;

	slabd_free(b->cache, slabd_alloc(b->cache, 0));
	now = now_ns();
	if (now - b->last > b->longest)
		b->longest = now - b->last;
	b->last = now;
}

static bool all_back(struct bystander *b)
{
	while (b->back < OBJECTS && !slabd_get(b->victims, recovery->handles[b->back]))
		b->back++;
	return b->back == OBJECTS;
}

static bool is_over(struct bystander *b, uint64_t calm_end)
{
	if (recovery->phase == PHASE_CALM)
		return b->last >= calm_end;
	return recovery->look ? all_back(b) : recovery->over;
}

static void watch_window(struct bystander *b)
{
	uint64_t before = switches(), end;

	b->last = now_ns();
	b->longest = 0;
	b->back = 0;
	end = b->last + recovery->calm;
	baton_pass(ready, 1);
	do
		for (unsigned i = 0; i < LOOK_EVERY; i++)
			turn(b);
	while (!is_over(b, end));
	recovery->back_at = b->last;
	recovery->result = (struct window){b->longest, switches() != before};
	recovery->phase = PHASE_NONE;
	baton_pass(answer, 1);
}

static void be_bystander(void *arg)
{
	struct slabd *slabd = attach_to(slabd_under_test.socket);
	struct bystander b = {.cache = cache_of(slabd, BYSTANDERS, OBJECT_BYTES, 0),
			      .victims = cache_of(slabd, VICTIMS, OBJECT_BYTES, SLABD_RECLAIM)};

	(void)arg;
	slabd_free(b.cache, slabd_alloc(b.cache, 0));
	while (recovery->phase != PHASE_END) {
		if (recovery->phase == PHASE_NONE)
			slabd_free(b.cache, slabd_alloc(b.cache, 0));
		else
			watch_window(&b);
	}
	slabd_detach(slabd);
}

/* ---------------------------------------------------------------- the runs */

static struct window window(enum phase phase)
{
	recovery->phase = phase;
	baton_take(ready);
	baton_take(answer);
	return recovery->result;
}

static void wait_for_list(void)
{
	struct daemon_cache seen;

	do
		if (!daemon_cache(&slabd_under_test, VICTIMS, &seen))
			abort();
	while (seen.live || seen.orphaned);
}

static void one_run(struct runs *runs, bool look)
{
	unsigned i = runs->n++;
	pid_t victim = child_start(be_victim, NULL);
	uint64_t killed;

	baton_take(ready);
	recovery->look = look;
	recovery->over = false;
	runs->calm[i] = window(PHASE_CALM);
	recovery->phase = PHASE_DEATH;
	baton_take(ready);
	killed = now_ns();
	kill(victim, SIGKILL);
	if (!look) {
		wait_for_list();
		runs->times[i] = now_ns() - killed;
		recovery->over = true;
	}
	baton_take(answer);
	if (look)
		runs->times[i] = recovery->back_at - killed;
	runs->death[i] = recovery->result;
	recovery->calm = runs->times[i];
	child_join(victim);
	wait_for_list();
}

/* ---------------------------------------------------------------- figures */

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_spread(const char *what, uint64_t *ns, unsigned n)
{
	if (!n) {
		printf("%-62s none\n", what);
		return;
	}
	qsort(ns, n, sizeof(*ns), by_size);
	printf("%-62s n %4u  median %8.1f  p99 %8.1f  max %8.1f us\n", what, n,
	       (double)ns[n / 2] / 1e3, (double)ns[(n * 99 + 99) / 100 - 1] / 1e3,
	       (double)ns[n - 1] / 1e3);
}

static void print_pauses(const char *what, const struct window *windows, unsigned n, bool all)
{
	uint64_t *ns = calloc(n, sizeof(*ns));
	unsigned some = 0;

	for (unsigned i = 0; ns && i < n; i++)
		if (all || !windows[i].preempted)
			ns[some++] = windows[i].pause;
	print_spread(what, ns, some);
	free(ns);
}

static struct runs runs_make(unsigned n)
{
	struct runs runs = {.times = calloc(n, sizeof(*runs.times)),
			    .calm = calloc(n, sizeof(*runs.calm)),
			    .death = calloc(n, sizeof(*runs.death))};

	if (!runs.times || !runs.calm || !runs.death)
		abort();
	return runs;
}

static void runs_print_and_free(struct runs *runs, const char *how)
{
	char title[80];

	snprintf(title, sizeof(title), "SIGKILL to the last of %u objects back, %s", OBJECTS, how);
	print_spread(title, runs->times, runs->n);
	print_pauses("  longest pause of a bystander", runs->death, runs->n, true);
	print_pauses("  the same in as long a time without a death", runs->calm, runs->n, true);
	print_pauses("  longest pause, bystander not preempted", runs->death, runs->n, false);
	print_pauses("  the same without a death", runs->calm, runs->n, false);
	free(runs->times);
	free(runs->calm);
	free(runs->death);
}

bool recovery_measure(unsigned n)
{
	struct runs by_handle = runs_make(n), by_list = runs_make(n);
	struct daemon_audit audit;
	pid_t bystander;

	recovery = mmap(NULL, sizeof(*recovery), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (recovery == MAP_FAILED)
		abort();
	recovery->calm = CALM_FIRST;
	ready = baton_make();
	answer = baton_make();
	bystander = child_start(be_bystander, NULL);
	for (unsigned i = 0; i < n; i++)
		one_run(&by_handle, true);
	recovery->calm = CALM_FIRST;
	for (unsigned i = 0; i < n; i++)
		one_run(&by_list, false);
	recovery->phase = PHASE_END;
	if (child_join(bystander) != 0)
		abort();
	runs_print_and_free(&by_handle, "by handle");
	runs_print_and_free(&by_list, "by slabd's list");
	audit = daemon_audit(&slabd_under_test);
	printf("audit: balanced, %" PRIu64 " live\n", audit.live);
	return audit.live == 0;
}
