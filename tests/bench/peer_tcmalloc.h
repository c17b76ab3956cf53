/* gperftools' tcmalloc, without its profilers. */
#ifndef BENCH_PEER_TCMALLOC_H
#define BENCH_PEER_TCMALLOC_H

#include "tests/bench/private_heap.h"

PRIVATE_HEAP(tcmalloc, "libtcmalloc_minimal.so.4", "tc_malloc", "tc_free")

#endif
