/* A client died, or detached: its magazines and objects come back. */
#ifndef DAEMON_RECLAIM_H
#define DAEMON_RECLAIM_H

#include "daemon/pool.h"

/* Queues the repair and sweep of a client whose record says DYING; how ("died", "detached") is for
 * the log.  done, if not NULL, is told. */
void reclaim_client(struct pool *pool, uint32_t client, const char *how, result_fn done,
		    void *waiter);

/* What the dead worker left: its magazines, then what it was freeing.  At once, before the lists
 * are rebuilt. */
void reclaim_worker(struct pool *pool);

#endif
