/* fork, clone, exec and daemons: a child is a client of its own, without a word of code. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/support/attached.h"
#include "tests/support/clock.h"

static struct slabd_cache *cache;

static void set_up(void)
{
	attached_start();
	cache = cache_of(slabd, "thing", 64, 0);
}

TestSuite(fork, .init = set_up, .fini = attached_stop, .timeout = 100);

/* The parent holds magazines and objects when it forks. */
static void *objects[1000];

static void hold_some(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		objects[i] = slabd_alloc(cache, 0);
		cr_assert(objects[i]);
		object_fill(objects[i], 64, i);
	}
	slabd_free(cache, slabd_alloc(cache, 0));
}

static void let_go(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		cr_assert(object_holds(objects[i], 64, i), "%u", i);
		slabd_free(cache, objects[i]);
	}
	cr_assert_eq(reports, 0);
}

static bool nothing_lives(const struct daemon_fixture *daemon, const void *arg)
{
	struct daemon_audit audit = daemon_audit(daemon);

	(void)arg;
	return audit.live + audit.orphaned + audit.freeing == 0;
}

static bool one_client(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 1;
}

/* ---------------------------------------------------------------- the child's own */

static void work(void *arg)
{
	void *own[500];

	(void)arg;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 500; i++) {
			own[i] = slabd_alloc(cache, 0);
			CHECK(own[i]);
			object_fill(own[i], 64, i + 5000);
		}
		for (unsigned i = 0; i < 1000; i++)
			CHECK(!objects[i] || object_holds(objects[i], 64, i));
		for (unsigned i = 0; i < 500; i++) {
			CHECK(object_holds(own[i], 64, i + 5000));
			slabd_free(cache, own[i]);
		}
	}
	CHECK(reports == 0);
}

Test(fork, child_works_on_its_own)
{
	hold_some();
	cr_assert_eq(child_run(work, NULL), 0);
	cr_assert_eq(daemon_audit(&d).live, 1000);
	let_go();
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* The first call may be a free: of its parent's object. */
static void free_the_parents(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 1000; i++) {
		CHECK(object_holds(objects[i], 64, i));
		slabd_free(cache, objects[i]);
	}
	/* on a busy machine the first may wait for the child to be attached, which this ensures */
	slabd_free(cache, slabd_alloc(cache, 0));
	CHECK(reports == 0);
}

Test(fork, child_frees_its_parents)
{
	hold_some();
	cr_assert_eq(child_run(free_the_parents, NULL), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	slabd_set_error_handler(NULL, NULL);
	hold_some();
	let_go();
}

static void adopt_the_parents(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 1000; i++)
		CHECK(slabd_adopt(cache, slabd_handle_of(cache, objects[i])) == objects[i]);
}

/* Adopted, they are orphans when the child ends. */
Test(fork, child_adopts_its_parents)
{
	hold_some();
	cr_assert_eq(child_run(adopt_the_parents, NULL), 0);
	DAEMON_UNTIL(&d, one_client, NULL);
	cr_assert_eq(daemon_audit(&d).orphaned, 1000);
	let_go();
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
}

static void never_touch(void *arg)
{
	(void)arg;
	CHECK(slabd_cache_size(cache) == 64);
}

/* One that does not call slabd is no client, and its end ends nothing of ours. */
Test(fork, child_that_does_nothing)
{
	hold_some();
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(child_run(never_touch, NULL), 0);
	cr_assert_eq(daemon_stats(&d).clients, 1);
	let_go();
}

/* It waits for the identity, but not long: on a busy machine it may be too short. */
static void nowait_first(void *arg)
{
	(void)arg;
	if (!slabd_alloc(cache, SLABD_NOWAIT)) {
		CHECK(errno == ETIMEDOUT);
		_exit(2);
	}
}

Test(fork, first_call_is_nowait)
{
	int code = 2;

	hold_some();
	for (unsigned i = 0; i < 50 && code == 2; i++)
		code = child_run(nowait_first, NULL);
	cr_assert_eq(code, 0);
	let_go();
}

