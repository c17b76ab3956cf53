/* Treiber's stack in memory that processes share: one word, an index and a count of changes against
 * ABA, changed by compare and swap. */
#ifndef BENCH_PEER_TREIBER_H
#define BENCH_PEER_TREIBER_H

#include <stdatomic.h>

#define PEER_SHARED 1

static _Atomic uint64_t *peer_head; /* low half: number of the first, from 1; high half: changes */
static char *peer_objects;
static size_t peer_size;

static PEER_INLINE _Atomic uint32_t *peer_next(uint32_t number)
{
	return (_Atomic uint32_t *)(void *)(peer_objects + (number - 1) * peer_size);
}

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	peer_size = object_size;
	peer_objects = shared_memory(object_size * most);
	peer_head = shared_memory(sizeof *peer_head);
	for (uint32_t i = 1; i < most; i++)
		*peer_next(i) = i + 1;
	*peer_next((uint32_t)most) = 0;
	*peer_head = 1;
	return true;
}

static PEER_INLINE void peer_join(unsigned number)
{
	(void)number;
}

static PEER_INLINE void peer_close(void)
{
}

static PEER_INLINE uint64_t peer_memory(void)
{
	return resident_bytes();
}

static PEER_INLINE void *peer_alloc(void)
{
	uint64_t seen = atomic_load_explicit(peer_head, memory_order_acquire), wanted;

	do {
		if (!PEER_LIKELY((uint32_t)seen))
			fail("the pool is empty");
		wanted = ((seen >> 32) + 1) << 32 |
			 atomic_load_explicit(peer_next((uint32_t)seen), memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		peer_head, &seen, wanted, memory_order_acquire, memory_order_acquire));
	return peer_next((uint32_t)seen);
}

static PEER_INLINE void peer_free(void *object)
{
	uint32_t number = (uint32_t)((size_t)((char *)object - peer_objects) / peer_size) + 1;
	uint64_t seen = atomic_load_explicit(peer_head, memory_order_relaxed), wanted;

	do {
		atomic_store_explicit(peer_next(number), (uint32_t)seen, memory_order_relaxed);
		wanted = ((seen >> 32) + 1) << 32 | number;
	} while (!atomic_compare_exchange_weak_explicit(
		peer_head, &seen, wanted, memory_order_release, memory_order_relaxed));
}

#include "tests/bench/looped_bulk.h"

#endif
