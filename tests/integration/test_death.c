/* A client's death, stop and silence: nothing leaks, and nobody else waits. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/attached.h"
#include "tests/support/clock.h"

static struct slabd_cache *plain, *reclaim;

static void set_up(void)
{
	attached_start();
	plain = cache_of(slabd, "plain", 64, 0);
	reclaim = cache_of(slabd, "reclaim", 200, SLABD_RECLAIM);
}

static void tear_down(void)
{
	MUST(reports == 0);
	attached_stop();
}

TestSuite(death, .init = set_up, .fini = tear_down, .timeout = 100);

static bool only_we(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 1 && daemon_logged(daemon, "came back");
}

struct meeting {
	struct baton to_parent, to_child;
	unsigned of_plain, of_reclaim;
	bool threads;
};

static struct meeting meet(unsigned of_plain, unsigned of_reclaim)
{
	return (struct meeting){.to_parent = baton_make(),
				.to_child = baton_make(),
				.of_plain = of_plain,
				.of_reclaim = of_reclaim};
}

static void *hold(void *arg)
{
	const struct meeting *meeting = arg;

	for (unsigned i = 0; i < meeting->of_plain; i++)
		CHECK(slabd_alloc(plain, 0));
	for (unsigned i = 0; i < meeting->of_reclaim; i++)
		CHECK(slabd_alloc(reclaim, 0));
	slabd_free(plain, slabd_alloc(plain, 0));
	slabd_free(reclaim, slabd_alloc(reclaim, 0));
	return NULL;
}

static void *hold_and_wait(void *arg)
{
	struct meeting *meeting = arg;

	hold(arg);
	baton_pass(meeting->to_parent, 1);
	for (;;)
		pause();
	return NULL;
}

static void client(void *arg)
{
	struct meeting *meeting = arg;
	pthread_t thread;

	for (unsigned i = 0; meeting->threads && i < 4; i++)
		CHECK(pthread_create(&thread, NULL, hold_and_wait, arg) == 0);
	hold_and_wait(arg);
}

/* ---------------------------------------------------------------- kill -9 */

Test(death, killed)
{
	struct meeting meeting = meet(1000, 3000);
	struct daemon_cache seen;
	struct daemon_client gone;
	pid_t pid = child_start(client, &meeting);

	baton_take(meeting.to_parent);
	cr_assert(daemon_client(&d, pid, &gone));
	cr_assert_eq(gone.live, 4000);
	cr_assert_gt(gone.in_magazines, 0);
	child_kill(pid);
	DAEMON_UNTIL(&d, only_we, NULL);
	cr_assert(daemon_cache(&d, "plain", &seen));
	cr_assert_eq(seen.live, 0);
	cr_assert_eq(seen.orphaned, 1000);
	cr_assert_eq(seen.clients, 1);
	cr_assert(daemon_cache(&d, "reclaim", &seen));
	cr_assert_eq(seen.live, 0);
	cr_assert_eq(seen.orphaned, 0);
	cr_assert_not(daemon_client(&d, pid, &gone));
	cr_assert_eq(daemon_audit(&d).orphaned, 1000);
	/* the line for the operator: who, how many magazines, how many objects */
	cr_assert(daemon_logged(&d, "died: 4 magazines with "));
	cr_assert(daemon_logged(&d, "3000 objects came back, 1000 are orphans"));
}

Test(death, killed_with_threads)
{
	struct meeting meeting = meet(100, 100);
	struct daemon_audit audit;
	pid_t pid;

	meeting.threads = true;
	pid = child_start(client, &meeting);
	for (unsigned i = 0; i < 5; i++)
		baton_take(meeting.to_parent);
	child_kill(pid);
	DAEMON_UNTIL(&d, only_we, NULL);
	audit = daemon_audit(&d);
	cr_assert_eq(audit.orphaned, 500);
	cr_assert_eq(audit.live, 0);
}

/* An orderly detach with objects is a death too. */
static void detach_with_objects(void *arg)
{
	struct slabd *mine;

	slabd_detach(slabd);
	mine = attach_to(d.socket);
	plain = cache_of(mine, "plain", 64, 0);
	reclaim = cache_of(mine, "reclaim", 200, SLABD_RECLAIM);
	hold(arg);
	slabd_detach(mine);
}

Test(death, detached)
{
	struct meeting meeting = meet(7, 9);

	cr_assert_eq(child_run(detach_with_objects, &meeting), 0);
	cr_assert_eq(daemon_audit(&d).orphaned, 7);
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_eq(daemon_stats(&d).clients, 1);
	cr_assert(daemon_logged(&d,
				"detached: 0 magazines with 0 objects and 9 objects came back, 7 "
				"are orphans"));
}

/* Rounds of all that work, in memory that they share. */
static _Atomic uint64_t *rounds;

