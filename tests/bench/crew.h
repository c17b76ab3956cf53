/* Several workers: processes where the peer's objects can go to another process, else threads.
 * Worker 0 is the caller; the others start when they are first needed, and sleep between
 * repetitions, since a poll would preempt the others. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/bench/peers.h"
#include "tests/bench/ring.h"

#define CREW_MOST      4
#define HANDED	       50000
#define FREED_AT_ONCE  32
#define TRIPS	       2000
#define SET_SLOTS      1000
#define SET_OPERATIONS 50000
#define MIGRATE_EVERY  16 /* operations: one object goes to whoever comes by next */

enum crew_task { TASK_TRIP, TASK_RING, TASK_HAND_OVER, TASK_HAND_OVER_BULK, TASK_REPLACE };

struct crew_worker {
	_Alignas(64) sem_t begun, ended;
	uint64_t start_ns, end_ns, sum;
	long preempted;
};

struct crew {
	_Alignas(64) _Atomic uint64_t there;
	_Alignas(64) _Atomic uint64_t back;
	struct ring ring;
	_Alignas(64) _Atomic unsigned ready;
	_Alignas(64) unsigned size; /* of this repetition */
	enum crew_task task;
	_Alignas(64) _Atomic(void *) passing[SET_SLOTS];
	struct crew_worker workers[CREW_MOST];
};

struct crew_result {
	double ns;
	long preempted;
};

static struct crew *crew;
static unsigned crew_started = 1;
static __thread void *crew_set[SET_SLOTS];

/* ---------------------------------------------------------------- tasks */

static void await_line(_Atomic uint64_t *line, uint64_t value)
{
	unsigned spins = 0;

	while (atomic_load_explicit(line, memory_order_acquire) != value)
		ring_wait(&spins);
}

static uint64_t trip_end(unsigned number)
{
	for (uint64_t i = 1; i <= TRIPS; i++)
		if (number == 0) {
			atomic_store_explicit(&crew->there, i, memory_order_release);
			await_line(&crew->back, i);
		} else {
			await_line(&crew->there, i);
			atomic_store_explicit(&crew->back, i, memory_order_release);
		}
	return 0;
}

static uint64_t ring_end(unsigned number)
{
	static uint64_t item;

	for (uint64_t i = 0; i < HANDED; i++)
		if (number == 0)
			ring_put(&crew->ring, &item);
		else
			ring_take(&crew->ring);
	return 0;
}

static uint64_t produce(void)
{
	for (uint64_t i = 0; i < HANDED; i++) {
		void *object = peer_alloc();

		touch(object, i);
		ring_put(&crew->ring, object);
	}
	return 0;
}

static uint64_t consume(void)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < HANDED; i++) {
		void *object = ring_take(&crew->ring);

		sum += *(uint64_t *)object;
		peer_free(object);
	}
	return sum;
}

static uint64_t consume_bulk(void)
{
	void *bulk[FREED_AT_ONCE];
	uint64_t sum = 0;
	size_t n = 0;

	for (uint64_t i = 0; i < HANDED; i++) {
		bulk[n] = ring_take(&crew->ring);
		sum += *(uint64_t *)bulk[n++];
		if (n == FREED_AT_ONCE || i + 1 == HANDED) {
			peer_free_bulk(n, bulk);
			n = 0;
		}
	}
	return sum;
}

static uint64_t replace(unsigned number)
{
	uint64_t state = 88172645463325252 + number, sum = 0;

	for (uint64_t i = 0; i < SET_OPERATIONS; i++) {
		uint64_t random = next_random(&state);
		void **slot = &crew_set[random % SET_SLOTS], *object = *slot;

		if (i % MIGRATE_EVERY == 0)
			object =
				atomic_exchange_explicit(&crew->passing[(random >> 32) % SET_SLOTS],
							 object, memory_order_acq_rel);
		if (object) {
			sum += *(uint64_t *)object;
			peer_free(object);
		}
		*slot = peer_alloc();
		touch(*slot, i);
	}
	return sum;
}

static uint64_t crew_work(unsigned number)
{
	if (crew->task == TASK_REPLACE)
		return replace(number);
	if (crew->task == TASK_TRIP)
		return trip_end(number);
	if (crew->task == TASK_RING)
		return ring_end(number);
	if (number == 0)
		return produce();
	return crew->task == TASK_HAND_OVER ? consume() : consume_bulk();
}

/* ---------------------------------------------------------------- workers */

static void crew_take_part(unsigned number)
{
	struct crew_worker *worker = &crew->workers[number];
	unsigned spins = 0;

	atomic_fetch_add(&crew->ready, 1);
	while (atomic_load(&crew->ready) < crew->size)
		ring_wait(&spins);
	worker->preempted = preemptions();
	worker->start_ns = now_ns();
	worker->sum = crew_work(number);
	worker->end_ns = now_ns();
	worker->preempted = preemptions() - worker->preempted;
}

static void crew_await(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0 && errno == EINTR)
		;
}

static void crew_pin(unsigned number)
{
	pin_to((int)(number % (unsigned)sysconf(_SC_NPROCESSORS_ONLN)));
}

static void *crew_member(void *at)
{
	struct crew_worker *worker = at;
	unsigned number = (unsigned)(worker - crew->workers);

	memset(crew_set, 0, sizeof crew_set); /* a forked one came with its parent's objects */
	crew_pin(number);
	peer_join(number);
	for (;;) {
		crew_await(&worker->begun);
		crew_take_part(number);
		sem_post(&worker->ended);
	}
	return NULL;
}

static void crew_start_member(struct crew_worker *worker)
{
	pid_t parent = getpid(), pid;
	pthread_t thread;

	sem_init(&worker->begun, 1, 0);
	sem_init(&worker->ended, 1, 0);
	if (!PEER_SHARED) {
		if (pthread_create(&thread, NULL, crew_member, worker))
			fail("thread");
		return;
	}
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		crew_member(worker);
	_exit(0);
}

static void crew_grow(unsigned size)
{
	if (!crew)
		crew = shared_memory(sizeof *crew);
	while (crew_started < size)
		crew_start_member(&crew->workers[crew_started++]);
}

/* ---------------------------------------------------------------- repetitions */

/* A trip is there and back, halved. */
static double crew_operations(enum crew_task task, unsigned size)
{
	if (task == TASK_TRIP)
		return 2 * TRIPS;
	return task == TASK_REPLACE ? (double)SET_OPERATIONS * size : HANDED;
}

static struct crew_result crew_run(enum crew_task task, unsigned size)
{
	struct crew_result result = {0};
	uint64_t start = UINT64_MAX, end = 0;

	crew_grow(size);
	crew->task = task;
	crew->size = size;
	crew->there = crew->back = 0;
	atomic_store(&crew->ready, 0);
	for (unsigned i = 1; i < size; i++)
		sem_post(&crew->workers[i].begun);
	crew_take_part(0);
	for (unsigned i = 1; i < size; i++)
		crew_await(&crew->workers[i].ended);
	for (unsigned i = 0; i < size; i++) {
		const struct crew_worker *worker = &crew->workers[i];

		start = worker->start_ns < start ? worker->start_ns : start;
		end = worker->end_ns > end ? worker->end_ns : end;
		result.preempted += worker->preempted;
	}
	if ((task == TASK_HAND_OVER || task == TASK_HAND_OVER_BULK) &&
	    crew->workers[1].sum != (uint64_t)HANDED * (HANDED - 1) / 2) {
		fprintf(stderr, "bench: objects arrived with other content than was sent\n");
		exit(3);
	}
	result.ns = (double)(end - start) / crew_operations(task, size);
	return result;
}

#endif
