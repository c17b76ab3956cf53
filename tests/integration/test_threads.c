/* Threads: each has magazines of its own, which go back when it ends, when the cache is closed, and
 * when it says so. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <slabd/slabd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/attached.h"

static struct slabd_cache *cache;

static void set_up(void)
{
	attached_start();
	cache = cache_of(slabd, "thing", 64, 0);
}

TestSuite(threads, .init = set_up, .fini = attached_stop, .timeout = 100);

static pthread_t start(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, body, arg), 0);
	return thread;
}

static void *join(pthread_t thread)
{
	void *ret;

	cr_assert_eq(pthread_join(thread, &ret), 0);
	return ret;
}

/* What the client holds in magazines, as slabd sees it. */
static uint64_t held(void)
{
	struct daemon_client client;

	cr_assert(daemon_client(&d, getpid(), &client));
	return client.in_magazines;
}

/* ---------------------------------------------------------------- the end of a thread */

static void *take_and_free(void *arg)
{
	void *objects[300];

	(void)arg;
	for (unsigned i = 0; i < 300; i++) {
		objects[i] = slabd_alloc(cache, 0);
		if (!objects[i])
			return NULL;
		object_fill(objects[i], 64, i);
	}
	for (unsigned i = 0; i < 300; i++) {
		if (!object_holds(objects[i], 64, i))
			return NULL;
		slabd_free(cache, objects[i]);
	}
	return cache;
}

