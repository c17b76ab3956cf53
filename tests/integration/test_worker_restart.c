/* The worker's death, the keeper's, and a slabd that stands still: what clients notice of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/attached.h"
#include "tests/support/clock.h"

static struct slabd_cache *cache;

static void set_up(void)
{
	attached_start();
	cache = cache_of(slabd, "thing", 64, 0);
}

static void tear_down(void)
{
	MUST(reports == 0);
	attached_stop();
}

TestSuite(restart, .init = set_up, .fini = tear_down, .timeout = 100);

/* ---------------------------------------------------------------- while idle */

Test(restart, idle)
{
	static void *objects[5000];
	struct slabd_cache *another;
	struct daemon_cache seen;
	char text[64];
	pid_t worker = daemon_worker(&d);

	for (unsigned i = 0; i < 5000; i++) {
		objects[i] = slabd_alloc(cache, 0);
		object_fill(objects[i], 64, i);
	}
	daemon_kill_worker(&d);
	cr_assert_eq(daemon_stats(&d).worker_restarts, 1);
	snprintf(text, sizeof(text), "worker %d was killed by signal 9 (Killed) after ",
		 (int)worker);
	cr_assert(daemon_logged(&d, text));
	cr_assert(daemon_logged(&d, "serves: 1 caches and 1 clients taken over"));
	daemon_expect_notice(&d, "worker restarted 1 times");
	cr_assert(daemon_cache(&d, "thing", &seen));
	cr_assert_eq(seen.live, 5000);
	cr_assert_eq(seen.clients, 1);
	for (unsigned i = 0; i < 5000; i++)
		cr_assert(object_holds(objects[i], 64, i));
	slabd_free_bulk(cache, 5000, objects);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 5000, objects), 5000, "%s", slabd_error());
	slabd_free_bulk(cache, 5000, objects);
	another = cache_of(slabd, "another", 32, SLABD_EXCLUSIVE);
	cr_assert_eq(slabd_cache_destroy(another), 0, "%s", slabd_error());
	cr_assert_eq(slabd_cache_shrink(cache), 0, "%s", slabd_error());
	cr_assert_eq(daemon_audit(&d).objects, 0, "the new one knows every slab");
}

static void leave_orphans(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 10; i++)
		CHECK(slabd_alloc(cache, 0));
	slabd_free(cache, slabd_alloc(cache, 0));
	for (;;)
		pause();
}

static bool ten_live(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_audit(daemon).live == 10;
}

static bool ten_orphans(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_audit(daemon).orphaned == 10 && daemon_stats(daemon).clients == 1;
}

/* A client that dies while there is no worker is found dead by the next. */
Test(restart, client_dies_meanwhile)
{
	pid_t pid = child_start(leave_orphans, NULL), worker = daemon_worker(&d);

	DAEMON_UNTIL(&d, ten_live, NULL);
	cr_assert_eq(kill(d.keeper, SIGSTOP), 0);
	cr_assert_eq(kill(worker, SIGKILL), 0);
	child_kill(pid);
	cr_assert_eq(kill(d.keeper, SIGCONT), 0);
	DAEMON_UNTIL(&d, ten_orphans, NULL);
}

/* Of several in a row each is counted, and the crash loop is slowed down: two that lived for less than half a
 * second each, which a busy machine does not always allow. */
Test(restart, several_in_a_row)
{
	void *object = slabd_alloc(cache, 0);

	for (unsigned i = 1; i <= 20 && !daemon_logged(&d, "; the next one starts in "); i++) {
		daemon_kill_worker(&d);
		cr_assert_eq(daemon_stats(&d).worker_restarts, i);
		cr_assert_eq(slabd_cache_shrink(cache), 0, "%s", slabd_error());
	}
	cr_assert(daemon_logged(&d, "the next one starts at once (restart 1)"));
	cr_assert(daemon_logged(&d, "; the next one starts in "));
	slabd_free(cache, object);
}

/* ---------------------------------------------------------------- under load */

#define LOADERS 4

struct load {
	_Atomic uint64_t rounds[LOADERS];
	_Atomic bool end;
};

static struct load *load;

