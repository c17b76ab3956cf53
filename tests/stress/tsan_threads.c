/* Clients as threads on one mapping, so that ThreadSanitizer sees both sides of every hand-over: each
 * thread allocates, signs, passes objects on through a ring of handles, checks and frees those of
 * others, by pointer, by handle, in bulk and after an adopt; now and then it flushes, and threads come
 * and go.  Not a Criterion program: its arena lies where the sanitizer allows no mapping. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <slabd/slabd.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

#define THREADS	    4
#define GENERATIONS 3 /* of threads, one after the other */
#define ROUNDS	    4000
#define RING	    256
#define BULK	    40

struct item {
	uint64_t handle, sum;
	uint64_t noise[6];
};

static struct slabd_cache *caches[3];
/* An exchange of handles: whoever puts one in takes out what was there. */
static _Atomic slabd_handle rings[3][RING];

static void sign(struct slabd_cache *cache, struct item *item, uint64_t noise)
{
	item->handle = slabd_handle_of(cache, item);
	for (size_t i = 0; i < 6; i++)
		item->noise[i] = noise * (i + 1);
	item->sum = item->handle ^ noise;
}

static void check(const struct item *item, slabd_handle handle)
{
	MUST(item->handle == handle);
	for (size_t i = 0; i < 6; i++)
		MUST(item->noise[i] == (item->sum ^ handle) * (i + 1));
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

/* What came out of the ring is this thread's alone. */
static void take_over(struct slabd_cache *cache, slabd_handle handle, uint64_t how)
{
	struct item *item = how & 1 ? slabd_adopt(cache, handle) : slabd_get(cache, handle);

	MUST(item);
	check(item, handle);
	if (how & 2)
		slabd_free(cache, item);
	else
		MUST(slabd_free_handle(cache, handle) == 0);
	MUST(!slabd_get(cache, handle));
}

static void pass_on(unsigned which, uint64_t *seed)
{
	struct item *item = slabd_alloc(caches[which], 0);
	slabd_handle old;

	MUST(item);
	sign(caches[which], item, next(seed));
	old = atomic_exchange_explicit(&rings[which][next(seed) % RING], item->handle,
				       memory_order_acq_rel);
	if (old)
		take_over(caches[which], old, next(seed));
}

static void in_bulk(unsigned which, uint64_t *seed)
{
	struct item *items[BULK];

	MUST(slabd_alloc_bulk(caches[which], SLABD_ZERO, BULK, (void **)items) == BULK);
	for (size_t i = 0; i < BULK; i++) {
		MUST(items[i]->sum == 0);
		sign(caches[which], items[i], next(seed));
	}
	for (size_t i = 0; i < BULK; i++)
		check(items[i], slabd_handle_of(caches[which], items[i]));
	slabd_free_bulk(caches[which], BULK, (void *const *)items);
}

static void *run(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned which = (unsigned)(next(&seed) % 3);

		pass_on(which, &seed);
		if (i % 64 == 0)
			in_bulk(which, &seed);
	}
	return NULL;
}

static void open_caches(struct slabd *slabd)
{
	static const uint32_t flags[] = {0, SLABD_RECLAIM, SLABD_STRICT};

	for (unsigned i = 0; i < 3; i++) {
		struct slabd_cache_args args = {.size_of_args = sizeof(args),
						.object_size = sizeof(struct item),
						.flags = flags[i],
						.magazine = 16};
		char name[16];

		snprintf(name, sizeof(name), "tsan-%u", i);
		MUST(slabd_cache_create(slabd, name, &args, &caches[i]) == 0);
	}
}

static void empty_rings(void)
{
	for (unsigned which = 0; which < 3; which++)
		for (unsigned i = 0; i < RING; i++) {
			slabd_handle handle = atomic_exchange(&rings[which][i], 0);

			if (handle)
				take_over(caches[which], handle, i);
		}
}

int main(void)
{
	struct daemon_fixture daemon = {0};
	struct slabd *slabd;

	daemon_start(&daemon, NULL);
	MUST(slabd_attach(&slabd, daemon.socket) == 0);
	open_caches(slabd);
	for (uintptr_t generation = 0; generation < GENERATIONS; generation++) {
		pthread_t threads[THREADS];

		for (uintptr_t i = 0; i < THREADS; i++)
			MUST(pthread_create(&threads[i], NULL, run,
					    (void *)(generation * THREADS + i + 1)) == 0);
		for (unsigned i = 0; i < THREADS; i++)
			MUST(pthread_join(threads[i], NULL) == 0);
	}
	empty_rings();
	slabd_flush(slabd);
	MUST(daemon_audit(&daemon).live == 0);
	for (unsigned i = 0; i < 3; i++)
		MUST(slabd_cache_destroy(caches[i]) == 0);
	slabd_detach(slabd);
	daemon_audit(&daemon);
	daemon_stop(&daemon);
	puts("tsan_threads: all objects arrived, the audit balances");
	return 0;
}
