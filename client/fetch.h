/* Prefetch of what the next allocs will touch. */
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

struct slabd_cache;
struct slabd_fast_slot;

/* The loaded magazine has just been claimed, and has rounds. */
void fetch_claimed(const struct slabd_cache *cache, struct slabd_fast_slot *slot);
/* Its next rounds, and so that the fast path goes on. */
void fetch_more(const struct slabd_cache *cache, struct slabd_fast_slot *slot);
/* A magazine with rounds has just been put. */
void fetch_put(struct slabd_fast_slot *slot);

#endif