static void detach_and_attach(void *arg)
{
	(void)arg;
	slabd_detach(slabd);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
	memset(objects, 0, sizeof(objects));
	work(NULL);
	slabd_detach(slabd);
}

Test(fork, child_detaches)
{
	hold_some();
	cr_assert_eq(child_run(detach_and_attach, NULL), 0);
	cr_assert_eq(daemon_stats(&d).clients, 1);
	let_go();
}

static void use_caches(void *arg)
{
	struct slabd_cache *own = cache_of(slabd, "childs", 300, SLABD_RECLAIM), *again;
	void *object = slabd_alloc(own, 0);

	(void)arg;
	CHECK(object);
	CHECK(slabd_cache_open(slabd, "thing", &again) == 0 && again == cache);
	slabd_free(own, object);
	CHECK(slabd_cache_shrink(cache) == 0);
	CHECK(slabd_cache_destroy(own) == 0);
	CHECK(slabd_root(cache) == 0);
}

Test(fork, first_call_is_a_create)
{
	hold_some();
	cr_assert_eq(child_run(use_caches, NULL), 0);
	let_go();
}

/* A cache that is destroyed while the child has not opened it under its own name yet. */
static void use_destroyed(void *arg)
{
	struct baton *go = arg;

	baton_take(*go);
	errno = 0;
	CHECK(!slabd_alloc(cache, 0));
	CHECK(errno == ESTALE);
	CHECK(strstr(slabd_error(), "destroyed; create it or open it anew"));
	CHECK(slabd_cache_open(slabd, "thing", &cache) == -ENOENT);
}

Test(fork, cache_destroyed_before_the_first_call)
{
	struct baton go = baton_make();
	pid_t pid = child_start(use_destroyed, &go);

	cr_assert_eq(slabd_cache_destroy(cache), 0);
	baton_pass(go, 1);
	cr_assert_eq(child_join(pid), 0);
}

/* ---------------------------------------------------------------- ways to make a child */

static pid_t raw_clone(void)
{
	fflush(NULL);
	return (pid_t)syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, 0L);
}

