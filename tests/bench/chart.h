/* Figures as a picture. */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include <stdbool.h>

bool chart_write(const char *path); /* an SVG; false: it can't be written, which is said */

#endif
