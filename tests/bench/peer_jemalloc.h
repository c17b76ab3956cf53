/* jemalloc, as Debian builds it. */
#ifndef BENCH_PEER_JEMALLOC_H
#define BENCH_PEER_JEMALLOC_H

#include "tests/bench/private_heap.h"

PRIVATE_HEAP(jemalloc, "libjemalloc.so.2", "malloc", "free")

#endif
