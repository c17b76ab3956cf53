/* Alloc and free: the fast path, and the tiers behind it up to the depot.
 *
 * A thread holds two magazines of a cache, loaded and previous (J. Bonwick, J. Adams: Magazines and
 * Vmem, USENIX 2001).  Alloc pops from loaded, free pushes onto it; when it can't, the two are
 * swapped; when that does not help either, another magazine is claimed from the depot and previous
 * goes back.  Two are needed so that a thread at the border of a magazine does not go to the depot
 * with every call.
 *
 * The steps (a), (b), (c) of shm/magazine.h are plain stores in this order.  No fence is needed: one
 * thread writes a magazine, and whoever repairs it has learnt of its death from the kernel.
 *
 * (Their code is in slabd/fast.h, from where programs may inline it.)
 *
 *	alloc	(a) tag = LIVE(me); (b) count = n-1; (c) rounds[n-1] = 0
 *	free	(a) rounds[n] = ref; (b) tag = CIRC, generation+1; (c) count = n+1
 *
 * Free first looks for room, then checks, then makes another's object its own by a CAS to
 * FREEING(me), and only then begins the steps: from there on nothing can fail. */
#include <errno.h>
#include <string.h>

#include "client/fetch.h"
#include "client/internal.h"
#define SLABD_PROBES_FAST
#include "shm/probe.h"

#define LOW_WATER 4 /* full magazines left in the depot, below which slabd is told */

#define COLD __attribute__((noinline, cold))

/* ---------------------------------------------------------------- magazines */

static inline uint32_t count_of(struct magazine *magazine)
{
	return magazine ? magazine_count(magazine) : 0;
}

static inline bool has_room(const struct slabd_cache *cache, struct magazine *magazine)
{
	return magazine && magazine_count(magazine) < cache->view.geometry.capacity;
}

static void swap_magazines(struct slabd_fast_slot *slot)
{
	struct magazine *loaded = slot->loaded;
	uint32_t index = slot->loaded_index;

	slot->loaded = slot->previous;
	slot->loaded_index = slot->previous_index;
	slot->previous = loaded;
	slot->previous_index = index;
	slot->pause = 0;
}

/* A claimed magazine becomes loaded, loaded becomes previous, previous goes to the depot. */
static void load_claimed(struct slabd_cache *cache, struct slabd_fast_slot *slot,
			 struct claim claim)
{
	struct counters *counters = depot_counters(&cache->view, slot->me);
	struct magazine *back = slot->previous;
	uint32_t back_index = slot->previous_index, n = magazine_count(claim.magazine);

	if (unlikely(n > cache->view.geometry.capacity)) { /* no protocol step left that */
		n = 0;
		store_relaxed(&claim.magazine->count, 0);
	}
	add_relaxed(&counters->claims, 1);
	if (n)
		add_relaxed(&counters->allocs, n);
	slot->previous = slot->loaded;
	slot->previous_index = slot->loaded_index;
	slot->loaded = claim.magazine;
	slot->loaded_index = claim.index;
	slot->pause = 0;
	PROBE3(claim, cache->name, n, slot->me);
	if (!back)
		return;
	/* the next search of its kind begins with it: it is the warmest */
	if (magazine_count(back)) {
		add_relaxed(&counters->frees, magazine_count(back));
		slot->full_cursor = back_index;
		fetch_put(slot);
	} else {
		slot->empty_cursor = back_index;
	}
	depot_put(&cache->view, back_index, back);
}

/* ---------------------------------------------------------------- alloc, slow tiers */

/* Makes the loaded magazine one with rounds that may be taken, without slabd: false if the depot is dry. */
static bool load_rounds(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	if (count_of(slot->loaded))
		fetch_more(cache, slot);
	while (!count_of(slot->loaded)) {
		struct claim claim;

		if (count_of(slot->previous)) {
			swap_magazines(slot);
			break;
		}
		claim = depot_claim(&cache->view, MAGAZINE_FULL, slot->me, UINT32_MAX,
				    &slot->full_cursor);
		if (!claim.magazine)
			return false;
		load_claimed(cache, slot, claim);
		fetch_claimed(cache, slot);
		if (load_relaxed(&cache->view.control->rung) == 0 &&
		    depot_low(&cache->view, LOW_WATER, slot->full_cursor))
			refill_ring(cache, false);
	}
	return true;
}

static void resume_parked(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	pthread_mutex_lock(&process->lock);
	parked_resume(cache, slot);
	pthread_mutex_unlock(&process->lock);
	poison_hide(cache, slot);
}

