/* One object from each tier, as victims. */
#include "tests/crash/client_shapes.h"

#include <pthread.h>
#include <sched.h>

/* ---------------------------------------------------------------- shapes */

/* Everything that can be had; with flags 0 until the heap is full. */
static void take_all(unsigned flags)
{
	while ((objects[objects_n] = slabd_alloc(my_cache, flags)))
		objects_n++;
}

static void plain_thread_without_memory(void)
{
	plain_thread();
	lies.mmap = 1;
}

static void plain_thread_without_wiping(void)
{
	plain_thread();
	lies.madvise = 1;
}

static void plain_thread_without_key(void)
{
	plain_thread();
	lies.setspecific = 1;
}

static void plain_6(void)
{
	plain();
	take(2 * ROUNDS);
}

/* loaded is empty, previous has rounds */
static void plain_swap(void)
{
	plain();
	take(ROUNDS + 1);
	give(2);
	take(1);
}

static void plain_dry(void)
{
	plain();
	take_all(SLABD_NOWAIT);
}

static void plain_heap_full(void)
{
	plain();
	take_all(0);
}

static void plain_dry_and_deaf(void)
{
	plain_dry();
	be_impatient();
	lies.deaf = true;
}

static void plain_dry_and_locked(void)
{
	plain_dry();
	be_impatient();
	pthread_mutex_lock(&me->identity->lock);
}

/* The attachment's lock is with another thread, whose refill is answered while we wait for it. */
static void *other_thread(void *arg)
{
	pthread_mutex_t *lock = &me->identity->lock;

	pthread_mutex_lock(lock);
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&lock->__data.__lock, __ATOMIC_ACQUIRE) != 2) /* somebody waits */
		sched_yield();
	store_relaxed(&my_cache->refilled, load_relaxed(&my_cache->refilled) + 1);
	pthread_mutex_unlock(lock);
	return NULL;
}

static void plain_dry_and_refilled(void)
{
	static int locked;
	pthread_t thread;

	plain_dry();
	if (pthread_create(&thread, NULL, other_thread, &locked))
		die("victim: no thread");
	while (!__atomic_load_n(&locked, __ATOMIC_ACQUIRE))
		sched_yield();
}

/* So many threads that the cache is spread over many racks. */
static void plain_racks(void)
{
	plain();
	take(ROUNDS);
	store_relaxed(&process->threads, 4 * RACK_MAGAZINES);
	if (refill_wait(my_cache, 1, clock_deadline()) < 0)
		die("victim: %s", slabd_error());
	thread_slot(my_cache)->full_cursor =
		(load_relaxed(&my_cache->view.desc->racks) - 1) * RACK_MAGAZINES;
}

/* Its cursor leads past the end: the racks are fewer than they were. */
static void plain_lost_cursor(void)
{
	plain_3();
	thread_slot(my_cache)->full_cursor = 1000 * RACK_MAGAZINES;
}

/* The fast path stops at a mark, where rounds are to be fetched. */
static void plain_paused(void)
{
	plain_1();
	thread_slot(my_cache)->pause = 100;
}

/* The thread has put what it claims, long ago. */
static void plain_cold(void)
{
	plain_3();
	thread_slot(my_cache)->put = 1;
	thread_slot(my_cache)->warm = 0;
}

/* Another one has claimed what a hint promises: here the hint is stale. */
static void plain_stale_hint(void)
{
	plain_3();
	hog(MAGAZINE_FULL, UINT32_MAX);
	for (uint32_t i = 0; i < hogged_n; i++)
		or_relaxed(&my_cache->view.hints[MAGAZINE_FULL][0],
			   UINT64_C(1) << hogged[i].index % RACK_MAGAZINES);
}

static void plain_hostile_count(void)
{
	plain_3();
	hog(MAGAZINE_FULL, UINT32_MAX);
	store_relaxed(&hogged[hogged_n - 1].magazine->count, 1000);
	unhog();
}

/* Both magazines are empty: the next alloc looks at what is parked. */
static void plain_parked_and_empty(void)
{
	plain_parked();
	thread_put_back(my_cache, thread_slot(my_cache));
}