static void work_until_killed(void *arg)
{
	struct meeting *meeting = arg;
	void *a[300], *b[50];

	for (unsigned round = 0;; round++) {
		CHECK(slabd_alloc_bulk(plain, 0, 300, a) == 300);
		for (unsigned i = 0; i < 50; i++)
			CHECK((b[i] = slabd_alloc(reclaim, 0)));
		slabd_free_bulk(plain, 300, a);
		for (unsigned i = 0; i < 50; i++)
			slabd_free(reclaim, b[i]);
		if (round == 3)
			baton_pass(meeting->to_parent, 1);
		if (round % 16 == 0)
			slabd_flush(slabd);
		if (rounds)
			(*rounds)++;
	}
}

static bool none_dying(const struct daemon_fixture *daemon, const void *arg)
{
	struct daemon_audit audit = daemon_audit(daemon);

	(void)arg;
	return audit.live == 0 && audit.freeing == 0 && daemon_stats(daemon).clients == 1;
}

/* Killed in the middle of whatever it does, again and again: what is left is what it had allocated. */
Test(death, killed_at_work)
{
	struct meeting meeting = meet(0, 0);

	for (unsigned i = 0; i < 60; i++) {
		pid_t pids[2] = {child_start(work_until_killed, &meeting),
				 child_start(work_until_killed, &meeting)};

		baton_take(meeting.to_parent);
		baton_take(meeting.to_parent);
		child_kill(pids[0]);
		child_kill(pids[1]);
	}
	DAEMON_UNTIL(&d, none_dying, NULL);
	cr_assert_leq(daemon_audit(&d).orphaned, 120 * 300);
}

/* Their pool is whole for the next. */
Test(death, what_comes_back_is_used_again)
{
	/* each takes two thirds of the heap */
	struct meeting meeting = meet(0, 200000);
	void *object;

	for (unsigned i = 0; i < 5; i++) {
		pid_t pid = child_start(client, &meeting);

		baton_take(meeting.to_parent);
		child_kill(pid);
		DAEMON_UNTIL(&d, none_dying, NULL);
	}
	object = slabd_alloc(reclaim, 0);
	cr_assert(object);
	slabd_free(reclaim, object);
}

/* ---------------------------------------------------------------- stopped */

/* It holds magazines and objects, and the place in the depot where others look first. */
static bool rounds_go_on(const struct daemon_fixture *daemon, const void *arg)
{
	(void)daemon_stats(daemon);
	return *rounds > *(const uint64_t *)arg;
}

