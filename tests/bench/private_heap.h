/* A private heap from a library of its own. It is loaded beside the C library's instead of linked, so
 * that all of them can take turns in one run; a call goes through one pointer, as a linked program's
 * goes through its GOT. Their thread-local memory is of the static kind, for which run.sh has the
 * loader leave room. */
#ifndef BENCH_PRIVATE_HEAP_H
#define BENCH_PRIVATE_HEAP_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/bench/common.h"

struct private_heap {
	void *(*alloc)(size_t bytes);
	void (*release)(void *object);
	size_t object_size;
};

static inline bool private_heap_load(struct private_heap *heap, const char *library,
				     const char *alloc, const char *release, size_t object_size)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

	if (!handle) {
		fprintf(stderr, "bench: %s\n", dlerror());
		return false;
	}
	*(void **)&heap->alloc = dlsym(handle, alloc);
	*(void **)&heap->release = dlsym(handle, release);
	heap->object_size = object_size;
	return heap->alloc && heap->release;
}

/* Defines the peer; it has no bulk calls: a user would loop. */
#define PRIVATE_HEAP(name, library, alloc_name, free_name)                                    \
	static struct private_heap peer_##name##_heap;                                        \
                                                                                              \
	static inline bool peer_##name##_open(size_t object_size, size_t most)                \
	{                                                                                     \
		(void)most;                                                                   \
		return private_heap_load(&peer_##name##_heap, library, alloc_name, free_name, \
					 object_size);                                        \
	}                                                                                     \
                                                                                              \
	static inline void *peer_##name##_alloc(void)                                         \
	{                                                                                     \
		void *object = peer_##name##_heap.alloc(peer_##name##_heap.object_size);      \
                                                                                              \
		if (__builtin_expect(!object, 0))                                             \
			fail(#name);                                                          \
		return object;                                                                \
	}                                                                                     \
                                                                                              \
	static inline void peer_##name##_free(void *object)                                   \
	{                                                                                     \
		peer_##name##_heap.release(object);                                           \
	}                                                                                     \
                                                                                              \
	static inline void peer_##name##_alloc_bulk(size_t n, void **objects)                 \
	{                                                                                     \
		for (size_t i = 0; i < n; i++)                                                \
			objects[i] = peer_##name##_alloc();                                   \
	}                                                                                     \
                                                                                              \
	static inline void peer_##name##_free_bulk(size_t n, void **objects)                  \
	{                                                                                     \
		for (size_t i = 0; i < n; i++)                                                \
			peer_##name##_free(objects[i]);                                       \
	}

#endif
