/* slabd, called in its shared library; see peer_slabd_inlined.h. */
#ifndef BENCH_PEER_SLABD_H
#define BENCH_PEER_SLABD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <slabd/slabd.h>

#include "tests/bench/common.h"
#include "tests/bench/segment.h"

#define PEER_SHARED 1
#define PEER_SLABD

static struct slabd *peer_slabd;
static struct slabd_cache *peer_cache;
static size_t peer_size;
static pid_t peer_opener;

static PEER_INLINE void peer_fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, slabd_error());
	exit(1);
}

static PEER_INLINE void peer_attach(void)
{
	struct slabd_cache_args args = {.size_of_args = sizeof args, .object_size = peer_size};
	char name[64];

	snprintf(name, sizeof name, "bench-%zu-%d", peer_size, peer_opener);
	if (slabd_attach(&peer_slabd, NULL) < 0 ||
	    slabd_cache_create(peer_slabd, name, &args, &peer_cache) < 0)
		peer_fail("slabd");
	if (!slabd_same_address(peer_slabd))
		peer_fail("the segment lies elsewhere here");
}

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	(void)most;
	peer_size = object_size;
	peer_opener = getpid();
	memory_before = segment_bytes();
	peer_attach();
	return true;
}

static PEER_INLINE void peer_join(unsigned number)
{
	(void)number;
	peer_attach();
}

static PEER_INLINE void peer_close(void)
{
	slabd_cache_destroy(peer_cache);
}

static PEER_INLINE uint64_t peer_memory(void)
{
	return segment_bytes();
}

static PEER_INLINE void *peer_alloc(void)
{
	void *object = slabd_alloc(peer_cache, 0);

	if (__builtin_expect(!object, 0))
		peer_fail("slabd_alloc");
	return object;
}

static PEER_INLINE void peer_free(void *object)
{
	slabd_free(peer_cache, object);
}

static PEER_INLINE void peer_alloc_bulk(size_t n, void **objects)
{
	if (slabd_alloc_bulk(peer_cache, 0, n, objects) != n)
		peer_fail("slabd_alloc_bulk");
}

static PEER_INLINE void peer_free_bulk(size_t n, void **objects)
{
	slabd_free_bulk(peer_cache, n, objects);
}

#endif
