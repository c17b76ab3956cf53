/* The C library's malloc, as it comes. It has no bulk calls: a user would loop. */
#ifndef BENCH_PEER_GLIBC_H
#define BENCH_PEER_GLIBC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/bench/common.h"

static size_t peer_glibc_size;

static inline bool peer_glibc_open(size_t object_size, size_t most)
{
	(void)most;
	peer_glibc_size = object_size;
	return true;
}

static inline void *peer_glibc_alloc(void)
{
	void *object = malloc(peer_glibc_size);

	if (__builtin_expect(!object, 0))
		fail("malloc");
	return object;
}

static inline void peer_glibc_free(void *object)
{
	free(object);
}

static inline void peer_glibc_alloc_bulk(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		objects[i] = peer_glibc_alloc();
}

static inline void peer_glibc_free_bulk(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		free(objects[i]);
}

#endif
