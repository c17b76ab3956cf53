/* The tag: one 32-bit word per object that says what state it is in and whose it is.
 *
 *	owner:14 | state:2 | generation:16
 *
 *	SLAB --fill--> CIRC --alloc--> LIVE(me) --free, mine----------------------> CIRC --drain--> SLAB
 *	               LIVE(you) --CAS: I free yours--> FREEING(me) --> CIRC
 *	               LIVE(you) --CAS: adopt--> LIVE(me)    LIVE(dead) --CAS: reclaim--> SLAB
 *	               LIVE(tomb) --CAS: fold--> LIVE(older tomb)
 *
 * Every step towards CIRC or SLAB, by a free, a repair or a reclaim, adds 1 to the generation, so
 * that a handle of before is stale.  A new slab's generations start at random.  Fill and drain keep
 * the generation: no handle can exist between them.  In SLAB and CIRC the owner is 0. */
#ifndef SHM_TAG_H
#define SHM_TAG_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/atomic.h"

typedef _Atomic uint32_t slab_tag;

enum { TAG_SLAB = 0, TAG_CIRC = 1, TAG_LIVE = 2, TAG_FREEING = 3 };

#define TAG_OWNER_SHIFT 18
#define TAG_STATE_SHIFT 16
#define TAG_GENERATION	0xffffu

#define PARTY_NONE   0u
#define PARTY_DAEMON 1u
#define PARTY_FIRST  2u
#define PARTY_MAX    16383u

static inline uint32_t tag_make(uint32_t owner, uint32_t state, uint32_t generation)
{
	return owner << TAG_OWNER_SHIFT | state << TAG_STATE_SHIFT | (generation & TAG_GENERATION);
}

static inline uint32_t tag_owner(uint32_t tag)
{
	return tag >> TAG_OWNER_SHIFT;
}

static inline uint32_t tag_state(uint32_t tag)
{
	return tag >> TAG_STATE_SHIFT & 3;
}

static inline uint32_t tag_generation(uint32_t tag)
{
	return tag & TAG_GENERATION;
}

/* The same object one incarnation later, in a state without owner. */
static inline uint32_t tag_retired(uint32_t tag, uint32_t state)
{
	return tag_make(PARTY_NONE, state, tag_generation(tag) + 1);
}

#endif
