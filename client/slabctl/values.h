/* Values on the command line.  What is wrong with one ends the process. */
#ifndef SLABCTL_VALUES_H
#define SLABCTL_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "client/slabctl/query.h"

/* Says so and exits with EXIT_USAGE. */
void usage(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* units: K or M may stand behind it.  what is the option's name. */
uint64_t value_number(const char *what, const char *text, uint64_t min, uint64_t max, bool units);
/* 0.1 to 86400 seconds, in milliseconds. */
unsigned value_seconds(const char *what, const char *text);
uint32_t value_flags(const char *list); /* GEOMETRY_*, by name, with commas between */
int value_pid(const char *text);
/* KEY=NUMBER or KEY=default. */
struct setting value_setting(const char *text);
const char *value_sort(const char *text); /* a letter that top sorts by */
void value_name(const char *name);	  /* checks it */

#endif