Test(threads, exit_returns_magazines)
{
	for (unsigned i = 0; i < 200; i++)
		cr_assert_eq(join(start(take_and_free, NULL)), cache, "%s", slabd_error());
	cr_assert_eq(held(), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_lt(daemon_audit(&d).objects, 6000,
		     "200 threads one after the other need no more "
		     "than one");
}

static void *take_and_leave(void *arg)
{
	unsigned n = *(unsigned *)arg;
	void *last = NULL;

	while (n--)
		last = slabd_alloc(cache, 0);
	return last;
}

/* Objects are the process's, not the thread's. */
Test(threads, objects_outlive_their_thread)
{
	unsigned n = 10;
	void *object = join(start(take_and_leave, &n));

	cr_assert(object);
	cr_assert_eq(daemon_audit(&d).live, 10);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	slabd_free(cache, object);
	cr_assert_eq(daemon_audit(&d).live, 9);
}

static pthread_key_t key;

static void free_late(void *object)
{
	slabd_free(cache, object);
	slabd_free(cache, slabd_alloc(cache, 0));
}

static void *leave_to_destructor(void *arg)
{
	(void)arg;
	pthread_setspecific(key, slabd_alloc(cache, 0));
	return NULL;
}

/* A destructor that runs after ours makes the thread's table anew. */
Test(threads, frees_in_other_destructors)
{
	cr_assert_eq(pthread_key_create(&key, free_late), 0);
	for (unsigned i = 0; i < 50; i++)
		join(start(leave_to_destructor, NULL));
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_eq(held(), 0);
}

/* ---------------------------------------------------------------- idle threads */

struct idle {
	pthread_barrier_t holding, end;
};

static void *hold_magazines(void *arg)
{
	struct idle *idle = arg;
	void *ret = take_and_free(NULL);

	pthread_barrier_wait(&idle->holding);
	pthread_barrier_wait(&idle->end);
	return ret;
}

static void start_idle(struct idle *idle, pthread_t *threads, unsigned n)
{
	pthread_barrier_init(&idle->holding, NULL, n + 1);
	pthread_barrier_init(&idle->end, NULL, n + 1);
	for (unsigned i = 0; i < n; i++)
		threads[i] = start(hold_magazines, idle);
	pthread_barrier_wait(&idle->holding);
}

static void end_idle(struct idle *idle, pthread_t *threads, unsigned n)
{
	pthread_barrier_wait(&idle->end);
	for (unsigned i = 0; i < n; i++)
		cr_assert(join(threads[i]));
}

/* The last close takes the magazines of all threads of the process. */
Test(threads, close_takes_from_idle_threads)
{
	struct idle idle;
	pthread_t threads[8];

	start_idle(&idle, threads, 8);
	cr_assert_gt(held(), 0);
	slabd_cache_close(cache);
	cr_assert_eq(held(), 0);
	cr_assert_eq(slabd_cache_open(slabd, "thing", &cache), 0);
	/* the slot may be used again by another cache: the idle threads hold nothing of it */
	cr_assert_eq(join(start(take_and_free, NULL)), cache);
	end_idle(&idle, threads, 8);
	cr_assert_eq(held(), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

static void *reuse(void *arg)
{
	struct idle *idle = arg;
	void *ret = take_and_free(NULL);

	pthread_barrier_wait(&idle->holding);
	pthread_barrier_wait(&idle->end);
	/* of the cache that took the slot */
	return ret ? take_and_free(NULL) : NULL;
}

/* Another cache takes the slot that a closed one had; threads that knew the old one use it. */
Test(threads, slot_of_a_closed_cache)
{
	struct idle idle;
	pthread_t threads[4];

	pthread_barrier_init(&idle.holding, NULL, 5);
	pthread_barrier_init(&idle.end, NULL, 5);
	for (unsigned i = 0; i < 4; i++)
		threads[i] = start(reuse, &idle);
	pthread_barrier_wait(&idle.holding);
	slabd_cache_close(cache);
	cache = cache_of(slabd, "another", 200, SLABD_STRICT);
	pthread_barrier_wait(&idle.end);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(join(threads[i]), cache);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

Test(threads, detach_takes_from_idle_threads)
{
	struct idle idle;
	pthread_t threads[8];

	start_idle(&idle, threads, 8);
	slabd_detach(slabd);
	cr_assert_eq(daemon_stats(&d).clients, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	end_idle(&idle, threads, 8);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
	cr_assert(take_and_free(NULL));
}

/* ---------------------------------------------------------------- flush */

Test(threads, flush)
{
	struct slabd_cache *other = cache_of(slabd, "other", 100, 0);

	cr_assert(take_and_free(NULL));
	slabd_free(other, slabd_alloc(other, 0));
	cr_assert_gt(held(), 0);
	slabd_flush(slabd);
	cr_assert_eq(held(), 0);
	slabd_flush(slabd);
	slabd_flush(NULL);
	cr_assert(take_and_free(NULL), "and it goes on");
	slabd_flush(slabd);
	cr_assert_eq(held(), 0);
}

static void *flush_only(void *arg)
{
	slabd_flush(slabd);
	return arg;
}

Test(threads, flush_is_the_callers_own)
{
	uint64_t before;

	cr_assert(take_and_free(NULL));
	before = held();
	cr_assert_gt(before, 0);
	join(start(flush_only, NULL));
	cr_assert_eq(held(), before);
}

/* With the idle threads flushed, a shrink gives all of it back. */
Test(threads, shrink_after_flush)
{
	static void *objects[50000];

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 50000, objects), 50000);
	slabd_free_bulk(cache, 50000, objects);
	cr_assert_eq(slabd_cache_shrink(cache), 0, "%s", slabd_error());
	cr_assert_eq(daemon_audit(&d).objects, 0);
}

/* ---------------------------------------------------------------- many at once */

#define CROSS_SLOTS 4096
static _Atomic(void *) cross[CROSS_SLOTS];
static _Atomic unsigned failures;

/* Puts objects where others take them out and free them. */
static void *exchange(void *arg)
{
	uint64_t x = (uintptr_t)arg * 2654435761u + 1;

	for (unsigned i = 0; i < 40000; i++) {
		void *object = slabd_alloc(cache, 0), *was;

		if (!object) {
			failures++;
			return NULL;
		}
		object_fill(object, 64, (uintptr_t)object);
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		was = atomic_exchange(&cross[x % CROSS_SLOTS], object);
		if (was && !object_holds(was, 64, (uintptr_t)was))
			failures++;
		slabd_free(cache, was);
	}
	return NULL;
}

Test(threads, exchange_objects)
{
	pthread_t threads[8];

	for (uintptr_t i = 0; i < 8; i++)
		threads[i] = start(exchange, (void *)i); // NOLINT: a number
	for (unsigned i = 0; i < 8; i++)
		join(threads[i]);
	for (unsigned i = 0; i < CROSS_SLOTS; i++)
		slabd_free(cache, cross[i]);
	cr_assert_eq(failures, 0);
	cr_assert_eq(reports, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

static void *come_and_go(void *arg)
{
	for (unsigned i = 0; i < 50; i++) {
		char name[16];
		struct slabd_cache *mine;
		void *object;

		snprintf(name, sizeof(name), "c%u", (i + (unsigned)(uintptr_t)arg) % 5);
		mine = cache_of(slabd, name, 80, 0);
		object = slabd_alloc(mine, 0);
		if (!object)
			failures++;
		slabd_free(mine, object);
		slabd_flush(slabd);
		slabd_cache_close(mine);
	}
	return NULL;
}

/* Opens and closes by many threads at once: the last close is somebody's, and never too early. */
Test(threads, open_and_close)
{
	pthread_t threads[6];
	struct daemon_cache seen;

	for (uintptr_t i = 0; i < 6; i++)
		threads[i] = start(come_and_go, (void *)i); // NOLINT: a number
	for (unsigned i = 0; i < 6; i++)
		join(threads[i]);
	cr_assert_eq(failures, 0);
	cr_assert_eq(reports, 0);
	cr_assert(daemon_cache(&d, "c0", &seen));
	cr_assert_eq(seen.clients, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}
