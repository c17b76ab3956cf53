/* What a dead party left: its magazines, then its objects.  Theory in repair.c. */
#ifndef SHM_REPAIR_H
#define SHM_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

struct repair_count {
	uint64_t magazines; /* that went back to the depot */
	uint64_t rounds;    /* in them */
	uint64_t finished;  /* operations of the dead that were completed or undone */
	uint64_t bad;	    /* words that no protocol step could have left */
};

/* Repairs magazine index, if it is held by dead, and gives it back.  Only for a party that the
 * kernel says is dead (or that detaches and is out of every operation).  May be killed anywhere and
 * run again.  Adds to *count. */
void repair_magazine(const struct cache_view *cache, uint32_t index, uint32_t dead,
		     struct repair_count *count);

enum sweep { SWEEP_OTHER, SWEEP_RETURNED, SWEEP_ORPHAN };

/* One object's turn in the sweep after all magazines of dead are repaired: RETURNED, its tag is
 * SLAB now and the caller lists it free; ORPHAN, it stays LIVE of dead. */
enum sweep repair_sweep(const struct cache_view *cache, slab_ref ref, uint32_t dead, bool reclaim);

#endif