/* The loaded magazine of the calling thread has rounds afterwards: 0, or -errno with the error set. */
static COLD int alloc_more(struct slabd_cache *cache, unsigned flags, uint32_t wanted)
{
	uint64_t deadline = 0;
	struct slabd_fast_slot *slot = thread_slot(cache);
	int r;

	if (!slot->live) {
		deadline = flags & SLABD_NOWAIT ? clock_deadline_short() : clock_deadline();
		r = thread_enter(cache, deadline);
		if (r < 0)
			return r;
		slot = thread_slot(cache);
	}
	if (parked_any())
		resume_parked(cache, slot);
	while (!load_rounds(cache, slot)) {
		if (flags & SLABD_NOWAIT) {
			refill_ring(cache, true);
			return error_set(-ENOMEM,
					 "cache \"%s\": the depot is dry, and NOWAIT does not wait "
					 "for slabd",
					 cache->name);
		}
		if (!deadline)
			deadline = clock_deadline();
		if (clock_now() >= deadline)
			return error_set(
				-ETIMEDOUT,
				"cache \"%s\": others took all that slabd filled in, until "
				"time was up",
				cache->name);
		r = refill_wait(cache, wanted, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---------------------------------------------------------------- alloc */

static int check_flags(const struct slabd_cache *cache, unsigned flags)
{
	if (!(flags & ~(SLABD_ZERO | SLABD_NOWAIT)))
		return 0;
	return error_set(-EINVAL, "cache \"%s\": alloc flags 0x%x, of which 0x%x is unknown",
			 cache->name, flags, flags & ~(SLABD_ZERO | SLABD_NOWAIT));
}

static COLD void *alloc_slow(struct slabd_cache *cache, unsigned flags)
{
	void *object;
	int r;

	do {
		r = alloc_more(cache, flags, 1);
		if (r < 0)
			return error_null(r);
		object = slabd_fast_take(cache);
	} while (!object);
	poison_taken(cache, object);
	PROBE2(alloc, cache, object);
	return object;
}

static __attribute__((noinline)) void *alloc_flagged(struct slabd_cache *cache, unsigned flags)
{
	int r = check_flags(cache, flags);
	void *object;

	if (r < 0)
		return error_null(r);
	object = slabd_fast_take(cache);
	if (!object)
		object = alloc_slow(cache, flags);
	else
		PROBE2(alloc, cache, object);
	if (object && flags & SLABD_ZERO)
		memset(object, 0, cache->view.geometry.object_size);
	return object;
}

void *slabd_alloc(struct slabd_cache *cache, unsigned flags)
{
	void *object;

	if (unlikely(flags))
		return alloc_flagged(cache, flags);
	object = slabd_fast_take(cache);
	if (unlikely(!object))
		return alloc_slow(cache, flags);
	PROBE2(alloc, cache, object);
	return object;
}

size_t slabd_alloc_bulk(struct slabd_cache *cache, unsigned flags, size_t n, void **objects)
{
	int r = check_flags(cache, flags);
	size_t got = 0;

	while (r == 0 && got < n) {
		size_t some = slabd_fast_take_many(cache, n - got, objects + got);

		got += some;
		if (!some) {
			r = alloc_more(cache, flags,
				       n - got > UINT32_MAX ? UINT32_MAX : (uint32_t)(n - got));
			got += poison_take_many(cache, n - got, objects + got);
		}
	}
	if (r < 0) {
		slabd_free_bulk(cache, got, objects);
		errno = -r;
		return 0;
	}
	for (size_t i = 0; flags & SLABD_ZERO && i < n; i++)
		memset(objects[i], 0, cache->view.geometry.object_size);
	return n;
}

/* ---------------------------------------------------------------- free, slow tiers */

static slabd_fast_word *tag_of(const struct slabd_cache *cache, slab_ref ref)
{
	return slabd_fast_tag(&cache->fast, ref_address(cache->view.heap, ref));
}

void free_add(struct slabd_cache *cache, struct slabd_fast_slot *slot, slab_ref ref)
{
	slabd_fast_word *tag = tag_of(cache, ref);
	struct slabd_fast_magazine *magazine = slot->loaded;

	slabd_fast_add(magazine, SLABD_FAST_LOAD(&magazine->count), ref, tag,
		       tag_retired(SLABD_FAST_LOAD(tag), TAG_CIRC));
}

int free_make_room(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	struct claim claim;

	if (has_room(cache, slot->loaded))
		return 0;
	if (has_room(cache, slot->previous)) {
		swap_magazines(slot);
		return 0;
	}
	claim = depot_claim(&cache->view, MAGAZINE_EMPTY, slot->me, UINT32_MAX,
			    &slot->empty_cursor);
	if (!claim.magazine) {
		refill_ring(cache, false);
		claim = depot_claim(&cache->view, MAGAZINE_FULL, slot->me,
				    cache->view.geometry.capacity - 1, &slot->empty_cursor);
	}
	if (!claim.magazine)
		return -ENOBUFS;
	load_claimed(cache, slot, claim);
	return 0;
}

/* Makes the object FREEING(me), or leaves it LIVE(me) where a plain free may begin at (a). */
static bool claim_for_free(const struct slabd_fast_slot *slot, slabd_fast_word *tag, bool room)
{
	uint32_t seen = SLABD_FAST_LOAD(tag);

	while (tag_state(seen) == TAG_LIVE) {
		if (slabd_fast_own(slot, seen)) {
			if (!room) /* listed objects must not look live */
				SLABD_FAST_STORE(
					tag, tag_make(slot->me, TAG_FREEING, tag_generation(seen)));
			return true;
		}
		if (slabd_fast_claim(slot, tag, &seen))
			return true;
	}
	return false;
}

static void free_attached(struct slabd_cache *cache, void *object, slab_ref ref)
{
	struct slabd_fast_slot *slot = thread_slot(cache);
	slabd_fast_word *tag = tag_of(cache, ref);
	bool room;

	if (parked_any())
		resume_parked(cache, slot);
	room = free_make_room(cache, slot) == 0;
	if (!claim_for_free(slot, tag, room)) {
		poison_hide(cache, slot);
		error_refused(cache, object);
		return;
	}
	poison_given(cache, object);
	if (room)
		free_add(cache, slot, ref);
	else
		parked_add(cache, ref, tag_generation(SLABD_FAST_LOAD(tag)), true);
	poison_hide(cache, slot);
	PROBE2(free, cache, object);
}

static COLD void free_slow(struct slabd_cache *cache, void *object)
{
	int saved = errno;
	uint64_t ref;
	uint32_t tag;

	if (!object)
		return;
	if (!slabd_fast_find(&cache->fast, object, &ref)) {
		error_refused(cache, object);
	} else if (thread_slot(cache)->live || thread_enter(cache, clock_deadline_short()) == 0) {
		free_attached(cache, object, (slab_ref)ref);
	} else {
		tag = SLABD_FAST_LOAD(tag_of(cache, (slab_ref)ref));
		if (tag_state(tag) == TAG_LIVE) {
			poison_given(cache, object);
			parked_add(cache, (slab_ref)ref, tag_generation(tag), false);
		} else {
			error_refused(cache, object);
		}
	}
	errno = saved;
}

/* ---------------------------------------------------------------- free */

/* An object that anybody may own, or something that needs another look. */
static __attribute__((noinline)) void free_any(struct slabd_cache *cache, void *object)
{
	const struct slabd_fast_slot *slot = thread_slot(cache);
	struct slabd_fast_magazine *magazine;
	slabd_fast_word *tag;
	uint64_t n, ref;
	uint32_t seen;

	magazine = slabd_fast_begin(cache, object, &n, &ref);
	if (magazine) {
		tag = slabd_fast_tag(&cache->fast, object);
		seen = SLABD_FAST_LOAD(tag);
		if (slabd_fast_own(slot, seen) || slabd_fast_claim(slot, tag, &seen)) {
			slabd_fast_add(magazine, n, (uint32_t)ref, tag, slabd_fast_retired(seen));
			PROBE2(free, cache, object);
			return;
		}
	}
	free_slow(cache, object);
}

void slabd_free(struct slabd_cache *cache, void *object)
{
	if (likely(slabd_fast_give(cache, object)))
		PROBE2(free, cache, object);
	else
		free_any(cache, object);
}

void slabd_free_bulk(struct slabd_cache *cache, size_t n, void *const *objects)
{
	size_t done = 0;

	while (done < n) {
		done += slabd_fast_give_many(cache, n - done, objects + done);
		if (done < n)
			free_slow(cache, objects[done++]);
	}
}

int free_generation(struct slabd_cache *cache, slab_ref ref, uint32_t generation, uint64_t deadline)
{
	slabd_fast_word *tag = tag_of(cache, ref);
	struct slabd_fast_slot *slot = thread_slot(cache);
	void *object = ref_address(cache->view.heap, ref);
	uint32_t seen;
	bool room;

	if (!slot->live) {
		if (thread_enter(cache, deadline) < 0) {
			poison_given(cache, object);
			parked_add(cache, ref, generation, false);
			return 0;
		}
		slot = thread_slot(cache);
	}
	room = free_make_room(cache, slot) == 0;
	seen = SLABD_FAST_LOAD(tag);
	do {
		if (tag_state(seen) != TAG_LIVE || tag_generation(seen) != generation) {
			poison_hide(cache, slot);
			return -ESTALE;
		}
	} while (!slabd_fast_claim(slot, tag, &seen));
	poison_given(cache, object);
	if (room)
		free_add(cache, slot, ref);
	else
		parked_add(cache, ref, generation, true);
	poison_hide(cache, slot);
	return 0;
}
