/* Threads of one process that allocate, pass on, look up, adopt and free, in bulk and one by one, while
 * caches come and go and the worker is killed under them; every content is checked, and the end is the
 * audit.
 *
 * A plain program, so that ThreadSanitizer can watch it (Criterion's arena lies where TSan allows no
 * mapping).  Objects go from thread to thread through slots that are exchanged atomically, which is all
 * the order that there is between two users of an object: what the pool itself needs must come from
 * the pool. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

#define THREADS 6
#define ROUNDS	20000
#define SLOTS	512
#define BULK	40
#define BYTES	72

static struct daemon_fixture d;
static struct slabd *slabd;

/* An object on its way: by pointer, and by handle. */
static _Atomic(void *) pointers[SLOTS];
static _Atomic slabd_handle handles[SLOTS];
static _Atomic unsigned refused, taken, adopted, missed;

static void on_refused(const char *message, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s\n", message);
	refused++;
}

struct thread {
	pthread_t id;
	struct slabd_cache *plain, *strict;
	uint64_t random;
};

static uint64_t next_random(struct thread *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* ---------------------------------------------------------------- what a thread does */

static void *make(struct slabd_cache *cache)
{
	void *object = slabd_alloc(cache, 0);

	MUST(object);
	object_fill(object, BYTES, (uintptr_t)object);
	return object;
}

static void unmake(struct slabd_cache *cache, void *object)
{
	MUST(object_holds(object, BYTES, (uintptr_t)object));
	object_fill(object, BYTES, 0);
	slabd_free(cache, object);
}

static void pass_by_pointer(struct thread *t)
{
	void *was = atomic_exchange(&pointers[next_random(t) % SLOTS], make(t->plain));

	if (was)
		unmake(t->plain, was);
}

/* The handle is what is exchanged; whoever gets it looks the object up, adopts it, and frees it. */
static void pass_by_handle(struct thread *t)
{
	slabd_handle mine = slabd_handle_of(t->strict, make(t->strict));
	slabd_handle was = atomic_exchange(&handles[next_random(t) % SLOTS], mine);
	void *object;

	MUST(mine);
	if (!was)
		return;
	MUST(slabd_get(t->strict, was));
	object = slabd_adopt(t->strict, was);
	MUST(object);
	adopted++;
	MUST(object_holds(object, BYTES, (uintptr_t)object));
	MUST(slabd_free_handle(t->strict, was) == 0);
	if (slabd_free_handle(t->strict, was) == -ESTALE)
		missed++;
}

/* A handle that another may free at any moment: it is there, or it is stale. */
static void look(struct thread *t)
{
	slabd_handle handle = atomic_load(&handles[next_random(t) % SLOTS]);

	if (!handle)
		return;
	if (slabd_get(t->strict, handle))
		taken++;
	else
		MUST(errno == ESTALE);
}

static void bulk(struct thread *t)
{
	void *objects[BULK];
	size_t n = 1 + next_random(t) % BULK;

	MUST(slabd_alloc_bulk(t->plain, 0, n, objects) == n);
	for (size_t i = 0; i < n; i++)
		object_fill(objects[i], BYTES, (uintptr_t)objects[i]);
	for (size_t i = 0; i < n; i++)
		MUST(object_holds(objects[i], BYTES, (uintptr_t)objects[i]));
	slabd_free_bulk(t->plain, n, objects);
}

/* The last close of a cache is no thread's in particular. */
static void open_and_close(struct thread *t)
{
	struct slabd_cache *cache;
	char name[16];

	snprintf(name, sizeof(name), "c%u", (unsigned)(next_random(t) % 4));
	cache = cache_of(slabd, name, BYTES, 0);
	unmake(cache, make(cache));
	slabd_flush(slabd);
	slabd_cache_close(cache);
}

static void *run(void *arg)
{
	struct thread *t = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		pass_by_pointer(t);
		if (i % 2 == 0)
			pass_by_handle(t);
		look(t);
		if (i % 8 == 0)
			bulk(t);
		if (i % 256 == 0)
			open_and_close(t);
		if (i % 1000 == 0)
			slabd_flush(slabd);
		if (i % 4000 == 0)
			MUST(slabd_cache_shrink(t->plain) == 0);
		if (slabd_alloc(t->plain, SLABD_NOWAIT | 0x80))
			MUST(false); /* an unknown flag: an error of this thread's own */
	}
	return NULL;
}

/* ---------------------------------------------------------------- main */

static void start(struct thread *threads, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		threads[i].random = 88172645463325252u + i * 7919;
		threads[i].plain = cache_of(slabd, "plain", BYTES, 0);
		threads[i].strict = cache_of(slabd, "strict", BYTES, SLABD_STRICT);
		MUST(pthread_create(&threads[i].id, NULL, run, &threads[i]) == 0);
	}
}

static void drain(const struct thread *t)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (pointers[i])
			unmake(t->plain, pointers[i]);
		if (handles[i])
			MUST(slabd_free_handle(t->strict, handles[i]) == 0);
	}
}

int main(void)
{
	static struct thread threads[THREADS];
	struct daemon_audit audit;

	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	slabd_set_error_handler(on_refused, NULL);
	start(threads, THREADS);
	for (unsigned i = 0; i < 3; i++)
		daemon_kill_worker(&d);
	for (unsigned i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i].id, NULL) == 0);
	drain(&threads[0]);
	MUST(refused == 0);
	audit = daemon_audit(&d);
	printf("%u threads, %u rounds: %u adopted, %u seen by handle, %u stale; %llu objects, %llu "
	       "live\n",
	       THREADS, ROUNDS, adopted, taken, missed, (unsigned long long)audit.objects,
	       (unsigned long long)audit.live);
	MUST(audit.live == 0 && adopted && missed);
	slabd_detach(slabd);
	MUST(daemon_audit(&d).in_magazines <= audit.objects);
	daemon_stop(&d);
	return 0;
}
