/* How much memory slabd's segment takes. */
#ifndef BENCH_SEGMENT_H
#define BENCH_SEGMENT_H

#include <stdint.h>

uint64_t segment_bytes(void); /* slabctl status's memory_bytes; 0: it can't be asked */

#endif
