/* What walks over a pool at work found wrong: damage stays word for word from one walk to the next, what
 * merely moved does not (shm/audit.h).  An object's words have its generation, which every free changes;
 * a magazine's have its sequence. */
#ifndef DAEMON_SUSPECTS_H
#define DAEMON_SUSPECTS_H

#include "shm/audit.h"

/* So many are told apart; of more, those that are seen first. */
#define SUSPECTS_MAX   65536u
#define SUSPECTS_TABLE (2 * SUSPECTS_MAX)

struct suspect {
	uint64_t words;
	uint32_t cache;
	enum audit_finding finding;
};

/* All zeros at first: most walks find nothing, and then it takes no memory. */
struct suspects {
	struct suspect *now; /* of this walk */
	uint32_t now_n;
	bool overflow;	  /* it found more, or there was no memory for them */
	uint64_t *before; /* of the last one, hashed: an open table, 0 is a free place */
	bool walked;	  /* there was a last one */
};

void suspects_deinit(struct suspects *suspects);

void suspects_add(struct suspects *suspects, uint32_t cache, enum audit_finding finding,
		  uint64_t words);

/* After a walk whose counts by cache these are: are they final?  Then they have only what both walks
 * found.  False: walk again, after suspects_turn. */
bool suspects_judge(struct suspects *suspects, struct audit_count *caches);
void suspects_turn(struct suspects *suspects);

#endif
