/* The worker: maps the segment, runs the loop.  Forked by the keeper, again and again if it must. */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "daemon/backing.h"
#include "daemon/options.h"

/* What it inherits. */
struct worker_setup {
	const struct options *options;
	const struct backing *backing;
	int listener;
	int keeper;	   /* where it says READY and STOPPING */
	int lock;	   /* held as long as a copy of it is open */
	unsigned restarts; /* 0: the first worker */
};

/* Serves until SIGTERM; the exit code. */
int worker_run(const struct worker_setup *setup);

/* Signals that keeper and worker read from a signalfd; the others are blocked or ignored. */
int worker_signals(const int *numbers, unsigned n);

#endif