/* And then it can. */
static void plain_not_alone_any_more(void)
{
	uint32_t was;

	plain_2();
	was = thread_slot(my_cache)->me;
	alone();
	slabd_free(my_cache, theirs(0));
	slabd_free(my_cache, theirs(1));
	slabd_free(my_cache, objects[0]);
	store_relaxed(&me->identity->client, was);
	lies.refuse = false;
	front(objects[1]);
}

/* ---------------------------------------------------------------- alloc */

static void do_alloc(void)
{
	slabd_alloc(my_cache, 0);
}

static void do_alloc_nowait(void)
{
	slabd_alloc(my_cache, SLABD_NOWAIT);
}

static void do_alloc_zero(void)
{
	slabd_alloc(my_cache, SLABD_ZERO);
}

static void do_alloc_badly(void)
{
	slabd_alloc(my_cache, 0x80);
}

const struct crash_case alloc_cases[] = {
	CASE("alloc, first", PLAIN, plain, do_alloc),
	CASE("alloc, first of a thread", PLAIN, plain_thread, do_alloc),
	CASE("alloc, no memory for a table", PLAIN, plain_thread_without_memory, do_alloc),
	CASE("alloc, no memory that is wiped", PLAIN, plain_thread_without_wiping, do_alloc),
	CASE("alloc, no key", PLAIN, plain_thread_without_key, do_alloc),
	CASE("alloc, second thread", PLAIN, plain_second_thread, do_alloc),
	CASE("alloc, first, NOWAIT", PLAIN, plain, do_alloc_nowait),
	CASE("alloc, magazine", PLAIN, plain_1, do_alloc, .core = true),
	CASE("alloc, magazine, ZERO", PLAIN, plain_1, do_alloc_zero),
	CASE("alloc, unknown flag", PLAIN, plain_1, do_alloc_badly),
	CASE("alloc, last round", PLAIN, plain_2, do_alloc),
	CASE("alloc, swap", PLAIN, plain_swap, do_alloc),
	CASE("alloc, claim", PLAIN, plain_3, do_alloc),
	CASE("alloc, claim, ZERO", PLAIN, plain_3, do_alloc_zero),
	CASE("alloc, claim and put", PLAIN, plain_6, do_alloc, .core = true),
	CASE("alloc, claim, many racks", PLAIN, plain_racks, do_alloc),
	CASE("alloc, claim, lost cursor", PLAIN, plain_lost_cursor, do_alloc),
	CASE("alloc, paused", PLAIN, plain_paused, do_alloc),
	CASE("alloc, claim, cold", PLAIN, plain_cold, do_alloc),
	CASE("alloc, claim, stale hint", PLAIN, plain_stale_hint, do_alloc),
	CASE("alloc, refill", PLAIN, plain_dry, do_alloc),
	CASE("alloc, refill by another thread", PLAIN, plain_dry_and_refilled, do_alloc),
	CASE("alloc, refill, nothing comes", PLAIN, plain_dry_and_deaf, do_alloc),
	CASE("alloc, refill, no lock", PLAIN, plain_dry_and_locked, do_alloc),
	CASE("alloc, heap full", PLAIN, plain_heap_full, do_alloc),
	CASE("alloc, dry, NOWAIT", PLAIN, plain_dry, do_alloc_nowait),
	CASE("alloc, dry, NOWAIT, no lock", PLAIN, plain_dry_and_locked, do_alloc_nowait),
	CASE("alloc, strict", STRICT, strict_2, do_alloc),
	CASE("alloc, reclaim", RECLAIM, reclaim_2, do_alloc),
	CASE("alloc, resumes what is parked", PLAIN, plain_parked_and_empty, do_alloc),
	CASE("alloc, resumes what waited", PLAIN, plain_not_alone_any_more, do_alloc),
	CASE("alloc, hostile count", PLAIN, plain_hostile_count, do_alloc, .hostile = true),
};

const unsigned alloc_cases_n = sizeof(alloc_cases) / sizeof(*alloc_cases);
