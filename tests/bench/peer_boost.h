/* Boost.Interprocess: a managed_shared_memory with a cached_node_allocator, the quickest that it has.
 * A call goes through boost.cpp, 2 ns of what it costs. */
#ifndef BENCH_PEER_BOOST_H
#define BENCH_PEER_BOOST_H

#include "tests/bench/boost.h"

#define PEER_SHARED 1

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	return boost_open(object_size, most);
}

static PEER_INLINE void peer_join(unsigned number)
{
	(void)number;
	boost_join();
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
	void *object = boost_alloc();

	if (!PEER_LIKELY(object))
		fail("Boost.Interprocess");
	return object;
}

static PEER_INLINE void peer_free(void *object)
{
	boost_free(object);
}

#include "tests/bench/looped_bulk.h"

#endif
