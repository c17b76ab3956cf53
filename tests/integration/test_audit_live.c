/* The audit of a pool at work: clients that move objects all the time, or are stopped in the middle of it,
 * are no damage. */
#include <criterion/criterion.h>
#include <signal.h>
#include <slabd/slabd.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

#define WORKERS 3
#define HELD	2000
#define BULK	32

static struct daemon_fixture d;
static pid_t workers[WORKERS];

static void work(void *arg)
{
	static void *held[HELD];
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = cache_of(slabd, "busy", 64, 0);
	struct slabd_cache *strict = cache_of(slabd, "strict", 100, SLABD_STRICT);
	uint64_t random = 88172645463325252 + (uint64_t)getpid();

	baton_pass(*(struct baton *)arg, 1);
	for (;;) {
		void **slot, *bulk[BULK], *one = slabd_alloc(strict, 0);

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		slot = &held[random % HELD];
		slabd_free(cache, *slot);
		*slot = slabd_alloc(cache, 0);
		CHECK(*slot && one);
		if (random % 16 == 0) {
			CHECK(slabd_alloc_bulk(cache, 0, BULK, bulk) == BULK);
			slabd_free_bulk(cache, BULK, bulk);
		}
		slabd_free(strict, one);
	}
}

static void set_up(void)
{
	struct baton ready = baton_make();

	daemon_start(&d, NULL);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = child_start(work, &ready);
		baton_take(ready);
	}
}

static bool nobody_left(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 0;
}

static void tear_down(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		child_kill(workers[i]);
	DAEMON_UNTIL(&d, nobody_left, NULL);
	daemon_audit(&d);
	daemon_stop(&d);
}

TestSuite(audit_live, .init = set_up, .fini = tear_down, .timeout = 100);

Test(audit_live, of_clients_at_work)
{
	for (unsigned i = 0; i < 300; i++)
		daemon_audit_at_work(&d);
}

Test(audit_live, of_clients_that_are_stopped)
{
	uint64_t moving = 0;

	for (unsigned i = 0; i < 100; i++) {
		for (unsigned k = 0; k < WORKERS; k++)
			child_stop(workers[k]);
		moving += daemon_audit_at_work(&d).moving;
		for (unsigned k = 0; k < WORKERS; k++)
			cr_assert_eq(kill(workers[k], SIGCONT), 0);
	}
	fprintf(stderr, "%llu objects were stopped on their way\n", (unsigned long long)moving);
}