/* No handler of pthread_atfork sees this. */
Test(fork, raw_clone)
{
	pid_t pid;

	hold_some();
	pid = raw_clone();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		work(NULL);
		free_the_parents(NULL);
		_exit(0);
	}
	cr_assert_eq(child_join(pid), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

static void have_a_child(void *arg)
{
	bool *touched = arg;

	if (*touched)
		work(NULL);
	CHECK(child_run(work, NULL) == 0);
	CHECK(child_run(free_the_parents, NULL) == 0);
	memset(objects, 0, sizeof(objects));
	work(NULL);
}

Test(fork, child_of_a_child)
{
	for (int i = 0; i < 2; i++) {
		bool touched = i;

		hold_some();
		cr_assert_eq(child_run(have_a_child, &touched), 0);
		cr_assert_eq(daemon_audit(&d).live, 0);
	}
}

struct family {
	struct baton grandchild, done;
};

static void outlive(void *arg)
{
	struct family *family = arg;

	prctl(PR_SET_PDEATHSIG, 0);
	work(NULL);
	baton_pass(family->grandchild, (uint64_t)getpid());
	baton_take(family->done);
	/* its parent's objects are orphans now; it goes on, and frees them too */
	work(NULL);
	free_the_parents(NULL);
	baton_pass(family->grandchild, 1);
}

static void die_early(void *arg)
{
	for (unsigned i = 0; i < 1000; i++) {
		objects[i] = slabd_alloc(cache, 0);
		CHECK(objects[i]);
		object_fill(objects[i], 64, i);
	}
	slabd_free(cache, slabd_alloc(cache, 0));
	prctl(PR_SET_PDEATHSIG, 0);
	child_start(outlive, arg);
	for (;;)
		pause();
}

static bool thousand_orphans(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_audit(daemon).orphaned == 1000;
}

Test(fork, parent_that_dies)
{
	struct family family = {baton_make(), baton_make()};
	pid_t parent, grandchild;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	parent = child_start(die_early, &family);
	grandchild = (pid_t)baton_take(family.grandchild);
	child_kill(parent);
	DAEMON_UNTIL(&d, thousand_orphans, NULL);
	baton_pass(family.done, 1);
	cr_assert_eq(baton_take(family.grandchild), 1);
	cr_assert_eq(child_join(grandchild), 0);
	DAEMON_UNTIL(&d, nothing_lives, NULL);
}

/* ---------------------------------------------------------------- no daemon at hand */

static void freeze(bool frozen)
{
	static pid_t worker;

	if (frozen)
		worker = daemon_worker(&d);
	cr_assert_eq(kill(worker, frozen ? SIGSTOP : SIGCONT), 0);
}

static void park_and_complete(void *arg)
{
	struct family *family = arg;
	uint64_t start = now_ms();
	slabd_handle handle = slabd_handle_of(cache, objects[0]);
	void *object;

	slabd_free(cache, objects[0]);
	CHECK(now_ms() - start < 5000);
	CHECK(slabd_handle_of(cache, objects[0]) == handle); /* not touched */
	CHECK(reports == 0);
	errno = 0;
	start = now_ms();
	CHECK(!slabd_alloc(cache, SLABD_NOWAIT) && errno == ETIMEDOUT);
	CHECK(now_ms() - start < 5000);
	baton_pass(family->grandchild, 1);
	baton_take(family->done);
	object = slabd_alloc(cache, 0); /* slabd is there again */
	CHECK(object);
	CHECK(!slabd_get(cache, handle) && errno == ESTALE);
	slabd_free(cache, object);
	CHECK(reports == 0);
}

static void check_parked(bool owner_frees_it)
{
	struct family family = {baton_make(), baton_make()};
	pid_t pid;

	hold_some();
	freeze(true);
	pid = child_start(park_and_complete, &family);
	baton_take(family.grandchild);
	if (owner_frees_it)
		slabd_free(cache, objects[0]);
	freeze(false);
	cr_assert_eq(daemon_audit(&d).live, owner_frees_it ? 999 : 1000);
	baton_pass(family.done, 1);
	cr_assert_eq(child_join(pid), 0);
	cr_assert_eq(daemon_audit(&d).live, 999);
	objects[0] = slabd_alloc(cache, 0);
	object_fill(objects[0], 64, 0);
	let_go();
}

Test(fork, free_parks_without_slabd)
{
	check_parked(false);
}

static void park_and_end(void *arg)
{
	(void)arg;
	slabd_free(cache, objects[0]);
	CHECK(reports == 0);
}

/* Parked and never completed: the object is still its owner's. */
Test(fork, parked_and_ended)
{
	hold_some();
	freeze(true);
	cr_assert_eq(child_run(park_and_end, NULL), 0);
	freeze(false);
	cr_assert_eq(daemon_audit(&d).live, 1000);
	let_go();
}

/* While the free waits, the owner frees the object himself: it is freed once. */
Test(fork, parked_and_freed_by_its_owner)
{
	check_parked(true);
}

static void alloc_without(void *arg)
{
	(void)arg;
	setenv("SLABD_TIMEOUT_MS", "300", 1);
	errno = 0;
	CHECK(!slabd_alloc(cache, 0) && errno == ETIMEDOUT);
	slabd_free(cache, objects[0]);
	CHECK(slabd_get(cache, slabd_handle_of(cache, objects[1])) == objects[1]);
	CHECK(reports == 0);
}

/* slabd is gone for good: no memory, and no crash. */
Test(fork, daemon_gone)
{
	hold_some();
	daemon_kill(&d);
	cr_assert_eq(child_run(alloc_without, NULL), 0);
	for (unsigned i = 0; i < 1000; i++) {
		cr_assert(object_holds(objects[i], 64, i));
		slabd_free(cache, objects[i]);
	}
	cr_assert_eq(reports, 0);
	setenv("SLABD_TIMEOUT_MS", "300", 1);
	slabd_detach(slabd);
	setenv("SLABD_TIMEOUT_MS", "10000", 1);
	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
}

/* ---------------------------------------------------------------- as servers do */

struct prefork {
	struct baton request, answer;
	struct slabd_cache *sessions;
};

static void serve(void *arg)
{
	struct prefork *prefork = arg;
	uint64_t word;

	while ((word = baton_take(prefork->request)) != UINT64_MAX) {
		slabd_handle handle = word;
		void *object;

		if (handle == 0) { /* make one */
			object = slabd_alloc(prefork->sessions, SLABD_ZERO);
			CHECK(object);
			handle = slabd_handle_of(prefork->sessions, object);
			object_fill(object, 200, handle);
		} else { /* find it and end it */
			object = slabd_get(prefork->sessions, handle);
			CHECK(object && object_holds(object, 200, handle));
			slabd_free(prefork->sessions, object);
		}
		baton_pass(prefork->answer, handle);
	}
	CHECK(reports == 0);
}

/* A master attaches and makes the caches, its workers share them. */
Test(fork, prefork_server)
{
	struct prefork prefork = {baton_make(), baton_make(), cache_of(slabd, "session", 200, 0)};
	pid_t workers[4];

	for (unsigned i = 0; i < 4; i++)
		workers[i] = child_start(serve, &prefork);
	for (unsigned round = 0; round < 20; round++) {
		static uint64_t made[100];

		for (unsigned i = 0; i < 100; i++)
			baton_pass(prefork.request, 0);
		for (unsigned i = 0; i < 100; i++)
			made[i] = baton_take(prefork.answer);
		for (unsigned i = 0; i < 100; i++)
			baton_pass(prefork.request, made[i]);
		for (unsigned i = 0; i < 100; i++)
			baton_take(prefork.answer);
	}
	for (unsigned i = 0; i < 4; i++)
		baton_pass(prefork.request, UINT64_MAX);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(child_join(workers[i]), 0);
	DAEMON_UNTIL(&d, one_client, NULL);
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
}

/* Closes all, as daemons do, and lets the numbers be used again. */
static void close_all(int *files, unsigned n)
{
	int saved = dup2(2, 250);

	close_range(3, 249, 0);
	CHECK(dup2(saved, 2) == 2);
	for (unsigned i = 0; i < n; i++) {
		files[i] = open(d.directory, O_TMPFILE | O_RDWR, 0600);
		CHECK(files[i] >= 0);
	}
}

static void check_files(const int *files, unsigned n)
{
	struct stat st;

	for (unsigned i = 0; i < n; i++)
		CHECK(fstat(files[i], &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0);
}

static void daemonize(void *arg)
{
	bool *before = arg;
	int files[20];

	if (*before)
		work(NULL);
	setsid();
	close_all(files, 20);
	work(NULL);
	CHECK(slabd_cache_shrink(cache) == 0); /* which asks slabd */
	work(NULL);
	check_files(files, 20);
	free_the_parents(NULL);
	slabd_detach(slabd);
	check_files(files, 20);
}

/* A child that closes all descriptors: its own socket's number is another file's now, which is neither
 * written nor closed. */
Test(fork, daemonized_child)
{
	for (int i = 0; i < 2; i++) {
		bool before = i;

		hold_some();
		cr_assert_eq(child_run(daemonize, &before), 0);
		cr_assert_eq(daemon_audit(&d).live, 0);
		DAEMON_UNTIL(&d, one_client, NULL);
	}
}

/* ---------------------------------------------------------------- two attachments */

static struct slabd_cache *second_cache;

static void use_both(void *arg)
{
	void *a, *b;

	(void)arg;
	for (unsigned i = 0; i < 300; i++) {
		a = slabd_alloc(cache, 0);
		b = slabd_alloc(second_cache, 0);
		CHECK(a && b && a != b);
		object_fill(a, 64, i);
		object_fill(b, 64, i + 1);
		CHECK(object_holds(a, 64, i) && object_holds(b, 64, i + 1));
		slabd_free(second_cache, b);
		slabd_free(cache, a);
	}
	slabd_free(cache, slabd_alloc(cache, 0));
	CHECK(reports == 0);
}

Test(fork, two_attachments)
{
	static struct daemon_fixture second;
	struct slabd *other;
	void *object;

	daemon_start(&second, NULL);
	other = attach_to(second.socket);
	second_cache = cache_of(other, "thing", 64, 0);
	hold_some();
	object = slabd_alloc(second_cache, 0);
	cr_assert_eq(child_run(use_both, NULL), 0);
	cr_assert_eq(daemon_audit(&d).live, 1000);
	cr_assert_eq(daemon_audit(&second).live, 1);
	slabd_free(second_cache, object);
	let_go();
	slabd_detach(other);
	daemon_audit(&second);
	daemon_stop(&second);
}

/* ---------------------------------------------------------------- exec */

/* What this program is when it is run with SECOND_IMAGE. */
static int second_image(void)
{
	struct slabd *mine = attach_to(getenv("SECOND_IMAGE"));
	struct slabd_cache *own = cache_of(mine, "reclaim", 64, SLABD_RECLAIM);
	void *object = slabd_alloc(own, 0);
	uint64_t word = 0;

	CHECK(object);
	CHECK(write(1, &word, sizeof(word)) == sizeof(word));
	CHECK(read(0, &word, sizeof(word)) == sizeof(word));
	slabd_free(own, object);
	slabd_detach(mine);
	return 0;
}

int main(int argc, char **argv)
{
	struct criterion_test_set *tests;
	int failed = 0;

	if (getenv("SECOND_IMAGE"))
		return second_image();
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true))
		failed = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return failed;
}

