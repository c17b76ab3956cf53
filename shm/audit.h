/* The oracle: proves I-1 and I-2 on a whole segment by reading it.
 *
 *	objects = in_slabs + in_magazines + live + orphaned + freeing, each object found once
 *
 * Exact when nobody is in the middle of an operation.  Reads only; a hostile word is counted as
 * damage, never followed.
 *
 * Of a pool at work (audit_watch) two things look like damage and are none:
 *
 *  - A client between two steps of an alloc or a free, which may stop there for as long as it likes.  Its
 *    magazine shows it, as it would to repair: its uppermost rounds are already LIVE of the holder, or a
 *    slot past the count has a ref.  Such objects are `moving`.
 *  - What moved after its magazine was looked at and before its tag was.  The next walk finds it
 *    elsewhere, or with another generation, whereas damage stays word for word as it is.  Each finding is
 *    told with its words, so that who walks twice can tell them apart. */
#ifndef SHM_AUDIT_H
#define SHM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

struct audit_count {
	uint64_t objects, in_slabs, in_magazines, live, orphaned, freeing;
	uint64_t lost;	    /* CIRC and in no magazine, or LIVE or FREEING of nobody */
	uint64_t doubled;   /* found in more than one place, or in a magazine while not CIRC */
	uint64_t magazines; /* whose owner word, count or hint contradict each other */
	uint64_t moving;    /* of live and freeing: in the middle of an alloc or a free */
};

enum audit_finding {
	FINDING_LOST,	 /* CIRC and in no magazine */
	FINDING_STRAY,	 /* LIVE of nobody */
	FINDING_STUCK,	 /* FREEING of nobody */
	FINDING_DOUBLED, /* an object or a round */
	FINDING_MAGAZINE
};
typedef void (*audit_found_fn)(void *arg, uint32_t cache, enum audit_finding finding,
			       uint64_t words);

/* What the auditor can't know from the shared bytes: whether an owner is a tomb (its objects are
 * orphans), a live client, or neither (then what it owns is lost). */
enum audit_owner { AUDIT_NOBODY, AUDIT_CLIENT, AUDIT_TOMB };
typedef enum audit_owner (*audit_owner_fn)(void *arg, uint32_t owner);

struct audit {
	const struct segment *segment;
	audit_owner_fn owner;
	audit_found_fn found; /* NULL: nobody is at work */
	void *arg;
	struct audit_count *caches; /* by id, 0 to max_caches */
	uint64_t *live_of;	    /* by party: objects LIVE of it */
	uint64_t *rounds_of;	    /* by party: rounds in the magazines that it holds */
	uint64_t *marks;	    /* a bit a ref: seen in a magazine */
	uint64_t *ways;		    /* the same: on its way into or out of a client's magazine */
	uint64_t marks_bytes;
	uint32_t cache, index; /* first all magazines, by cache */
	uint32_t unit;	       /* then all slabs, by heap unit */
	bool magazines_done;
};

/* 0, or -ENOMEM. owner NULL: every owner is a live client. */
int audit_init(struct audit *audit, const struct segment *segment, audit_owner_fn owner, void *arg);
/* Before the first step: clients are at work meanwhile; found(arg, ...) is told of each finding.  0, or
 * -ENOMEM. */
int audit_watch(struct audit *audit, audit_found_fn found);
void audit_deinit(struct audit *audit);

/* Forgets what was seen and begins anew. */
void audit_restart(struct audit *audit);

/* Looks at about so many objects; true when all are seen. */
bool audit_step(struct audit *audit, uint64_t objects);

/* After the last step. */
bool audit_count_is_balanced(const struct audit_count *count);
bool audit_is_balanced(const struct audit *audit);

/* All at once, for tests and small segments: true if balanced; *total, if not NULL, is the sum over
 * all caches. */
bool audit_segment(const struct segment *segment, audit_owner_fn owner, void *arg,
		   struct audit_count *total);

#endif
