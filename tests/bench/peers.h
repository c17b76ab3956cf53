/* The peers: whom slabd is measured against, one header each, so that each is called as directly as
 * its user would call it. A peer NAME defines
 *
 *	bool  peer_NAME_open(size_t object_size, size_t most)	false: not to be had here; it is skipped
 *	void *peer_NAME_alloc(void)	never NULL while fewer than most objects are live
 *	void  peer_NAME_free(void *object)
 *	void  peer_NAME_alloc_bulk(size_t n, void **objects)
 *	void  peer_NAME_free_bulk(size_t n, void **objects)
 *
 * and adds itself to the list. The first is the one that ratios are about. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "tests/bench/peer_glibc.h"
#include "tests/bench/peer_jemalloc.h"
#include "tests/bench/peer_mimalloc.h"
#include "tests/bench/peer_mutex.h"
#include "tests/bench/peer_slabd.h"
#include "tests/bench/peer_stack.h"
#include "tests/bench/peer_tcmalloc.h"
#include "tests/bench/peer_treiber.h"

/* last: it renames slabd's functions */
#include "tests/bench/peer_inlined.h"

#define PEERS(X)   \
	X(inlined) \
	X(slabd) X(glibc) X(jemalloc) X(tcmalloc) X(mimalloc) X(treiber) X(mutex) X(stack)

#endif
