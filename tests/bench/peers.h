/* The peers: whom slabd is measured against, one header each, so that each is called as directly as
 * its user would call it; and one program each (bench-NAME), since two allocators in one process share
 * its memory, its caches and its branch predictor. PEER_HEADER defines
 *
 *	PEER_SHARED	1: objects can go to another process; 0: only to another thread
 *	bool  peer_open(size_t object_size, size_t most)	false: not to be had here; it is skipped
 *	void  peer_join(unsigned number)	in each further process or thread, before it uses the pool
 *	void  peer_close(void)
 *	uint64_t peer_memory(void)	bytes held, by the measure of memory_before
 *	void *peer_alloc(void)	never NULL while fewer than most objects are live
 *	void  peer_free(void *object)
 *	void  peer_alloc_bulk(size_t n, void **objects)
 *	void  peer_free_bulk(size_t n, void **objects) */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/bench/common.h"

/* Before there was a pool; peer_open sets it where another measure, or a later moment, is right. */
static uint64_t memory_before;

#define PEER_INLINE    inline __attribute__((always_inline, unused))
#define PEER_LIKELY(x) __builtin_expect(!!(x), 1)

#include PEER_HEADER

#endif
