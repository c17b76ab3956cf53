/* A Treiber stack: a list of free objects whose head is exchanged by compare-and-swap, with a count
 * beside it against ABA. Its users loop for many. */
#ifndef BENCH_PEER_TREIBER_H
#define BENCH_PEER_TREIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/common.h"
#include "tests/bench/shared_pool.h"

static struct shared_pool peer_treiber_pool;
static uint64_t *peer_treiber_head; /* count:32 | number:32 */

#define TREIBER_NUMBER UINT64_C(0xffffffff)
#define TREIBER_COUNT  (UINT64_C(1) << 32)

static inline bool peer_treiber_open(size_t object_size, size_t most)
{
	shared_pool_open(&peer_treiber_pool, object_size, most);
	peer_treiber_head = shared_pool_memory(sizeof *peer_treiber_head);
	*peer_treiber_head = 1;
	return true;
}

static inline bool peer_treiber_swap(uint64_t *seen, uint64_t number)
{
	uint64_t next = (*seen & ~TREIBER_NUMBER) + TREIBER_COUNT + number;

	return __atomic_compare_exchange_n(peer_treiber_head, seen, next, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static inline void *peer_treiber_alloc(void)
{
	uint64_t seen = __atomic_load_n(peer_treiber_head, __ATOMIC_ACQUIRE), *object;

	do {
		object = shared_pool_at(&peer_treiber_pool, seen & TREIBER_NUMBER);
	} while (!peer_treiber_swap(&seen,
				    __atomic_load_n(object, __ATOMIC_RELAXED) & TREIBER_NUMBER));
	return object;
}

static inline void peer_treiber_free(void *object)
{
	uint64_t number = shared_pool_number(&peer_treiber_pool, object);
	uint64_t seen = __atomic_load_n(peer_treiber_head, __ATOMIC_RELAXED);

	do {
		__atomic_store_n((uint64_t *)object, seen & TREIBER_NUMBER, __ATOMIC_RELAXED);
	} while (!peer_treiber_swap(&seen, number));
}

static inline void peer_treiber_alloc_bulk(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		objects[i] = peer_treiber_alloc();
}

static inline void peer_treiber_free_bulk(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		peer_treiber_free(objects[i]);
}

#endif
