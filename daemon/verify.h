/* May what lies in catalog and state be trusted?  Only slabd writes them, so in a live segment it always
 * may; in files that somebody kept it is asked first. */
#ifndef DAEMON_VERIFY_H
#define DAEMON_VERIFY_H

#include "daemon/pool.h"

/* The superblock alone, before anything is mapped by its numbers.  0; -EPROTO if it is none of ours or
 * of another layout, -EIO if it was not finished or no slabd writes one so; why says it. */
int verify_superblock(const struct superblock *super, char *why, size_t n);

/* Descriptors, racks, slab table and client table, which pool has mapped.  0; -EIO and why: nothing was
 * changed. */
int verify_regions(const struct pool *pool, char *why, size_t n);

#endif
