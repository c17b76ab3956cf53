/* The census: counts objects by where they are, and proves that each is in one place, by walks over the
 * whole segment, as a job. */
#ifndef DAEMON_CENSUS_H
#define DAEMON_CENSUS_H

#include "daemon/pool.h"
#include "shm/audit.h"

/* What a census found.  Valid only during the callback. */
struct census {
	const struct audit_count *caches; /* by cache id */
	const uint64_t *live;		  /* by client id: objects LIVE of it */
	const uint64_t *rounds;		  /* by client id: rounds in magazines it holds */
	bool balanced;			  /* I-1 and I-2 hold */
	bool exact;			  /* no walk was needed that was not made */
};

typedef void (*census_fn)(void *arg, const struct census *census);

/* Walks until nothing is found wrong, or until two walks in a row were made, of which only what both found
 * counts.  strict: an audit, which compares with the private lists too, and whose verdict is worth more walks.
 * done gets NULL if there was no memory for it. */
void census_take(struct pool *pool, bool strict, census_fn done, void *waiter);

#endif
