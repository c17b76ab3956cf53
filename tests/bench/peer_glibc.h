/* The C library's malloc, as it comes. */
#ifndef BENCH_PEER_GLIBC_H
#define BENCH_PEER_GLIBC_H

#include <stdlib.h>

#define PEER_MALLOC malloc
#define PEER_FREE   free
#include "tests/bench/malloc_peer.h"

#endif
