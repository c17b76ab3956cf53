/* Regions that are files in a directory (tmpfs, hugetlbfs, a DAX mount), so that a segment outlives
 * every process of slabd. */
#ifndef DAEMON_FILES_H
#define DAEMON_FILES_H

#include <stddef.h>

#include "daemon/backing.h"
#include "shm/layout.h"

/* Opens or makes state, catalog, depot and heap in the directory, locked against another slabd.
 * Files that are there are adopted, after their header, layout version and sizes were checked:
 * ret->adopted says so, and *super is theirs.  -EBUSY when another slabd has them, -EPROTO or -EIO
 * with the reason when they are none of ours; they are left untouched then. */
int files_open(struct backing *ret, const char *directory, struct superblock *super, char *error,
	       size_t error_bytes);

/* Are the four regions a whole segment of our layout?  Then *super is its superblock.  where names
 * them in the error. */
int files_verify(const struct backing *backing, const char *where, struct superblock *super,
		 char *error, size_t error_bytes);

/* Could they be made or opened there?  Changes nothing. */
int files_check(const char *directory, char *error, size_t error_bytes);

#endif
