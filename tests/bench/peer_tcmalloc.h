/* gperftools' tcmalloc_minimal. */
#ifndef BENCH_PEER_TCMALLOC_H
#define BENCH_PEER_TCMALLOC_H

#include <gperftools/tcmalloc.h>

#define PEER_MALLOC tc_malloc
#define PEER_FREE   tc_free
#include "tests/bench/malloc_peer.h"

#endif
