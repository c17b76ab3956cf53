/* The depot of one cache: magazines that no one holds, found by hint words, taken by one CAS.
 * Theory in depot.c. */
#ifndef SHM_DEPOT_H
#define SHM_DEPOT_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

/* A magazine that was claimed: its number in the cache (rack * 64 + place) and its address. */
struct claim {
	struct magazine *magazine; /* NULL: none found */
	uint32_t index;
};

/* The magazine of this number; NULL if there is no such rack. */
struct magazine *depot_magazine(const struct cache_view *cache, uint32_t index);

/* How many magazines the published racks hold. */
static inline uint32_t depot_magazines(const struct cache_view *cache)
{
	return load_acquire(&cache->desc->racks) * RACK_MAGAZINES;
}

/* Takes and signs a magazine that is in state want (MAGAZINE_EMPTY or MAGAZINE_FULL) and has at
 * most count_max rounds.  The search starts at magazine *cursor and leaves there where it ended.
 * Lock-free; any process, any thread. */
struct claim depot_claim(const struct cache_view *cache, uint32_t want, uint32_t party,
			 uint32_t count_max, uint32_t *cursor);

/* Takes and signs the magazine of this number if it is in state want.  The daemon's retirement and
 * tests; clears the hint as depot_claim does. */
bool depot_claim_index(const struct cache_view *cache, uint32_t want, uint32_t party,
		       uint32_t index);

/* Gives back a magazine that party holds: FULL if it has rounds, else EMPTY. */
void depot_put(const struct cache_view *cache, uint32_t index, struct magazine *magazine);

/* Are there fewer than level magazines that may be full?  Looks at hints only, and stops counting
 * at level. */
bool depot_low(const struct cache_view *cache, uint32_t level, uint32_t cursor);

/* Is there a magazine in this state at the moment, by its owner word? */
bool depot_any(const struct cache_view *cache, uint32_t state);

/* Sets the control's rung word; true for the one caller who found it 0 and so rings. */
bool depot_ring(const struct cache_view *cache);

static inline struct counters *depot_counters(const struct cache_view *cache, uint32_t party)
{
	return &cache->control->counters[party % COUNTER_STRIPES];
}

#endif
