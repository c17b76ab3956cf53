/* The master: listening sockets, workers, signals. */
#ifndef DEMO_MASTER_H
#define DEMO_MASTER_H

#include "tests/demo/store.h"

#define WORKERS_MAX 64

/* Serves until SIGTERM or SIGINT with that many workers; one that is killed is replaced. The
 * process's exit status. port 0: any free one, printed. */
int master_run(struct store *store, unsigned workers, unsigned port);

#endif
