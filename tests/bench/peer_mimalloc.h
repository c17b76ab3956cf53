/* mimalloc. */
#ifndef BENCH_PEER_MIMALLOC_H
#define BENCH_PEER_MIMALLOC_H

#include <mimalloc.h>

#define PEER_MALLOC mi_malloc
#define PEER_FREE   mi_free
#include "tests/bench/malloc_peer.h"

#endif
