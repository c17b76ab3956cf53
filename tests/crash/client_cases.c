/* The client's operations, each on each tier.  prepare attaches a client of its own and brings its
 * magazines into the shape that leads the operation down the path that the case is named after. */
#include "tests/crash/crash.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"

#define MOST 64u

/* Of the victim. */
static void *objects[MOST];
static unsigned objects_n;
static struct claim hogged[2 * RACK_MAGAZINES];
static unsigned hogged_n;

/* ---------------------------------------------------------------- shapes */

static void attach_to(int which)
{
	if (slabd_attach(&me, "crash") < 0 ||
	    slabd_cache_open(me, cache_names[which], &my_cache) < 0)
		die("victim: %s", slabd_error());
}

static void take(unsigned wanted)
{
	for (; wanted; wanted--) {
		objects[objects_n] = slabd_alloc(my_cache, 0);
		if (!objects[objects_n++])
			die("victim: %s", slabd_error());
	}
}

static void give(unsigned wanted)
{
	for (; wanted; wanted--)
		slabd_free(my_cache, objects[--objects_n]);
}

/* Everything that can be had; with flags 0 until the heap is full. */
static void take_all(unsigned flags)
{
	while ((objects[objects_n] = slabd_alloc(my_cache, flags)))
		objects_n++;
}

static void *object_by(uint32_t owner, unsigned nth)
{
	slab_ref ref = object_of(&world.live, (int)my_cache->view.id - 1, owner, nth);

	if (ref == REF_NONE)
		die("victim: client %u has not so many objects", owner);
	return ref_address(my_cache->view.heap, ref);
}

static void *theirs(unsigned nth)
{
	return object_by(world.survivor_id, nth);
}

/* Holds every magazine of the depot that is in this state and has at most so many rounds. */
static void hog(uint32_t state, uint32_t count_max)
{
	uint32_t cursor = 0;

	while (hogged_n < sizeof(hogged) / sizeof(*hogged)) {
		struct claim claim = depot_claim(&my_cache->view, state, thread_slot(my_cache)->me,
						 count_max, &cursor);

		if (!claim.magazine)
			break;
		hogged[hogged_n++] = claim;
	}
}

static void unhog(void)
{
	hogged_n--;
	depot_put(&my_cache->view, hogged[hogged_n].index, hogged[hogged_n].magazine);
}

static void be_impatient(void)
{
	setenv("SLABD_TIMEOUT_MS", "20", 1);
}

