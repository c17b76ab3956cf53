/* The four regions' memory: where it comes from and in what pages.
 *
 * The keeper makes a backing once and holds its fds over every death of the worker; it maps
 * nothing.  The worker backs extents of the heap before a ref into them is racked (I-6). */
#ifndef DAEMON_BACKING_H
#define DAEMON_BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/layout.h"

enum hugepages { HUGEPAGES_PREFER, HUGEPAGES_REQUIRE, HUGEPAGES_NEVER };
enum backing_kind { BACKING_HUGETLB, BACKING_THP, BACKING_PAGES, BACKING_FILES };

struct backing_options {
	uint64_t size; /* of the heap, bytes */
	enum hugepages hugepages;
	uint32_t max_caches, max_clients;
	const char *directory; /* the regions are files there and outlive slabd; NULL: memfds */
};

struct backing {
	int state, catalog, depot, heap; /* -1: none */
	enum backing_kind kind;
	bool adopted;  /* files of an earlier slabd, with all that is in them */
	char why[256]; /* why not better, and the command that mends it; empty at the best */
};

/* What backing_make would choose, without making it: kind and why.  0, or -errno with a sentence in
 * error under HUGEPAGES_REQUIRE, or when the options pass a limit. */
int backing_check(struct backing *ret, const struct backing_options *options, char *error,
		  size_t error_bytes);

/* Makes the regions at their full span, sealed, mode 0600, with superblock and state head written.
 * With a directory that holds them already, opens those instead (size and limits are theirs): they
 * are locked against a second slabd, their header, layout version and sizes checked, and nothing in
 * them is changed.  0, or -errno with a sentence in error; nothing is left behind then. */
int backing_make(struct backing *ret, const struct backing_options *options, char *error,
		 size_t error_bytes);
/* Takes over memfds of an earlier slabd (regions: their fds, which become *ret's), which are checked as
 * files are.  0, or -errno with a sentence in error. */
int backing_adopt(struct backing *ret, const struct backing *regions,
		  const struct backing_options *options, char *error, size_t error_bytes);
void backing_close(struct backing *backing);

/* How the state region of a segment begins; what changes later is 0. */
struct state_head backing_state_head(const struct superblock *super);

/* Backs the extent of the heap at offset, in 2 MiB pages where the kind says so.  -ENOMEM when the
 * pool, a cgroup or the system has no more; what a failed attempt had taken is given back. */
int backing_extent(const struct backing *backing, char *heap, uint64_t offset);

/* Gives memory of a region back to the system; it reads as zeros afterwards. */
int backing_punch(int fd, uint64_t offset, uint64_t bytes);

/* What the system counts for a region, in bytes. */
uint64_t backing_bytes(int fd);

/* A read-only fd of the catalog, for clients; a client can't reopen it writable (fchmod 0600).  The
 * caller closes it.  -errno on failure. */
int backing_catalog_reader(const struct backing *backing);

/* hugetlb, thp, pages, files */
const char *backing_name(enum backing_kind kind);

#endif
