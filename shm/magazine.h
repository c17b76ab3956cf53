/* Magazines: arrays of refs, held by exactly one party each.
 *
 * The owner word says by whom (I-2):
 *
 *	state:2 | holder:14 | sequence:48
 *
 *	EMPTY, FULL --acquire CAS--> HELD(party) --release store--> EMPTY, FULL
 *
 * FULL means "has rounds", not "has no room".  The one CAS that takes a magazine also signs it, and
 * each step adds 1 to the sequence, so a CAS with an old word fails.  All zeros is a valid empty
 * magazine: a new rack needs no initialisation and no memory until it is used.
 *
 * Slots past the count are 0 unless an operation is in flight.  The steps of the holder, each one
 * store (a killed holder leaves a prefix of them, which shm/repair.c completes):
 *
 *	take	read rounds[n-1]; (a) tag; (b) count = n-1; (c) rounds[n-1] = 0
 *	add	(a) rounds[n] = ref; (b) tag; (c) count = n+1
 *
 * A client takes to LIVE(me) and adds from LIVE or FREEING(me) to CIRC with generation+1; the
 * daemon takes to SLAB (drain) and adds from SLAB (fill). */
#ifndef SHM_MAGAZINE_H
#define SHM_MAGAZINE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/atomic.h"
#include "shm/layout.h"
#include "shm/ref.h"

enum { MAGAZINE_EMPTY = 0, MAGAZINE_FULL = 1, MAGAZINE_HELD = 2 };

#define OWNER_STATE_SHIFT  62
#define OWNER_HOLDER_SHIFT 48
#define OWNER_SEQUENCE	   ((UINT64_C(1) << OWNER_HOLDER_SHIFT) - 1)

static inline uint64_t owner_make(uint32_t state, uint32_t holder, uint64_t sequence)
{
	return (uint64_t)state << OWNER_STATE_SHIFT | (uint64_t)holder << OWNER_HOLDER_SHIFT |
	       (sequence & OWNER_SEQUENCE);
}

static inline uint32_t owner_state(uint64_t owner)
{
	return (uint32_t)(owner >> OWNER_STATE_SHIFT);
}

static inline uint32_t owner_holder(uint64_t owner)
{
	return (uint32_t)(owner >> OWNER_HOLDER_SHIFT) & 0x3fff;
}

static inline uint64_t owner_sequence(uint64_t owner)
{
	return owner & OWNER_SEQUENCE;
}

static inline bool owner_is_held_by(uint64_t owner, uint32_t party)
{
	return owner_state(owner) == MAGAZINE_HELD && owner_holder(owner) == party;
}

/* Rounds that fit a magazine of so many bytes: one slot stays free so that "past the count" is
 * always a slot. */
static inline uint32_t magazine_rounds_max(uint32_t bytes)
{
	return (bytes - (uint32_t)sizeof(struct magazine)) / (uint32_t)sizeof(slab_ref) - 1;
}

static inline uint32_t magazine_count(struct magazine *magazine)
{
	return load_relaxed(&magazine->count);
}

#endif
