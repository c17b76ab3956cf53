/* What slabd is to reach, and whether it did. */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

struct verdict {
	unsigned size, row, who;
	double bound, seen; /* a ratio, or bytes; NaN: a peer or a row was not measured */
	char wanted[64];
	bool few; /* repetitions */
};

bool verdict_of(size_t number, struct verdict *ret); /* false: there are no more */

#endif