/* What the case is about is in objects[0] then. */
static void front(void *object)
{
	objects[0] = object;
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

static void plain(void)
{
	attach_to(PLAIN);
}

static void strict(void)
{
	attach_to(STRICT);
}

static void reclaim(void)
{
	attach_to(RECLAIM);
}

/* A thread that has no table yet. */
static void plain_thread(void)
{
	plain();
	slabd_fast_slots = world.no_slots;
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

static void plain_1(void)
{
	plain();
	take(1);
}

static void plain_2(void)
{
	plain();
	take(2);
}

static void plain_3(void)
{
	plain();
	take(ROUNDS);
}

static void plain_6(void)
{
	plain();
	take(2 * ROUNDS);
}

static void strict_2(void)
{
	strict();
	take(2);
}

static void reclaim_2(void)
{
	reclaim();
	take(2);
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

/* ---------------------------------------------------------------- free */

static void do_free(void)
{
	slabd_free(my_cache, objects[0]);
}

static void do_free_null(void)
{
	slabd_free(my_cache, NULL);
}

/* loaded is full, previous has room */
static void plain_free_swap(void)
{
	plain();
	take(ROUNDS + 1);
	give(1);
}

/* Both are full. */
static void plain_both_full(void)
{
	plain();
	take(3 * ROUNDS);
	give(2 * ROUNDS);
}

/* The depot has no empty magazine, but one with room. */
static void plain_no_empty(void)
{
	struct slabd_fast_slot *slot;
	struct claim claim;
	uint32_t cursor = 0;
	void *loaded;

	plain_both_full();
	slot = thread_slot(my_cache);
	loaded = slot->loaded;
	hog(MAGAZINE_EMPTY, UINT32_MAX);
	claim = depot_claim(&my_cache->view, MAGAZINE_FULL, slot->me, UINT32_MAX, &cursor);
	if (!claim.magazine)
		die("victim: no magazine with rounds");
	slot->loaded = claim.magazine;
	take(1);
	slot->loaded = loaded;
	depot_put(&my_cache->view, claim.index, claim.magazine);
}

/* It has none with room at all. */
static void hog_all(void)
{
	hog(MAGAZINE_EMPTY, UINT32_MAX);
	hog(MAGAZINE_FULL, ROUNDS - 1);
}

static void plain_no_room(void)
{
	plain_both_full();
	hog_all();
}

static void plain_no_room_theirs(void)
{
	plain_no_room();
	front(theirs(0));
}

static void strict_no_room(void)
{
	strict();
	take(3 * ROUNDS);
	give(2 * ROUNDS);
	hog_all();
}

static void plain_parked(void)
{
	plain_no_room();
	slabd_free(my_cache, objects[0]);
	slabd_free(my_cache, theirs(0));
	if (load_relaxed(&process->parked_count) != 2)
		die("victim: nothing is parked");
	unhog();
	front(objects[1]);
}

/* Both magazines are empty: the next alloc looks at what is parked. */
static void plain_parked_and_empty(void)
{
	plain_parked();
	thread_put_back(my_cache, thread_slot(my_cache));
}

static void plain_parked_twice(void)
{
	plain_parked();
	hogged_n++; /* no, that magazine is not there after all */
	hog_all();
}

static void plain_theirs(void)
{
	plain_1();
	front(theirs(0));
}

static void plain_orphan(void)
{
	plain_1();
	front(object_by(world.tomb_id, 0));
}

static void plain_first_and_locked(void)
{
	plain();
	be_impatient();
	pthread_mutex_lock(&me->identity->lock);
	front(theirs(0));
}

static void plain_theirs_at_first(void)
{
	plain();
	front(theirs(0));
}

static void strict_theirs(void)
{
	strict_2();
	front(theirs(0));
}

static void reclaim_theirs(void)
{
	reclaim_2();
	front(theirs(0));
}

static void plain_twice(void)
{
	plain_2();
	slabd_free(my_cache, objects[0]);
}

static void plain_foreign(void)
{
	plain_2();
	front(&objects_n);
}

static void plain_inner(void)
{
	plain_2();
	front((char *)objects[0] + 16);
}

/* A fork child that can't reach slabd: it has no identity, and its frees have to wait for one. */
static void alone(void)
{
	thread_put_back(my_cache, thread_slot(my_cache));
	memset(thread_slot(my_cache), 0, sizeof(*thread_slot(my_cache)));
	store_relaxed(&me->identity->client, 0);
	lies.refuse = true;
}

static void plain_alone(void)
{
	plain_2();
	alone();
}

static void plain_alone_twice(void)
{
	plain_2();
	slabd_free(my_cache, objects[0]);
	alone();
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

/* ---------------------------------------------------------------- by handle */

static slabd_handle handle;

static void do_free_handle(void)
{
	slabd_free_handle(my_cache, handle);
}

static void do_adopt(void)
{
	slabd_adopt(my_cache, handle);
}

static void by_handle(void *object)
{
	handle = slabd_handle_of(my_cache, object);
	if (!handle)
		die("victim: %s", slabd_error());
}

static void plain_own_handle(void)
{
	plain_2();
	by_handle(objects[0]);
}

static void plain_their_handle(void)
{
	plain_2();
	by_handle(theirs(0));
}

/* Of the life before this one. */
static void plain_stale_handle_alive(void)
{
	plain_their_handle();
	handle = handle_make(handle_cache(handle), handle_generation(handle) - 1,
			     handle_ref(handle));
}

static void plain_their_handle_at_first(void)
{
	plain();
	by_handle(theirs(0));
}

static void plain_orphan_handle(void)
{
	plain_2();
	by_handle(object_by(world.tomb_id, 0));
}

static void strict_their_handle(void)
{
	strict_2();
	by_handle(theirs(0));
}

static void reclaim_their_handle(void)
{
	reclaim_2();
	by_handle(theirs(0));
}

static void plain_stale_handle(void)
{
	plain_own_handle();
	slabd_free(my_cache, objects[0]);
}

/* It gets stale between the look and the claim. */
static void do_free_generation(void)
{
	free_generation(my_cache, handle_ref(handle), handle_generation(handle) + 1,
			clock_deadline_short());
}

static void plain_handle_no_room(void)
{
	plain_no_room();
	by_handle(objects[0]);
}

static void plain_handle_alone(void)
{
	plain_own_handle();
	alone();
}

/* ---------------------------------------------------------------- bulk */

static size_t bulk;
static unsigned bulk_flags;

static void do_alloc_bulk(void)
{
	slabd_alloc_bulk(my_cache, bulk_flags, bulk, objects);
}

static void do_free_bulk(void)
{
	slabd_free_bulk(my_cache, bulk, objects);
}

static void plain_bulk_2(void)
{
	plain_1();
	bulk = 2;
}

static void plain_bulk_3(void)
{
	plain_3();
	give(3);
	bulk = 3;
}

static void plain_bulk_7(void)
{
	plain_1();
	bulk = 7;
}

static void plain_bulk_zero(void)
{
	plain_1();
	bulk = 2;
	bulk_flags = SLABD_ZERO;
}

static void plain_bulk_none(void)
{
	plain_1();
	bulk_flags = SLABD_ZERO;
}

static void plain_bulk_dry(void)
{
	plain_1();
	bulk = MOST;
	bulk_flags = SLABD_NOWAIT;
}

static void plain_bulk_full(void)
{
	plain_1();
	bulk = MOST;
}

static void plain_bulk_huge(void)
{
	plain_1();
	bulk = SIZE_MAX;
}

static void plain_bulk_badly(void)
{
	plain_1();
	bulk = 2;
	bulk_flags = 0x80;
}

static void plain_free_3(void)
{
	plain_3();
	bulk = 3;
}

static void plain_free_7(void)
{
	plain();
	take(7);
	bulk = 7;
}

/* Own and others', one twice, one that is none. */
static void plain_free_mixed(void)
{
	plain();
	take(5);
	objects[1] = theirs(0);
	objects[2] = objects[0];
	objects[3] = &bulk;
	objects[5] = theirs(1);
	bulk = 6;
}

static void strict_free_3(void)
{
	strict();
	take(3);
	objects[1] = theirs(0);
	bulk = 3;
}

/* ---------------------------------------------------------------- putting back, leaving */

static void do_flush(void)
{
	slabd_flush(me);
}

static void do_flush_none(void)
{
	slabd_flush(NULL);
}

static void do_exit(void)
{
	pthread_exit(NULL);
}

static void do_close(void)
{
	slabd_cache_close(my_cache);
}

static void do_shrink(void)
{
	slabd_cache_shrink(my_cache);
}

static void do_detach(void)
{
	slabd_detach(me);
}

static void do_attach(void)
{
	if (slabd_attach(&me, "crash") == 0 && slabd_cache_open(me, "plain", &my_cache) == 0)
		slabd_alloc(my_cache, 0);
}

/* One full, one with a round. */
static void plain_two_magazines(void)
{
	plain_both_full();
	take(2);
}

/* A second cache is open, and another attachment's (the survivor's, as a child inherits it). */
static void plain_and_strict(void)
{
	struct slabd_cache *first;

	plain_two_magazines();
	first = my_cache;
	if (slabd_cache_open(me, "strict", &my_cache) < 0)
		die("victim: %s", slabd_error());
	take(1);
	my_cache = first;
}

static void no_table(void)
{
	slabd_fast_slots = world.no_slots;
}

static void plain_no_table(void)
{
	plain_thread();
}

/* Another thread has a table, too, before ours in the list. */
static void *sleeper(void *arg)
{
	slabd_free(my_cache, slabd_alloc(my_cache, 0));
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
	for (;;)
		sched_yield();
	return NULL;
}

static void plain_two_threads(void)
{
	static int ready;
	pthread_t thread;

	plain_two_magazines(); /* and the depot has some, as only this thread can ask its tracer */
	if (pthread_create(&thread, NULL, sleeper, &ready))
		die("victim: no thread");
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		sched_yield();
}

/* A thread whose table comes after that of another. */
static void plain_second_thread(void)
{
	plain_two_threads();
	slabd_fast_slots = world.no_slots;
}

static void plain_second_thread_works(void)
{
	plain_second_thread();
	take(1);
}

/* As when the library is loaded: an operation, since whatever is of it runs before main. */
static void do_load(void)
{
	void (*init)(void) = (void (*)(void))symbol_find("process_init"); // NOLINT

	init();
}

static void do_load_without_key(void)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX];

	for (unsigned i = 0; i < PTHREAD_KEYS_MAX && !pthread_key_create(&keys[i], NULL); i++)
		;
	do_load();
}

#define CASE(name_, cache_, prepare_, operate_, ...)                                          \
	{                                                                                     \
		.name = name_, .victim = VICTIM_CLIENT, .cache = cache_, .prepare = prepare_, \
		.operate = operate_, __VA_ARGS__                                              \
	}

const struct crash_case client_cases[] = {
	CASE("alloc, first", PLAIN, plain, do_alloc),
	CASE("alloc, first of a thread", PLAIN, plain_thread, do_alloc),
	CASE("alloc, no memory for a table", PLAIN, plain_thread_without_memory, do_alloc),
	CASE("alloc, no memory that is wiped", PLAIN, plain_thread_without_wiping, do_alloc),
	CASE("alloc, no key", PLAIN, plain_thread_without_key, do_alloc),
	CASE("alloc, second thread", PLAIN, plain_second_thread, do_alloc),
	CASE("load", PLAIN, plain, do_load, .from = "process_init"),
	CASE("load, no key", PLAIN, plain, do_load_without_key, .from = "process_init"),
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

	CASE("free, magazine", PLAIN, plain_2, do_free, .core = true),
	CASE("free, nothing", PLAIN, plain_2, do_free_null),
	CASE("free, swap", PLAIN, plain_free_swap, do_free),
	CASE("free, claim", PLAIN, plain_both_full, do_free),
	CASE("free, claim one with room", PLAIN, plain_no_empty, do_free),
	CASE("free, park", PLAIN, plain_no_room, do_free),
	CASE("free, park another's", PLAIN, plain_no_room_theirs, do_free),
	CASE("free, park, strict", STRICT, strict_no_room, do_free),
	CASE("free, resumes what is parked", PLAIN, plain_parked, do_free),
	CASE("free, park once more", PLAIN, plain_parked_twice, do_free),
	CASE("free, another's", PLAIN, plain_theirs, do_free, .core = true),
	CASE("free, another's at first", PLAIN, plain_theirs_at_first, do_free),
	CASE("free, at first, no lock", PLAIN, plain_first_and_locked, do_free),
	CASE("free, orphan", PLAIN, plain_orphan, do_free, .orphan = true),
	CASE("free, strict", STRICT, strict_2, do_free),
	CASE("free, strict, another's", STRICT, strict_theirs, do_free),
	CASE("free, reclaim", RECLAIM, reclaim_2, do_free),
	CASE("free, reclaim, another's", RECLAIM, reclaim_theirs, do_free),
	CASE("free, twice", PLAIN, plain_twice, do_free),
	CASE("free, foreign pointer", PLAIN, plain_foreign, do_free),
	CASE("free, inner pointer", PLAIN, plain_inner, do_free),
	CASE("free, slabd out of reach", PLAIN, plain_alone, do_free),
	CASE("free, twice, slabd out of reach", PLAIN, plain_alone_twice, do_free),

	CASE("free_handle", PLAIN, plain_own_handle, do_free_handle),
	CASE("free_handle, another's", PLAIN, plain_their_handle, do_free_handle),
	CASE("free_handle, at first", PLAIN, plain_their_handle_at_first, do_free_handle),
	CASE("free_handle, strict", STRICT, strict_their_handle, do_free_handle),
	CASE("free_handle, stale", PLAIN, plain_stale_handle, do_free_handle),
	CASE("free_handle, stale, alive again", PLAIN, plain_stale_handle_alive, do_free_handle),
	CASE("free_handle, stale at the last", PLAIN, plain_own_handle, do_free_generation),
	CASE("free_handle, park", PLAIN, plain_handle_no_room, do_free_handle),
	CASE("free_handle, out of reach", PLAIN, plain_handle_alone, do_free_handle),
	CASE("adopt", PLAIN, plain_their_handle, do_adopt, .core = true),
	CASE("adopt, at first", PLAIN, plain_their_handle_at_first, do_adopt),
	CASE("adopt, own", PLAIN, plain_own_handle, do_adopt),
	CASE("adopt, orphan", PLAIN, plain_orphan_handle, do_adopt, .orphan = true),
	CASE("adopt, strict", STRICT, strict_their_handle, do_adopt),
	CASE("adopt, reclaim", RECLAIM, reclaim_their_handle, do_adopt),
	CASE("adopt, stale", PLAIN, plain_stale_handle, do_adopt),
	CASE("adopt, stale, alive again", PLAIN, plain_stale_handle_alive, do_adopt),

	CASE("alloc_bulk, magazine", PLAIN, plain_bulk_2, do_alloc_bulk, .deep = true),
	CASE("alloc_bulk, whole magazine", PLAIN, plain_bulk_3, do_alloc_bulk),
	CASE("alloc_bulk, more than one", PLAIN, plain_bulk_7, do_alloc_bulk),
	CASE("alloc_bulk, ZERO", PLAIN, plain_bulk_zero, do_alloc_bulk),
	CASE("alloc_bulk, dry, NOWAIT", PLAIN, plain_bulk_dry, do_alloc_bulk),
	CASE("alloc_bulk, heap full", PLAIN, plain_bulk_full, do_alloc_bulk),
	CASE("alloc_bulk, huge", PLAIN, plain_bulk_huge, do_alloc_bulk),
	CASE("alloc_bulk, unknown flag", PLAIN, plain_bulk_badly, do_alloc_bulk),
	CASE("free_bulk, magazine", PLAIN, plain_free_3, do_free_bulk, .deep = true),
	CASE("free_bulk, more than one", PLAIN, plain_free_7, do_free_bulk),
	CASE("free_bulk, all sorts", PLAIN, plain_free_mixed, do_free_bulk),
	CASE("free_bulk, strict", STRICT, strict_free_3, do_free_bulk),

	CASE("flush, two caches", PLAIN, plain_and_strict, do_flush),
	CASE("flush, no table", PLAIN, plain_no_table, do_flush),
	CASE("flush, nothing", PLAIN, plain_1, do_flush_none),
	CASE("thread exit", PLAIN, plain_parked, do_exit, .from = "on_thread_exit"),
	CASE("alloc_bulk, nothing", PLAIN, plain_1, do_alloc_bulk),
	CASE("alloc_bulk, nothing, ZERO", PLAIN, plain_bulk_none, do_alloc_bulk),
	CASE("thread exit, another stays", PLAIN, plain_second_thread_works, do_exit,
	     .from = "on_thread_exit"),
	CASE("close", PLAIN, plain_two_magazines, do_close, .core = true),
	CASE("close, two threads", PLAIN, plain_two_threads, do_close),
	CASE("shrink", PLAIN, plain_two_magazines, do_shrink),
	CASE("shrink, parked", PLAIN, plain_parked, do_shrink),
	CASE("attach", PLAIN, no_table, do_attach),
	CASE("detach", PLAIN, plain_and_strict, do_detach),
};

const unsigned client_cases_n = sizeof(client_cases) / sizeof(*client_cases);
