/* Figures taken again and again, for stat and top: what a moment holds, and what happened between two. */
#ifndef SLABCTL_LIVE_H
#define SLABCTL_LIVE_H

#include "client/slabctl/query.h"

/* One moment.  Zero at first; freed by live_free(). */
struct moment {
	uint64_t at_ms;	  /* of wire_now() */
	uint64_t seconds; /* since the epoch */
	struct status_row status;
	struct list caches; /* struct cache_row */
};

/* Takes *ret anew; connects first where the connection is gone.  An exit code; then the connection
 * is closed, and *ret holds what it held. */
int live_take(struct query *query, struct moment *ret);
void live_free(struct moment *moment);

/* May it be back when it is asked again? */
bool live_may_return(int code);

/* What happened in a span of time; what a restart or a destroyed cache has set back counts from 0. */
struct traffic {
	uint64_t allocs, frees, claims, refills, waits;
	uint64_t span_ms;
};

/* before NULL: since the cache was made. */
struct traffic live_cache_traffic(const struct cache_row *now, const struct cache_row *before);
/* Of all caches; before NULL: since slabd started. */
struct traffic live_traffic(const struct moment *now, const struct moment *before);
/* The cache of this serial, likely the one with this number in the list; NULL: it was not there. */
const struct cache_row *live_find(const struct moment *moment, uint64_t serial, size_t hint);

/* So many a second, rounded. */
uint64_t live_rate(uint64_t count, uint64_t span_ms);

#endif
