/* Repair.
 *
 * A party killed between any two instructions leaves a prefix of its steps (magazine.h).  What it
 * held is found by owner words that name it; nothing else was written down, and nothing else is
 * needed (I-3).  One magazine of the dead, with n rounds and more slots behind them:
 *
 * 1. Rounds within the count whose tag is LIVE(dead): allocs before their step (b), which never
 *    returned.  Their tags become CIRC, from the lowest up: a bulk alloc tags from the top down, so
 *    a repair that is itself killed leaves the same picture, only smaller.
 *
 * 2. Slots past the count that are not 0.  Tag LIVE(dead): a free after (a), or an alloc after (b);
 *    FREEING(dead): a free of another's object; CIRC: a free after (b).  Each is taken in by the
 *    same two steps as a free: tag CIRC, then count+1.  Any other tag: the object is elsewhere and
 *    the slot is cleared.
 *
 * 3. The last store makes the magazine FULL or EMPTY.  Until then it is signed by the dead, so a
 *    repairer that is killed leaves it to be repaired again, and nobody can claim it half done.
 *
 * For a dead daemon (party 1) read SLAB where this says LIVE(dead): drain takes CIRC to SLAB, fill
 * adds from SLAB.
 *
 * The order of things is part of the protocol: all magazines of the dead, then the sweep, only then
 * its id is free.  Swept first, an object that a dead free had put into a slot would be returned to
 * its slab and stand in a magazine.
 *
 * Every word here may have been written by a hostile client: each is read once, bounds-checked, and
 * each tag is changed by a CAS of the whole word.  What no step could have left is counted as bad
 * and dropped; the damage stays in that client's own segment. */
#include "shm/repair.h"

#include "shm/depot.h"

/* The tag that a taking party of this kind stores in step (a). */
static bool was_taken(uint32_t tag, uint32_t dead)
{
	if (dead == PARTY_DAEMON && tag_state(tag) == TAG_SLAB)
		return true;
	return tag_state(tag) == TAG_LIVE && tag_owner(tag) == dead;
}

/* The tag that a slot past the count may have after the steps of a dead add. */
static bool was_added(uint32_t tag, uint32_t dead)
{
	return was_taken(tag, dead) || tag_state(tag) == TAG_CIRC ||
	       (tag_state(tag) == TAG_FREEING && tag_owner(tag) == dead);
}

static uint32_t as_round(uint32_t tag)
{
	uint32_t state = tag_state(tag);

	if (state == TAG_LIVE || state == TAG_FREEING)
		return tag_retired(tag, TAG_CIRC);
	return tag_make(PARTY_NONE, TAG_CIRC, tag_generation(tag));
}

/* Makes the object's tag CIRC if may_be says that the dead left it so.  A failed CAS means that a
 * client stored to it, so it is read and decided anew. */
static bool take_in(const struct cache_view *cache, slab_ref ref, uint32_t dead,
		    bool (*may_be)(uint32_t tag, uint32_t dead))
{
	slab_tag *tag;
	uint32_t seen;

	if (!cache_has_ref(cache, ref))
		return false;
	tag = cache_tag(cache, ref);
	seen = load_relaxed(tag);
	do {
		if (!may_be(seen, dead))
			return false;
	} while (!cas_acq_rel(tag, &seen, as_round(seen)));
	return true;
}

static bool is_round(const struct cache_view *cache, slab_ref ref)
{
	return cache_has_ref(cache, ref) &&
	       tag_state(load_relaxed(cache_tag(cache, ref))) == TAG_CIRC;
}

/* Drops the round at i: the top one takes its place.  Only damage leads here. */
static void drop_round(struct magazine *magazine, uint32_t i, uint32_t count)
{
	store_relaxed(&magazine->rounds[i], load_relaxed(&magazine->rounds[count - 1]));
	atomic_step();
	store_relaxed(&magazine->count, count - 1);
	atomic_step();
	store_relaxed(&magazine->rounds[count - 1], REF_NONE);
}

static uint32_t repair_rounds(const struct cache_view *cache, struct magazine *magazine,
			      uint32_t dead, struct repair_count *count)
{
	uint32_t n = magazine_count(magazine);

	if (n > cache->geometry.capacity) {
		count->bad++;
		n = cache->geometry.capacity;
		store_relaxed(&magazine->count, n);
	}
	for (uint32_t i = 0; i < n;) {
		slab_ref ref = load_relaxed(&magazine->rounds[i]);

		if (is_round(cache, ref)) {
			i++;
		} else if (take_in(cache, ref, dead, was_taken)) {
			count->finished++;
			i++;
		} else {
			count->bad++;
			drop_round(magazine, i, n--);
		}
	}
	return n;
}

static uint32_t repair_past(const struct cache_view *cache, struct magazine *magazine, uint32_t n,
			    uint32_t dead, struct repair_count *count)
{
	for (uint32_t i = n; i <= cache->geometry.capacity; i++) {
		slab_ref ref = load_relaxed(&magazine->rounds[i]);

		if (ref == REF_NONE)
			continue;
		if (i == n && n < cache->geometry.capacity &&
		    take_in(cache, ref, dead, was_added)) {
			atomic_step();
			store_relaxed(&magazine->count, ++n);
			count->finished++;
		} else {
			store_relaxed(&magazine->rounds[i], REF_NONE);
		}
		atomic_step();
	}
	return n;
}

void repair_magazine(const struct cache_view *cache, uint32_t index, uint32_t dead,
		     struct repair_count *count)
{
	struct magazine *magazine = depot_magazine(cache, index);
	uint32_t n;

	if (!magazine || !owner_is_held_by(load_acquire(&magazine->owner), dead))
		return;
	n = repair_rounds(cache, magazine, dead, count);
	atomic_step();
	n = repair_past(cache, magazine, n, dead, count);
	count->magazines++;
	count->rounds += n;
	depot_put(cache, index, magazine);
}

enum sweep repair_sweep(const struct cache_view *cache, slab_ref ref, uint32_t dead, bool reclaim)
{
	slab_tag *tag = cache_tag(cache, ref);
	uint32_t seen = load_relaxed(tag);

	do {
		if (tag_owner(seen) != dead)
			return SWEEP_OTHER;
		if (tag_state(seen) == TAG_LIVE && !reclaim)
			return SWEEP_ORPHAN;
		if (tag_state(seen) != TAG_LIVE && tag_state(seen) != TAG_FREEING)
			return SWEEP_OTHER;
	} while (!cas_acq_rel(tag, &seen, tag_retired(seen, TAG_SLAB)));
	return SWEEP_RETURNED;
}
