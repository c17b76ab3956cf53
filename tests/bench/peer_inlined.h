/* slabd, inlined from <slabd/fast.h>, which has to come after whoever calls the library. */
#ifndef BENCH_PEER_INLINED_H
#define BENCH_PEER_INLINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/common.h"
#include "tests/bench/peer_slabd.h"

#include <slabd/fast.h>

static struct slabd_cache *peer_inlined_cache;

static inline bool peer_inlined_open(size_t object_size, size_t most)
{
	struct slabd_cache_args args = {.size_of_args = sizeof args, .object_size = object_size};
	struct slabd *slabd;
	char name[64];

	(void)most;
	snprintf(name, sizeof name, "bench-inlined-%zu-%d", object_size, getpid());
	if (slabd_fast_attach(&slabd, NULL) < 0 ||
	    slabd_cache_create(slabd, name, &args, &peer_inlined_cache) < 0)
		fail("slabd");
	return true;
}

static inline void *peer_inlined_alloc(void)
{
	void *object = slabd_fast_alloc(peer_inlined_cache, 0);

	if (__builtin_expect(!object, 0))
		fail("slabd_fast_alloc");
	return object;
}

static inline void peer_inlined_free(void *object)
{
	slabd_fast_free(peer_inlined_cache, object);
}

static inline void peer_inlined_alloc_bulk(size_t n, void **objects)
{
	if (slabd_fast_alloc_bulk(peer_inlined_cache, 0, n, objects) != n)
		fail("slabd_fast_alloc_bulk");
}

static inline void peer_inlined_free_bulk(size_t n, void **objects)
{
	slabd_fast_free_bulk(peer_inlined_cache, n, objects);
}

#endif