static struct load *make_load(void)
{
	void *p = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static void make_and_destroy(unsigned me, uint64_t round)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args),
					.object_size = 40,
					.flags = SLABD_EXCLUSIVE | SLABD_RECLAIM};
	struct slabd_cache *own;
	char name[32];

	snprintf(name, sizeof(name), "c%u-%llu", me, (unsigned long long)round);
	/* done twice, it would exist the second time; and be gone the second time */
	CHECK(slabd_cache_create(slabd, name, &args, &own) == 0);
	CHECK(slabd_alloc(own, 0));
	CHECK(slabd_cache_destroy(own) == 0);
	CHECK(slabd_cache_open(slabd, name, &own) == -ENOENT);
}

/* Every call that an application makes must succeed. */
static void loader(void *arg)
{
	const unsigned *me = arg;
	void *objects[700];

	for (uint64_t round = load->rounds[*me]; !load->end; round++) {
		for (unsigned i = 0; i < 700; i++) {
			objects[i] = slabd_alloc(cache, 0);
			CHECK(objects[i]);
			object_fill(objects[i], 64, *me + i);
		}
		for (unsigned i = 0; i < 700; i++) {
			CHECK(object_holds(objects[i], 64, *me + i));
			slabd_free(cache, objects[i]);
		}
		make_and_destroy(*me, round);
		if (round % 3 == 0)
			CHECK(slabd_cache_shrink(cache) == 0);
		if (round % 5 == 0)
			slabd_flush(slabd);
		load->rounds[*me]++;
	}
	CHECK(reports == 0);
}

static bool only_we(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 1;
}

struct progress {
	uint64_t rounds[LOADERS];
	uint64_t not_before;
};

/* Everyone got on, and the worker lived long enough to be no crash loop. */
static bool all_got_on(const struct daemon_fixture *daemon, const void *arg)
{
	const struct progress *progress = arg;

	(void)daemon_stats(daemon);
	for (unsigned i = 0; i < LOADERS; i++)
		if (load->rounds[i] < progress->rounds[i] + 2)
			return false;
	return now_ms() >= progress->not_before;
}

static void wait_for_progress(void)
{
	struct progress progress = {.not_before = now_ms() + 550};

	for (unsigned i = 0; i < LOADERS; i++)
		progress.rounds[i] = load->rounds[i];
	DAEMON_UNTIL(&d, all_got_on, &progress);
}

static pid_t loaders[LOADERS];

static void start_loader(unsigned number)
{
	loaders[number] = child_start(loader, &number);
}

static void start_loaders(void)
{
	load = make_load();
	for (unsigned i = 0; i < LOADERS; i++)
		start_loader(i);
}

