/* The depot.
 *
 * 1. Magazines stand in racks of 64.  The rack table (catalog, written by the daemon) says where a
 *    rack lies; racks below desc->racks are published.  A magazine nobody holds is EMPTY or FULL,
 *    its owner word says so, and that word alone decides (I-2).
 *
 * 2. Hints.  Two arrays of words, a word a rack, a bit a magazine: "may be full", "may be empty".
 *    They only say where to look.
 *	put	sets the hint, then stores the owner word
 *	claim	CASes the owner word, then clears the hint, and only if the CAS succeeded
 *    So whenever an owner word says FULL or EMPTY, its hint is set: whoever is killed between the
 *    two steps leaves a hint too many, which costs the next searcher one look, never one too few.
 *    A claimer can't clear the hint of a later put: only the holder puts, and the holder is the
 *    claimer.  A searcher that finds a hint without the magazine leaves it: the CAS of somebody
 *    else may be about to be followed by that clear, or the store of a put by its owner word.
 *
 * 3. Search starts where the thread last claimed or put (its cursor), so that it walks the racks
 *    once and not once a claim.  For FULL it goes down from there, for EMPTY up.  Frees so fill
 *    magazines in rising order and allocs take them in falling order: the last that was put comes
 *    first, as from a stack, and a thread that keeps 1,000 of a million objects busy goes on with
 *    the same ones.  A search that fails has looked at every rack.
 *
 * 4. Orders.  The owner word's acquire CAS pairs with the release store of depot_put: who claims a
 *    magazine sees the rounds, the count, and the tags that its last holder stored.  Hints are
 *    relaxed but for one pair: the hint is set by a locked operation before the owner word's store,
 *    so the two are seen in this order.
 *
 * No party waits: a CAS that fails means that another's succeeded. */
#include "shm/depot.h"

struct magazine *depot_magazine(const struct cache_view *cache, uint32_t index)
{
	const struct geometry *g = &cache->geometry;
	uint32_t page = load_relaxed(&cache->rack_table[index / RACK_MAGAZINES]);

	if (!page || page > cache->depot_pages)
		return NULL;
	return (struct magazine *)(void *)(cache->racks + (uint64_t)(page - 1) * PAGE_BYTES +
					   (uint64_t)(index % RACK_MAGAZINES) * g->magazine_bytes);
}

static uint64_t bit_of(uint32_t index)
{
	return UINT64_C(1) << (index % RACK_MAGAZINES);
}

/* Signs the magazine if its owner word still is owner. */
static bool sign(struct magazine *magazine, uint64_t owner, uint32_t party)
{
	uint64_t signed_word = owner_make(MAGAZINE_HELD, party, owner_sequence(owner) + 1);

	return cas_acq_rel(&magazine->owner, &owner, signed_word);
}

static bool claim_one(const struct cache_view *cache, uint32_t want, uint32_t party,
		      uint32_t count_max, uint32_t index, struct claim *ret)
{
	struct magazine *magazine = depot_magazine(cache, index);
	uint64_t owner;

	if (!magazine)
		return false;
	owner = load_relaxed(&magazine->owner);
	if (owner_state(owner) != want || magazine_count(magazine) > count_max)
		return false;
	if (!sign(magazine, owner, party))
		return false;
	and_relaxed(&cache->hints[want][index / RACK_MAGAZINES], ~bit_of(index));
	*ret = (struct claim){magazine, index};
	return true;
}

/* The next of a rack's hints from place on: downwards for FULL, upwards for EMPTY, then round. */
static uint32_t nearest(uint64_t hints, uint32_t want, uint32_t place)
{
	uint64_t up_to = UINT64_MAX >> (RACK_MAGAZINES - 1 - place), near;

	if (want == MAGAZINE_FULL) {
		near = hints & up_to;
		return RACK_MAGAZINES - 1 - (uint32_t)__builtin_clzll(near ? near : hints);
	}
	near = hints & ~(up_to >> 1);
	return (uint32_t)__builtin_ctzll(near ? near : hints);
}

