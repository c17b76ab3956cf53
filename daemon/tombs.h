/* Ids that dead owners of orphans hold, and how the living get them when they run short. */
#ifndef DAEMON_TOMBS_H
#define DAEMON_TOMBS_H

#include "daemon/pool.h"

/* A worker that died while it folded: this one goes on. */
void tombs_open(struct pool *pool);

/* Begins to fold if ids are short: called when one was taken, or became a tomb. */
void tombs_look(struct pool *pool);

/* No id is free.  Could a fold or a burial change that?  Then one is begun, if none is under way, and
 * done is told when it is over. */
bool tombs_may_give(const struct pool *pool);
void tombs_wait(struct pool *pool, result_fn done, void *waiter);

#endif
