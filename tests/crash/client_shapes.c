#include "tests/crash/client_shapes.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct slabd *me;
struct slabd_cache *my_cache;
void *objects[MOST];
unsigned objects_n;
struct claim hogged[2 * RACK_MAGAZINES];
unsigned hogged_n;

static void attach_to(int which)
{
	if (slabd_attach(&me, "crash") < 0 ||
	    slabd_cache_open(me, cache_names[which], &my_cache) < 0)
		die("victim: %s", slabd_error());
}

void take(unsigned wanted)
{
	for (; wanted; wanted--) {
		objects[objects_n] = slabd_alloc(my_cache, 0);
		if (!objects[objects_n++])
			die("victim: %s", slabd_error());
	}
}

void give(unsigned wanted)
{
	for (; wanted; wanted--)
		slabd_free(my_cache, objects[--objects_n]);
}

static void *object_by(uint32_t owner, unsigned nth)
{
	slab_ref ref = object_of(&world.live, (int)my_cache->view.id - 1, owner, nth);

	if (ref == REF_NONE)
		die("victim: client %u has not so many objects", owner);
	return ref_address(my_cache->view.heap, ref);
}

void *theirs(unsigned nth)
{
	return object_by(world.survivor_id, nth);
}

void *orphan(void)
{
	return object_by(world.tomb_id, 0);
}

void hog(uint32_t state, uint32_t count_max)
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

void unhog(void)
{
	hogged_n--;
	depot_put(&my_cache->view, hogged[hogged_n].index, hogged[hogged_n].magazine);
}

void hog_all(void)
{
	hog(MAGAZINE_EMPTY, UINT32_MAX);
	hog(MAGAZINE_FULL, ROUNDS - 1);
}

void be_impatient(void)
{
	setenv("SLABD_TIMEOUT_MS", "20", 1);
}

void front(void *object)
{
	objects[0] = object;
}

void alone(void)
{
	thread_put_back(my_cache, thread_slot(my_cache));
	memset(thread_slot(my_cache), 0, sizeof(*thread_slot(my_cache)));
	store_relaxed(&me->identity->client, 0);
	lies.refuse = true;
}

void plain(void)
{
	attach_to(PLAIN);
}

void strict(void)
{
	attach_to(STRICT);
}

void reclaim(void)
{
	attach_to(RECLAIM);
}

void plain_thread(void)
{
	plain();
	slabd_fast_slots = world.no_slots;
}

void plain_1(void)
{
	plain();
	take(1);
}

void plain_2(void)
{
	plain();
	take(2);
}

void plain_3(void)
{
	plain();
	take(ROUNDS);
}

void strict_2(void)
{
	strict();
	take(2);
}

void reclaim_2(void)
{
	reclaim();
	take(2);
}

void plain_both_full(void)
{
	plain();
	take(3 * ROUNDS);
	give(2 * ROUNDS);
}

void plain_two_magazines(void)
{
	plain_both_full();
	take(2);
}

void plain_no_room(void)
{
	plain_both_full();
	hog_all();
}

void plain_parked(void)
{
	plain_no_room();
	slabd_free(my_cache, objects[0]);
	slabd_free(my_cache, theirs(0));
	if (load_relaxed(&process->parked_count) != 2)
		die("victim: nothing is parked");
	unhog();
	front(objects[1]);
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

void plain_two_threads(void)
{
	static int ready;
	pthread_t thread;

	plain_two_magazines(); /* and the depot has some, as only this thread can ask its tracer */
	if (pthread_create(&thread, NULL, sleeper, &ready))
		die("victim: no thread");
	while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		sched_yield();
}

void plain_second_thread(void)
{
	plain_two_threads();
	slabd_fast_slots = world.no_slots;
}
