/* Objects that outlived their owner: who left them, in which cache; and freeing them. */
#ifndef DAEMON_ORPHANS_H
#define DAEMON_ORPHANS_H

#include "daemon/pool.h"

struct orphan {
	uint32_t cache, owner; /* ids */
	uint64_t objects;
	/* the owner when it was met first, for its id may be another's by now */
	int32_t pid; /* 0: unknown, as several were folded into one (tombs.c) */
	uint32_t owners;
	uint64_t died_at; /* the last of them */
	char comm[16];
};

struct orphans {
	int status;		   /* 0, or -ENOMEM */
	const struct orphan *list; /* by cache and owner */
	size_t n;		   /* at most ORPHANS_PAGE */
	uint64_t next;		   /* where the next page begins; 0: this was the last */
	uint64_t freed;		   /* objects that came back to their slabs */
};

typedef void (*orphans_fn)(void *arg, const struct orphans *orphans);

#define ORPHANS_PAGE 256u /* fits a packet with the longest names */

/* Lists the orphans of one cache, or of all (cache id 0), as a job, from first on (0: all of them).
 * With reclaim those listed are freed: the rest, if next is not 0, by asking again with first 0.
 * An orphan that a client adopts meanwhile stays the client's: each is freed by one CAS. */
void orphans_walk(struct pool *pool, uint32_t cache, bool reclaim, uint64_t first, orphans_fn done,
		  void *waiter);

#endif
