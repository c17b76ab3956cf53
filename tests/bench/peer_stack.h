/* The floor: a bare array used as a stack of pointers, inlined, unchecked, one thread's, over objects
 * that lie next to each other on hugepages. Nothing that allocates can cost less. */
#ifndef BENCH_PEER_STACK_H
#define BENCH_PEER_STACK_H

#include <string.h>
#include <sys/mman.h>

#define PEER_SHARED 0
#define PEER_ALONE  1

static void **peer_top; /* the next to be handed out lies below it */

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	size_t align = (size_t)2 << 20;
	size_t bytes = (object_size * most + align - 1) / align * align;
	char *objects = aligned_alloc(align, bytes);

	peer_top = malloc(most * sizeof *peer_top);
	if (!objects || !peer_top)
		fail("the array stack");
	madvise(objects, bytes, MADV_HUGEPAGE);
	memset(objects, 0, bytes);
	/* The top lives in memory, as a shared stack's would, not in a register of the loop. */
	__asm__ volatile("" ::"r"(&peer_top) : "memory");
	for (size_t i = most; i > 0; i--)
		*peer_top++ = objects + (i - 1) * object_size;
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
	return *--peer_top;
}

static PEER_INLINE void peer_free(void *object)
{
	*peer_top++ = object;
}

static PEER_INLINE void peer_alloc_bulk(size_t n, void **objects)
{
	peer_top -= n;
	memcpy(objects, peer_top, n * sizeof *objects);
}

static PEER_INLINE void peer_free_bulk(size_t n, void **objects)
{
	memcpy(peer_top, objects, n * sizeof *objects);
	peer_top += n;
}

#endif
