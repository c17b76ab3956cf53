/* A free list under one robust mutex, in memory that processes share. */
#ifndef BENCH_PEER_MUTEX_H
#define BENCH_PEER_MUTEX_H

#include <errno.h>
#include <pthread.h>

#define PEER_SHARED 1

struct peer_pool {
	pthread_mutex_t lock;
	void *head; /* each free object's first word is the next */
};

static struct peer_pool *peer_pool;

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	pthread_mutexattr_t kind;
	char *objects = shared_memory(object_size * most);

	peer_pool = shared_memory(sizeof *peer_pool);
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&peer_pool->lock, &kind);
	for (size_t i = most; i > 0; i--) {
		void **object = (void **)(void *)(objects + (i - 1) * object_size);

		*object = peer_pool->head;
		peer_pool->head = object;
	}
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

static PEER_INLINE void peer_lock(void)
{
	if (!PEER_LIKELY(pthread_mutex_lock(&peer_pool->lock) != EOWNERDEAD))
		pthread_mutex_consistent(&peer_pool->lock);
}

static PEER_INLINE void peer_alloc_bulk(size_t n, void **objects)
{
	peer_lock();
	for (size_t i = 0; i < n; i++) {
		objects[i] = peer_pool->head;
		if (!PEER_LIKELY(objects[i]))
			fail("the pool is empty");
		peer_pool->head = *(void **)objects[i];
	}
	pthread_mutex_unlock(&peer_pool->lock);
}

static PEER_INLINE void peer_free_bulk(size_t n, void **objects)
{
	peer_lock();
	for (size_t i = 0; i < n; i++) {
		*(void **)objects[i] = peer_pool->head;
		peer_pool->head = objects[i];
	}
	pthread_mutex_unlock(&peer_pool->lock);
}

static PEER_INLINE void *peer_alloc(void)
{
	void *object;

	peer_alloc_bulk(1, &object);
	return object;
}

static PEER_INLINE void peer_free(void *object)
{
	peer_free_bulk(1, &object);
}

#endif
