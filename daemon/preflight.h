/* slabd --check: all that a start needs, looked at without starting. */
#ifndef DAEMON_PREFLIGHT_H
#define DAEMON_PREFLIGHT_H

#include <stdbool.h>

#include "daemon/options.h"

/* Prints a line each to stdout, with what to do about it; true if slabd would start. */
bool preflight(const struct options *options);

#endif
