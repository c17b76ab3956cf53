/* mimalloc, not its secure build. */
#ifndef BENCH_PEER_MIMALLOC_H
#define BENCH_PEER_MIMALLOC_H

#include "tests/bench/private_heap.h"

PRIVATE_HEAP(mimalloc, "libmimalloc.so.2", "mi_malloc", "mi_free")

#endif
