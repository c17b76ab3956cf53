/* Extents.
 *
 * The heap is a row of 2 MiB extents; the first is never used, so that ref 0 is none.  An extent is
 * backed as a whole before a slab in it is entered in the slab table, and given back as a whole when
 * no slab uses it.  Within an extent slabs of 64 KiB to 2 MiB are naturally aligned runs of units, a
 * bit each in used[].  The map is private: at start it is rebuilt from the slab table, and whatever
 * a dead worker had backed without entering it is punched.
 *
 * A checker of a stale handle may have read the slab table just before the slab left it and read the
 * tag just after.  Therefore units stay in limbo for a second: neither given to another slab nor
 * punched (I-6 and its one exception).  Only shrink, which asks for memory back now, does not wait.
 *
 * The lowest extent with room is taken, so that the heap's upper end drains. */
#include "daemon/extent.h"

#include <errno.h>
#include <stdlib.h>

#define LIMBO_NS UINT64_C(1000000000)

static uint32_t run_mask(uint32_t units)
{
	return units == 32 ? UINT32_MAX : (UINT32_C(1) << units) - 1;
}

static uint32_t units_of(uint32_t slab_shift)
{
	return UINT32_C(1) << (slab_shift - UNIT_SHIFT);
}

/* The lowest free aligned run in an extent's bits; EXTENT_UNITS if there is none. */
static uint32_t find_run(uint32_t used, uint32_t units)
{
	for (uint32_t at = 0; at < EXTENT_UNITS; at += units)
		if (!(used >> at & run_mask(units)))
			return at;
	return EXTENT_UNITS;
}

static void mark(struct extents *extents, uint32_t unit, uint32_t units)
{
	extents->used[unit / EXTENT_UNITS] |= run_mask(units) << unit % EXTENT_UNITS;
}

static uint64_t release_extent(struct pool *pool, uint32_t extent)
{
	struct extents *e = &pool->extents;

	if (!e->backed[extent])
		return 0;
	e->backed[extent] = false;
	e->backed_count--;
	backing_punch(pool->backing.heap, (uint64_t)extent << EXTENT_SHIFT, EXTENT_BYTES);
	return EXTENT_BYTES;
}

/* Punches each run of extents that hold no slab: what a dead worker had backed for one that never
 * came to be, or had not yet given back. */
static void punch_unused(struct pool *pool)
{
	struct extents *e = &pool->extents;

	for (uint32_t i = 1; i < e->count;) {
		uint32_t end = i;

		while (end < e->count && !e->used[end])
			end++;
		if (end > i)
			backing_punch(pool->backing.heap, (uint64_t)i << EXTENT_SHIFT,
				      (uint64_t)(end - i) << EXTENT_SHIFT);
		i = end + 1;
	}
}

int extent_open(struct pool *pool)
{
	struct extents *e = &pool->extents;
	uint32_t units = (uint32_t)(pool->segment.heap_bytes >> UNIT_SHIFT);

	TAILQ_INIT(&e->limbo);
	e->count = units / EXTENT_UNITS;
	e->lowest = 1;
	e->used = calloc(e->count, sizeof(*e->used));
	e->backed = calloc(e->count, sizeof(*e->backed));
	if (!e->used || !e->backed)
		return -ENOMEM;
	e->used[0] = UINT32_MAX;
	for (uint32_t unit = EXTENT_UNITS; unit < units; unit++) {
		uint32_t word = load_relaxed(&pool->segment.slab_table[unit]);

		if (word == SLAB_WORD_NONE)
			continue;
		mark(e, unit, units_of(slab_word_shift(word)));
		if (!e->backed[unit / EXTENT_UNITS])
			e->backed_count++;
		e->backed[unit / EXTENT_UNITS] = true;
	}
	punch_unused(pool);
	return 0;
}

void extent_close(struct pool *pool)
{
	struct limbo *limbo;

	while ((limbo = TAILQ_FIRST(&pool->extents.limbo))) {
		TAILQ_REMOVE(&pool->extents.limbo, limbo, link);
		free(limbo);
	}
	free(pool->extents.used);
	free(pool->extents.backed);
}

static int take_run(struct pool *pool, uint32_t extent, uint32_t at, uint32_t units, uint32_t *ret)
{
	struct extents *e = &pool->extents;

	if (!e->backed[extent]) {
		int r = backing_extent(&pool->backing, pool->segment.heap,
				       (uint64_t)extent << EXTENT_SHIFT);

		if (r < 0)
			return r;
		e->backed[extent] = true;
		e->backed_count++;
	}
	*ret = extent * EXTENT_UNITS + at;
	mark(e, *ret, units);
	return 0;
}

int extent_alloc(struct pool *pool, uint32_t slab_shift, uint32_t *ret)
{
	struct extents *e = &pool->extents;
	uint32_t units = units_of(slab_shift);

	while (e->lowest < e->count && e->used[e->lowest] == UINT32_MAX)
		e->lowest++;
	for (uint32_t i = e->lowest; i < e->count; i++) {
		uint32_t at = find_run(e->used[i], units);

		if (at < EXTENT_UNITS)
			return take_run(pool, i, at, units, ret);
	}
	if (!TAILQ_EMPTY(&e->limbo)) {
		/* rather a little early than "no memory" */
		extent_expire(pool, true);
		return extent_alloc(pool, slab_shift, ret);
	}
	return -ENOMEM;
}

static uint64_t clear_units(struct pool *pool, uint32_t unit, uint32_t units)
{
	struct extents *e = &pool->extents;
	uint32_t extent = unit / EXTENT_UNITS;

	e->used[extent] &= ~(run_mask(units) << unit % EXTENT_UNITS);
	if (extent < e->lowest)
		e->lowest = extent;
	return e->used[extent] ? 0 : release_extent(pool, extent);
}

uint64_t extent_free(struct pool *pool, uint32_t unit, uint32_t slab_shift, bool now)
{
	struct limbo *limbo = now ? NULL : malloc(sizeof(*limbo));

	if (!limbo)
		return clear_units(pool, unit, units_of(slab_shift));
	*limbo = (struct limbo){.unit = unit, .units = units_of(slab_shift), .since = pool_now()};
	TAILQ_INSERT_TAIL(&pool->extents.limbo, limbo, link);
	return 0;
}

uint64_t extent_expire(struct pool *pool, bool all)
{
	uint64_t now = pool_now(), bytes = 0;
	struct limbo *limbo;

	while ((limbo = TAILQ_FIRST(&pool->extents.limbo)) &&
	       (all || now - limbo->since >= LIMBO_NS)) {
		TAILQ_REMOVE(&pool->extents.limbo, limbo, link);
		bytes += clear_units(pool, limbo->unit, limbo->units);
		free(limbo);
	}
	return bytes;
}
