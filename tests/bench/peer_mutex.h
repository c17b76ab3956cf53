/* A list of free objects under a robust mutex that processes share; many go under one lock. */
#ifndef BENCH_PEER_MUTEX_H
#define BENCH_PEER_MUTEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/common.h"
#include "tests/bench/shared_pool.h"

static struct shared_pool peer_mutex_pool;
static struct peer_mutex {
	pthread_mutex_t lock;
	uint64_t head;
} * peer_mutex;

static inline bool peer_mutex_open(size_t object_size, size_t most)
{
	pthread_mutexattr_t attributes;

	shared_pool_open(&peer_mutex_pool, object_size, most);
	peer_mutex = shared_pool_memory(sizeof *peer_mutex);
	peer_mutex->head = 1;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	return pthread_mutex_init(&peer_mutex->lock, &attributes) == 0;
}

static inline void peer_mutex_lock(void)
{
	if (__builtin_expect(pthread_mutex_lock(&peer_mutex->lock), 0))
		fail("the robust mutex");
}

static inline void peer_mutex_alloc_bulk(size_t n, void **objects)
{
	peer_mutex_lock();
	for (size_t i = 0; i < n; i++) {
		uint64_t *object = shared_pool_at(&peer_mutex_pool, peer_mutex->head);

		peer_mutex->head = *object;
		objects[i] = object;
	}
	pthread_mutex_unlock(&peer_mutex->lock);
}

static inline void peer_mutex_free_bulk(size_t n, void **objects)
{
	peer_mutex_lock();
	for (size_t i = 0; i < n; i++) {
		*(uint64_t *)objects[i] = peer_mutex->head;
		peer_mutex->head = shared_pool_number(&peer_mutex_pool, objects[i]);
	}
	pthread_mutex_unlock(&peer_mutex->lock);
}

static inline void *peer_mutex_alloc(void)
{
	void *object;

	peer_mutex_alloc_bulk(1, &object);
	return object;
}

static inline void peer_mutex_free(void *object)
{
	peer_mutex_free_bulk(1, &object);
}

#endif
