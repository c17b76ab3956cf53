/* The end of a cache: nobody has it open and its name is gone. */
#ifndef DAEMON_RELEASE_H
#define DAEMON_RELEASE_H

#include "daemon/registry.h"

/* If that is so, queues the job that gives its slabs, racks and descriptor back. */
void release_if_unused(struct cache *cache);

/* Ends one such job now, for whoever needs a descriptor at once; false if none is queued. */
bool release_one_now(struct pool *pool);

/* Gives the racks' pages back; the magazines in them are nobody's. */
void release_racks(struct cache *cache);

#endif
