/* Objects next to each other in memory that processes can share, for the pools that one writes by
 * hand. A free object's first word is the number of the next one, plus 1; 0 ends the list. */
#ifndef BENCH_SHARED_POOL_H
#define BENCH_SHARED_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "tests/bench/common.h"

struct shared_pool {
	char *objects;
	size_t object_size;
};

static inline void *shared_pool_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("a shared pool");
	return memory;
}

static inline uint64_t *shared_pool_at(const struct shared_pool *pool, uint64_t number)
{
	return (uint64_t *)(void *)(pool->objects + (number - 1) * pool->object_size);
}

static inline uint64_t shared_pool_number(const struct shared_pool *pool, const void *object)
{
	return (uint64_t)((const char *)object - pool->objects) / pool->object_size + 1;
}

/* All in one list, whose head is number 1. */
static inline void shared_pool_open(struct shared_pool *pool, size_t object_size, size_t most)
{
	pool->object_size = object_size;
	pool->objects = shared_pool_memory(object_size * most);
	for (uint64_t number = 1; number <= most; number++)
		*shared_pool_at(pool, number) = number < most ? number + 1 : 0;
}

#endif
