/* jemalloc, which takes malloc's own names. */
#ifndef BENCH_PEER_JEMALLOC_H
#define BENCH_PEER_JEMALLOC_H

#include <jemalloc/jemalloc.h>

#define PEER_MALLOC malloc
#define PEER_FREE   free
#include "tests/bench/malloc_peer.h"

#endif
