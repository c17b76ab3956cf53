/* The floor: a bare array used as a stack of pointers, inlined, unchecked, one thread's, over objects
 * that lie next to each other on hugepages. Nothing that allocates can cost less. */
#ifndef BENCH_PEER_STACK_H
#define BENCH_PEER_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/bench/common.h"

static void **peer_stack_top; /* the next to be handed out lies below it */

static inline bool peer_stack_open(size_t object_size, size_t most)
{
	size_t align = (size_t)2 << 20;
	size_t bytes = (object_size * most + align - 1) / align * align;
	char *objects = aligned_alloc(align, bytes);

	peer_stack_top = malloc(most * sizeof *peer_stack_top);
	if (!objects || !peer_stack_top)
		fail("the array stack");
	madvise(objects, bytes, MADV_HUGEPAGE);
	memset(objects, 0, bytes);
	/* The top lives in memory, as a shared stack's would, not in a register of the loop. */
	__asm__ volatile("" ::"r"(&peer_stack_top) : "memory");
	for (size_t i = most; i > 0; i--)
		*peer_stack_top++ = objects + (i - 1) * object_size;
	return true;
}

static inline void *peer_stack_alloc(void)
{
	return *--peer_stack_top;
}

static inline void peer_stack_free(void *object)
{
	*peer_stack_top++ = object;
}

static inline void peer_stack_alloc_bulk(size_t n, void **objects)
{
	peer_stack_top -= n;
	memcpy(objects, peer_stack_top, n * sizeof *objects);
}

static inline void peer_stack_free_bulk(size_t n, void **objects)
{
	memcpy(peer_stack_top, objects, n * sizeof *objects);
	peer_stack_top += n;
}

#endif