static void exec_another(void *arg)
{
	struct family *family = arg;
	struct slabd_cache *own = cache_of(slabd, "reclaim", 64, SLABD_RECLAIM);
	char variable[160];
	char *argv[] = {(char *)(uintptr_t) "second", NULL}, *envp[4] = {variable};
	unsigned n = 1;

	for (unsigned i = 0; i < 100; i++)
		CHECK(slabd_alloc(own, 0) && slabd_alloc(cache, 0));
	snprintf(variable, sizeof(variable), "SECOND_IMAGE=%s", d.socket);
	for (char **e = environ; *e; e++)
		if (n < 3 && (strncmp(*e, "SLABD_TEST_DIR=", 15) == 0 ||
			      strncmp(*e, "SLABD_BASE=", 11) == 0))
			envp[n++] = *e;
	baton_pass(family->grandchild, 1);
	baton_take(family->done);
	dup2(family->done.out, 0);
	dup2(family->grandchild.in, 1);
	execve("/proc/self/exe", argv, envp);
	CHECK(false);
}

/* The old image is gone once the new one says hello: what it held is reclaimed, while the process
 * lives on. */
Test(fork, exec_of_another_image)
{
	struct family family = {baton_make(), baton_make()};
	pid_t pid = child_start(exec_another, &family);
	struct daemon_cache seen;
	char text[96];

	baton_take(family.grandchild);
	cr_assert(daemon_cache(&d, "reclaim", &seen));
	cr_assert_eq(seen.live, 100);
	baton_pass(family.done, 1);
	baton_take(family.grandchild); /* the second image is attached */
	snprintf(text, sizeof(text), "pid %d runs another program now", (int)pid);
	daemon_expect_log(&d, text);
	do
		cr_assert(daemon_cache(&d, "reclaim", &seen));
	while (seen.live != 1);
	do
		cr_assert(daemon_cache(&d, "thing", &seen));
	while (seen.orphaned != 100);
	cr_assert_eq(daemon_stats(&d).clients, 2);
	baton_pass(family.done, 1);
	cr_assert_eq(child_join(pid), 0);
}
