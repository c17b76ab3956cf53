/* A sample of kill points with everything real: a client is stepped so many instructions into its work,
 * the rest of the system going on, and killed there by SIGKILL.  slabd hears of it by the pidfd, gives
 * back what it held, and the audit balances.  Every instruction is the business of tests/crash/main.c;
 * this is to see that what its mirror stands for is so. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

#define KILLS	60u
#define STEPS	8000u /* at most, before a kill */
#define HANDLES 512u
#define BULK	40u
#define BYTES	64u

static struct daemon_fixture d;
static struct slabd *slabd;
static struct slabd_cache *plain, *strict, *reclaim;
static slabd_handle handles[HANDLES]; /* the survivor's, in plain */
static unsigned at;		      /* in handles */

static void set_up(void)
{
	setenv("SLABD_TIMEOUT_MS", "60000", 1); /* victims are stepped through their calls */
	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	plain = cache_of(slabd, "plain", BYTES, 0);
	strict = cache_of(slabd, "strict", BYTES, SLABD_STRICT);
	reclaim = cache_of(slabd, "reclaim", BYTES, SLABD_RECLAIM);
}

static void tear_down(void)
{
	slabd_detach(slabd);
	daemon_audit(&d);
	daemon_stop(&d);
}

TestSuite(real_kills, .init = set_up, .fini = tear_down, .timeout = 100);

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---------------------------------------------------------------- the victim */

static void work(void)
{
	void *one = slabd_alloc(plain, 0), *two = slabd_alloc(strict, SLABD_ZERO), *many[BULK];
	size_t n = slabd_alloc_bulk(reclaim, 0, BULK, many);
	void *theirs = slabd_adopt(plain, handles[at++ % HANDLES]);

	CHECK(one && two && n == BULK);
	slabd_free(plain, theirs);
	slabd_free_handle(plain, handles[at++ % HANDLES]);
	slabd_free(strict, two);
	slabd_free_bulk(reclaim, n, many);
	slabd_free(plain, one);
	if (at % 8 == 0)
		slabd_flush(slabd);
}

/* Every other one is stepped through its attaching too. */
static void victim(void *arg)
{
	const bool *warm = arg;

	CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	if (*warm)
		work();
	raise(SIGSTOP);
	for (;;)
		work();
}

static int wait_stop(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR);
	cr_assert(WIFSTOPPED(status), "the victim ended by itself, status 0x%x", (unsigned)status);
	return WSTOPSIG(status);
}

static void step_and_kill(pid_t pid, uint64_t steps)
{
	int sig = 0;

	cr_assert_eq(wait_stop(pid), SIGSTOP);
	while (steps--) {
		MUST(ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(intptr_t)sig) == 0);
		sig = wait_stop(pid);
		if (sig == SIGTRAP)
			sig = 0;
	}
	daemon_audit_at_work(&d); /* whoever stops in the middle of something damages nothing */
	child_kill(pid);
}

/* ---------------------------------------------------------------- the survivor */

static void fill_handles(void)
{
	for (unsigned i = 0; i < HANDLES; i++) {
		void *object;

		if (handles[i] && slabd_get(plain, handles[i]))
			continue;
		object = slabd_alloc(plain, 0);
		cr_assert(object, "%s", slabd_error());
		object_fill(object, BYTES, i);
		handles[i] = slabd_handle_of(plain, object);
	}
}

static void check_handles(void)
{
	for (unsigned i = 0; i < HANDLES; i++) {
		void *object = slabd_get(plain, handles[i]);

		cr_assert(!object || object_holds(object, BYTES, i), "object %u", i);
	}
}

static bool only_we(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 1;
}

Test(real_kills, anywhere)
{
	const char *wanted = getenv("SLABD_TEST_SEED");
	struct daemon_cache seen;

	seed = wanted ? strtoull(wanted, NULL, 0) : (uint64_t)time(NULL) | 1;
	fprintf(stderr, "SLABD_TEST_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < KILLS; i++) {
		bool warm = i % 2;
		uint64_t steps = next_random() % STEPS + 1;

		fill_handles();
		at = (unsigned)(next_random() % HANDLES);
		step_and_kill(child_start(victim, &warm), steps);
		DAEMON_UNTIL(&d, only_we, NULL);
		check_handles();
		daemon_audit(&d);
		cr_assert(daemon_cache(&d, "reclaim", &seen));
		cr_assert_eq(seen.live + seen.orphaned, 0, "kill %u after %llu steps", i,
			     (unsigned long long)steps);
	}
	for (unsigned i = 0; i < HANDLES; i++)
		slabd_free_handle(plain, handles[i]);
	cr_assert_eq(daemon_audit(&d).live, 0);
}