static void end_loaders(void)
{
	wait_for_progress();
	load->end = true;
	for (unsigned i = 0; i < LOADERS; i++)
		cr_assert_eq(child_join(loaders[i]), 0);
	DAEMON_UNTIL(&d, only_we, NULL);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

Test(restart, under_load)
{
	start_loaders();
	for (unsigned i = 1; i <= 25; i++) {
		wait_for_progress();
		daemon_kill_worker(&d);
		cr_assert_eq(daemon_stats(&d).worker_restarts, i);
	}
	end_loaders();
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	cr_assert_eq(daemon_stats(&d).caches, 1);
}

/* The same while clients are killed too. */
Test(restart, under_load_with_dying_clients)
{
	start_loaders();
	for (unsigned i = 1; i <= 12; i++) {
		wait_for_progress();
		child_kill(loaders[i % LOADERS]);
		daemon_kill_worker(&d);
		load->rounds[i % LOADERS] += 1000000; /* names that were not used yet */
		start_loader(i % LOADERS);
	}
	end_loaders();
	cr_assert_leq(daemon_audit(&d).orphaned, 12 * 700);
}

/* ---------------------------------------------------------------- standing still */

Test(restart, standing_still)
{
	pid_t worker = daemon_worker(&d);
	static void *objects[100];
	uint64_t start;
	unsigned n = 0;

	slabd_free(cache, slabd_alloc(cache, 0));
	cr_assert_eq(kill(worker, SIGSTOP), 0);
	cr_assert_eq(kill(d.keeper, SIGSTOP), 0);
	start = now_ms();
	while (n < 100 && (objects[n] = slabd_alloc(cache, SLABD_NOWAIT)))
		n++;
	cr_assert_eq(n, 100, "magazines and depot serve on");
	while (slabd_alloc(cache, SLABD_NOWAIT))
		;
	cr_assert_eq(errno, ENOMEM);
	for (unsigned i = 0; i < 10000; i++)
		cr_assert_null(slabd_alloc(cache, SLABD_NOWAIT));
	for (unsigned i = 0; i < 100; i++)
		slabd_free(cache, objects[i]);
	cr_assert_lt(now_ms() - start, 5000, "none of it waited");
	setenv("SLABD_TIMEOUT_MS", "200", 1);
	while (slabd_alloc(cache, SLABD_NOWAIT))
		;
	cr_assert_null(slabd_alloc(cache, 0));
	cr_assert_eq(errno, ETIMEDOUT);
	cr_assert(strstr(slabd_error(), "did not answer in time"), "%s", slabd_error());
	cr_assert_eq(kill(d.keeper, SIGCONT), 0);
	setenv("SLABD_TIMEOUT_MS", "10000", 1);
	/* the keeper does not kill a stopped worker, and it takes up where it stopped */
	cr_assert_eq(kill(worker, SIGCONT), 0);
	cr_assert(slabd_alloc(cache, 0), "%s", slabd_error());
	cr_assert_eq(daemon_worker(&d), worker);
	cr_assert_eq(daemon_stats(&d).worker_restarts, 0);
}

/* ---------------------------------------------------------------- the keeper's death */

Test(restart, keeper_killed)
{
	static void *objects[500], *more[500];
	struct slabd_cache *refused;
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 8};
	unsigned n = 0;

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 500, objects), 500);
	for (unsigned i = 0; i < 500; i++)
		object_fill(objects[i], 64, i);
	setenv("SLABD_TIMEOUT_MS", "300", 1);
	daemon_kill(&d); /* and the worker with it: it waits for that */

	for (unsigned i = 0; i < 500; i++)
		cr_assert(object_holds(objects[i], 64, i));
	for (unsigned i = 0; i < 250; i++)
		slabd_free(cache, objects[i]);
	while (n < 250 && (more[n] = slabd_alloc(cache, 0)))
		n++;
	cr_assert_eq(n, 250, "what was freed is there: %s", slabd_error());
	while (slabd_alloc(cache, SLABD_NOWAIT))
		;
	errno = 0;
	cr_assert_null(slabd_alloc(cache, 0));
	cr_assert_eq(errno, ETIMEDOUT);

	/* another slabd, another segment: the old one serves what it holds, and no more */
	setenv("SLABD_TIMEOUT_MS", "10000", 1);
	daemon_start(&d, NULL);
	errno = 0;
	cr_assert_null(slabd_alloc(cache, 0));
	cr_assert_eq(errno, ESTALE);
	cr_assert(strstr(slabd_error(), "detach and attach again"), "%s", slabd_error());
	cr_assert_eq(slabd_cache_create(slabd, "new", &args, &refused), -ESTALE);
	for (unsigned i = 250; i < 500; i++)
		slabd_free(cache, objects[i]);
	slabd_free_bulk(cache, n, more);
	cr_assert_eq(reports, 0);
	slabd_detach(slabd);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
	cr_assert(slabd_alloc(cache, 0), "%s", slabd_error());
	cr_assert_eq(daemon_audit(&d).live, 1);
}

/* An orderly end, and a new start on the same socket. */
Test(restart, stopped_and_started)
{
	void *object = slabd_alloc(cache, 0);

	setenv("SLABD_TIMEOUT_MS", "300", 1);
	daemon_stop(&d);
	slabd_free(cache, object);
	cr_assert_eq(slabd_alloc(cache, 0), object);
	d = (struct daemon_fixture){0};
	setenv("SLABD_TIMEOUT_MS", "10000", 1);
	daemon_start(&d, NULL);
	slabd_detach(slabd);
	slabd = attach_to(d.socket);
}
