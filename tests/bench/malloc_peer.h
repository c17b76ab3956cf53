/* What the private heaps have in common; PEER_MALLOC and PEER_FREE are the heap's own. */
#ifndef BENCH_MALLOC_PEER_H
#define BENCH_MALLOC_PEER_H

#define PEER_SHARED 0

static size_t peer_size;

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	(void)most;
	peer_size = object_size;
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
	void *object = PEER_MALLOC(peer_size);

	if (!PEER_LIKELY(object))
		fail("malloc");
	return object;
}

static PEER_INLINE void peer_free(void *object)
{
	PEER_FREE(object);
}

#include "tests/bench/looped_bulk.h"

#endif
