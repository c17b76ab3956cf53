/* slabd with its fast paths inlined. */
#ifndef BENCH_PEER_SLABD_INLINED_H
#define BENCH_PEER_SLABD_INLINED_H

#include <slabd/fast.h>

#include "tests/bench/peer_slabd.h"

#endif
