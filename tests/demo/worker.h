/* One worker: an HTTP server on a listening socket. */
#ifndef DEMO_WORKER_H
#define DEMO_WORKER_H

#include "tests/demo/store.h"

/* Serves until SIGTERM. The process's exit status. */
int worker_run(struct store *store, int listener);

#endif
