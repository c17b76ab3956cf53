/* The next worker from another binary (SIGUSR2): the keeper stays, what it holds is passed on. */
#ifndef DAEMON_HANDOFF_H
#define DAEMON_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/worker.h"

/* The path of the program that runs now, as it was at its start; what lies there later is what an
 * upgrade put there. */
int handoff_program(char *path, size_t bytes);

/* Asks the program at path for the layout it works on; -errno if it does not say. */
int handoff_layout(const char *path);

/* In a child of the keeper: becomes the program at path as a worker.  Returns only -errno. */
int handoff_exec(const char *path, char **argv, const struct worker_setup *setup);

/* In main: was this process started by handoff_exec?  Then *setup and *backing are what it was
 * given; options are the caller's to set. */
bool handoff_take(struct worker_setup *setup, struct backing *backing);

#endif
