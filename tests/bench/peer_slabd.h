/* slabd, called in its shared library. */
#ifndef BENCH_PEER_SLABD_H
#define BENCH_PEER_SLABD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <slabd/slabd.h>

#include "tests/bench/common.h"

static struct slabd_cache *peer_slabd_cache;

static inline bool peer_slabd_open(size_t object_size, size_t most)
{
	struct slabd_cache_args args = {.size_of_args = sizeof args, .object_size = object_size};
	struct slabd *slabd;
	char name[64];

	(void)most;
	snprintf(name, sizeof name, "bench-%zu-%d", object_size, getpid());
	if (slabd_attach(&slabd, NULL) < 0 ||
	    slabd_cache_create(slabd, name, &args, &peer_slabd_cache) < 0)
		fail("slabd");
	return true;
}

static inline void *peer_slabd_alloc(void)
{
	void *object = slabd_alloc(peer_slabd_cache, 0);

	if (__builtin_expect(!object, 0))
		fail("slabd_alloc");
	return object;
}

static inline void peer_slabd_free(void *object)
{
	slabd_free(peer_slabd_cache, object);
}

static inline void peer_slabd_alloc_bulk(size_t n, void **objects)
{
	if (slabd_alloc_bulk(peer_slabd_cache, 0, n, objects) != n)
		fail("slabd_alloc_bulk");
}

static inline void peer_slabd_free_bulk(size_t n, void **objects)
{
	slabd_free_bulk(peer_slabd_cache, n, objects);
}

#endif