Test(death, stopped_client_blocks_nobody)
{
	struct meeting meeting = meet(500, 500);
	struct daemon_client seen;
	static void *objects[20000];
	struct slabd_cache *another;
	pid_t pids[2];
	uint64_t start;

	rounds = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(rounds, MAP_FAILED);
	for (unsigned i = 0; i < 2; i++) {
		pids[i] = child_start(work_until_killed, &meeting);
		baton_take(meeting.to_parent);
		child_stop(pids[i]);
	}
	start = now_ms();
	for (unsigned round = 0; round < 3; round++) {
		cr_assert_eq(slabd_alloc_bulk(plain, 0, 20000, objects), 20000, "%s",
			     slabd_error());
		for (unsigned i = 0; i < 20000; i++)
			slabd_free(plain, objects[i]);
	}
	cr_assert_eq(slabd_cache_shrink(plain), 0, "%s", slabd_error());
	another = cache_of(slabd, "another", 10, 0);
	cr_assert_eq(slabd_cache_destroy(another), 0);
	cr_assert_lt(now_ms() - start, 10000);
	cr_assert(daemon_client(&d, pids[0], &seen));
	cr_assert_str_eq(seen.state, "attached", "it is not taken for dead");
	for (unsigned i = 0; i < 2; i++) {
		uint64_t before = *rounds;

		cr_assert_eq(kill(pids[i], SIGCONT), 0);
		DAEMON_UNTIL(&d, rounds_go_on, &before);
		child_stop(pids[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		child_kill(pids[i]);
	DAEMON_UNTIL(&d, none_dying, NULL);
}

static void answer_when_continued(void *arg)
{
	struct meeting *meeting = arg;
	void *objects[100];

	for (unsigned i = 0; i < 100; i++) {
		objects[i] = slabd_alloc(reclaim, 0);
		CHECK(objects[i]);
		object_fill(objects[i], 200, i);
	}
	baton_pass(meeting->to_parent, 1);
	baton_take(meeting->to_child);
	for (unsigned i = 0; i < 100; i++) {
		CHECK(object_holds(objects[i], 200, i));
		slabd_free(reclaim, objects[i]);
	}
	CHECK(reports == 0);
}

/* Stopped over the end of its worker and the tick of the next: it loses nothing. */
Test(death, stopped_client_loses_nothing)
{
	struct meeting meeting = meet(0, 0);
	pid_t pid = child_start(answer_when_continued, &meeting);
	struct daemon_client seen;

	baton_take(meeting.to_parent);
	child_stop(pid);
	daemon_kill_worker(&d);
	cr_assert_eq(slabd_cache_shrink(reclaim), 0, "%s", slabd_error());
	cr_assert(daemon_client(&d, pid, &seen));
	cr_assert_eq(seen.live, 100);
	baton_pass(meeting.to_child, 1);
	cr_assert_eq(kill(pid, SIGCONT), 0);
	cr_assert_eq(child_join(pid), 0);
	DAEMON_UNTIL(&d, none_dying, NULL);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
}

/* ---------------------------------------------------------------- without its socket */

static void close_the_socket(void *arg)
{
	struct meeting *meeting = arg;
	void *object = slabd_alloc(plain, 0), *objects[2000];
	int out = dup2(meeting->to_parent.in, 300), in = dup2(meeting->to_child.out, 301);

	CHECK(object && out == 300 && in == 301);
	close_range(3, 299, 0);
	meeting->to_parent.in = out;
	meeting->to_child.out = in;
	baton_pass(meeting->to_parent, 1);
	baton_take(meeting->to_child);
	/* from its magazines, and then by a connection of its own making */
	slabd_free(plain, object);
	object = slabd_alloc(plain, 0);
	CHECK(object);
	CHECK(slabd_alloc_bulk(plain, 0, 2000, objects) == 2000);
	CHECK(slabd_cache_shrink(reclaim) == 0);
	baton_pass(meeting->to_parent, 1);
	baton_take(meeting->to_child);
	slabd_free_bulk(plain, 2000, objects);
	slabd_free(plain, object);
	CHECK(reports == 0);
}

static bool is_in_state(const struct daemon_fixture *daemon, pid_t pid, const char *state)
{
	struct daemon_client seen;

	return daemon_client(daemon, pid, &seen) && strcmp(seen.state, state) == 0;
}

static bool lingers(const struct daemon_fixture *daemon, const void *arg)
{
	return is_in_state(daemon, *(const pid_t *)arg, "lingering");
}

Test(death, lingering)
{
	struct meeting meeting = meet(0, 0);
	pid_t pid = child_start(close_the_socket, &meeting);
	struct daemon_client before, after;

	baton_take(meeting.to_parent);
	DAEMON_UNTIL(&d, lingers, &pid);
	cr_assert(daemon_client(&d, pid, &before));
	cr_assert_eq(before.live, 1, "nothing is taken from the living");
	baton_pass(meeting.to_child, 1);
	baton_take(meeting.to_parent);
	cr_assert(daemon_client(&d, pid, &after));
	cr_assert_str_eq(after.state, "attached");
	cr_assert_eq(after.id, before.id, "resumed, as the same client");
	baton_pass(meeting.to_child, 1);
	cr_assert_eq(child_join(pid), 0);
	DAEMON_UNTIL(&d, none_dying, NULL);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
}

Test(death, lingering_and_killed)
{
	struct meeting meeting = meet(0, 0);
	pid_t pid = child_start(close_the_socket, &meeting);

	baton_take(meeting.to_parent);
	DAEMON_UNTIL(&d, lingers, &pid);
	child_kill(pid);
	DAEMON_UNTIL(&d, none_dying, NULL);
	cr_assert_eq(daemon_audit(&d).orphaned, 1);
}

/* ---------------------------------------------------------------- limits */

static void attach_and_wait(void *arg)
{
	struct meeting *meeting = arg;
	struct slabd *mine;

	slabd_detach(slabd);
	CHECK(slabd_attach(&mine, d.socket) == 0);
	baton_pass(meeting->to_parent, 1);
	for (;;)
		pause();
}

static void attach_in_vain(void *arg)
{
	const char *sentence = arg;
	struct slabd *mine;

	slabd_detach(slabd);
	CHECK(slabd_attach(&mine, d.socket) == -ENOSPC);
	CHECK(strcmp(slabd_error(), sentence) == 0);
}

static bool only_we_and_two(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 3 && daemon_logged(daemon, "came back");
}

Test(limits, clients)
{
	struct meeting meeting = meet(0, 0);
	pid_t pids[3];
	char text[160];

	daemon_start(&d, "--set", "max-clients=4", NULL);
	slabd = attach_to(d.socket);
	for (unsigned i = 0; i < 3; i++) {
		pids[i] = child_start(attach_and_wait, &meeting);
		baton_take(meeting.to_parent);
	}
	snprintf(text, sizeof(text),
		 "all 4 client ids are in use, by the living or as owners of orphans; raise "
		 "max-clients");
	cr_assert_eq(child_run(attach_in_vain, text), 0);
	child_kill(pids[0]);
	DAEMON_UNTIL(&d, only_we_and_two, NULL);
	pids[0] = child_start(attach_and_wait, &meeting);
	baton_take(meeting.to_parent);
	for (unsigned i = 0; i < 3; i++)
		child_kill(pids[i]);
	attached_stop();
}

Test(limits, clients_of_a_user)
{
	char text[160];

	daemon_start(&d, "--set", "max-clients-per-user=1", NULL);
	slabd = attach_to(d.socket);
	snprintf(text, sizeof(text),
		 "uid %u: 1 clients are attached, its limit; raise max-clients-per-user",
		 geteuid());
	cr_assert_eq(child_run(attach_in_vain, text), 0);
	slabd_detach(slabd);
	slabd = attach_to(d.socket);
	slabd_detach(slabd);
	daemon_stop(&d);
}
