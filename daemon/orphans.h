/* Objects that outlived their owner: who left them, in which cache; and freeing them. */
#ifndef DAEMON_ORPHANS_H
#define DAEMON_ORPHANS_H

#include "daemon/pool.h"

struct orphan {
	uint32_t cache, owner; /* ids; the owner's record tells its pid and name */
	uint64_t objects;
};

struct orphans {
	int status; /* 0, or -ENOMEM */
	const struct orphan *list;
	size_t n;
	uint64_t freed; /* objects that came back to their slabs */
};

typedef void (*orphans_fn)(void *arg, const struct orphans *orphans);

/* Lists the orphans of one cache, or of all (cache id 0), as a job; with reclaim, frees them too.
 * An orphan that a client adopts meanwhile stays the client's: each is freed by one CAS. */
void orphans_walk(struct pool *pool, uint32_t cache, bool reclaim, orphans_fn done, void *waiter);

#endif
