#ifndef BENCH_MEDIAN_H
#define BENCH_MEDIAN_H

#include <stddef.h>

/* Sorts the values; NAN if there are none. */
double median(double *values, size_t n);

#endif