/* The search in the rack of magazine at, from there on. */
static bool claim_in_rack(const struct cache_view *cache, uint32_t want, uint32_t party,
			  uint32_t count_max, uint32_t at, struct claim *ret)
{
	uint32_t rack = at / RACK_MAGAZINES;
	uint64_t hints = load_relaxed(&cache->hints[want][rack]);

	while (hints) {
		uint32_t index = rack * RACK_MAGAZINES + nearest(hints, want, at % RACK_MAGAZINES);

		if (claim_one(cache, want, party, count_max, index, ret))
			return true;
		hints &= ~bit_of(index);
	}
	return false;
}

/* The last magazine of the rack below for FULL, the first of the rack above for EMPTY. */
static uint32_t next_rack(uint32_t at, uint32_t want, uint32_t racks)
{
	uint32_t rack = at / RACK_MAGAZINES;

	if (want == MAGAZINE_FULL)
		return (rack ? rack : racks) * RACK_MAGAZINES - 1;
	return rack + 1 < racks ? (rack + 1) * RACK_MAGAZINES : 0;
}

struct claim depot_claim(const struct cache_view *cache, uint32_t want, uint32_t party,
			 uint32_t count_max, uint32_t *cursor)
{
	uint32_t racks = load_acquire(&cache->desc->racks);
	uint32_t at = *cursor / RACK_MAGAZINES < racks ? *cursor : 0;
	struct claim claim = {0};

	for (uint32_t i = 0; i < racks; i++, at = next_rack(at, want, racks))
		if (claim_in_rack(cache, want, party, count_max, at, &claim)) {
			*cursor = claim.index;
			break;
		}
	return claim;
}

bool depot_claim_index(const struct cache_view *cache, uint32_t want, uint32_t party,
		       uint32_t index)
{
	struct claim claim;

	return claim_one(cache, want, party, UINT32_MAX, index, &claim);
}

void depot_put(const struct cache_view *cache, uint32_t index, struct magazine *magazine)
{
	uint64_t owner = load_relaxed(&magazine->owner);
	uint32_t state = magazine_count(magazine) ? MAGAZINE_FULL : MAGAZINE_EMPTY;

	or_relaxed(&cache->hints[state][index / RACK_MAGAZINES], bit_of(index));
	/* killed here: a hint too many; the magazine is still ours and will be repaired */
	store_release(&magazine->owner, owner_make(state, PARTY_NONE, owner_sequence(owner) + 1));
}

bool depot_low(const struct cache_view *cache, uint32_t level, uint32_t cursor)
{
	uint32_t racks = load_relaxed(&cache->desc->racks), found = 0;
	uint32_t at = cursor / RACK_MAGAZINES < racks ? cursor : 0;

	for (uint32_t i = 0; i < racks; i++, at = next_rack(at, MAGAZINE_FULL, racks)) {
		found += (uint32_t)__builtin_popcountll(
			load_relaxed(&cache->hints[MAGAZINE_FULL][at / RACK_MAGAZINES]));
		if (found >= level)
			return false;
	}
	return true;
}

bool depot_any(const struct cache_view *cache, uint32_t state)
{
	uint32_t racks = load_acquire(&cache->desc->racks);

	for (uint32_t rack = 0; rack < racks; rack++) {
		uint64_t hints = load_relaxed(&cache->hints[state][rack]);

		for (; hints; hints &= hints - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(hints);
			struct magazine *magazine =
				depot_magazine(cache, rack * RACK_MAGAZINES + bit);

			if (magazine && owner_state(load_relaxed(&magazine->owner)) == state)
				return true;
		}
	}
	return false;
}

bool depot_ring(const struct cache_view *cache)
{
	return load_relaxed(&cache->control->rung) == 0 &&
	       exchange_relaxed(&cache->control->rung, 1) == 0;
}
