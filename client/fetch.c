/* Prefetch: what the next allocs will touch is asked for before they do, so that the misses overlap.
 *
 * A magazine's rounds name objects in the order in which they were freed, which no processor guesses.
 * All of it at once, when it is claimed, lets one alloc wait for a microsecond; a round in each alloc
 * costs those most that need it least.  So the fast path stops at a mark in the loaded magazine,
 * slot->pause, as it does at the end of one; the next few are asked for and the mark moves down.  It
 * stays FETCH_LEAD above those that were asked for last: their lines have the time of so many allocs to
 * come.  With the last rounds of a magazine go the first of the one below it in the depot,
 * which is the next that this thread will claim, if nobody else does.
 *
 * This is for what the thread has put itself, and long ago.  What it has put of late it has just touched:
 * the mark is 0 then, and nothing is asked for.  Nor is it for what others have put: their processors
 * still work on lines next to those, and two that ask for one line early take it from each other.
 *
 * All this is a hint: a mark is private memory, and of another's magazine nothing is believed, its rounds
 * are but addresses to prefetch, which no address can make fail. */
#include "client/fetch.h"

#include "client/internal.h"

/* docs/ARCHITECTURE.md has the figures by which these were chosen. */
#define FETCH_ROUNDS 8u	  /* of objects of a line or less; twice as many of larger ones */
#define FETCH_LARGE  128u /* bytes of a stride */
#define FETCH_LEAD   8u
#define FETCH_WARM   16u /* magazines of the thread's own that are taken for warm */

/* Rounds [low, high), from the top down. */
static void fetch_rounds(const struct slabd_cache *cache, struct magazine *magazine, uint32_t low,
			 uint32_t high)
{
	for (uint32_t n = high; n > low; n--) {
		void *object =
			ref_address(cache->view.heap, load_relaxed(&magazine->rounds[n - 1]));

		slabd_fast_fetch(slabd_fast_tag(&cache->fast, object));
		slabd_fast_fetch(object);
	}
}

/* How many at a time. */
static uint32_t some(const struct slabd_cache *cache)
{
	return cache->view.geometry.stride < FETCH_LARGE ? FETCH_ROUNDS : 2 * FETCH_ROUNDS;
}

static uint32_t below(const struct slabd_cache *cache, uint32_t round)
{
	return round > some(cache) ? round - some(cache) : 0;
}

/* What this thread will probably claim next; NULL: nothing that is full. */
static struct magazine *next_magazine(const struct slabd_cache *cache,
				      const struct slabd_fast_slot *slot)
{
	uint32_t index = slot->loaded_index - 1;
	uint64_t bit = UINT64_C(1) << index % RACK_MAGAZINES;

	if (!slot->loaded_index ||
	    !(load_relaxed(&cache->view.hints[MAGAZINE_FULL][index / RACK_MAGAZINES]) & bit))
		return NULL;
	return depot_magazine(&cache->view, index);
}

/* Its header and the lines of its first rounds. */
static void fetch_header(const struct slabd_cache *cache, struct magazine *magazine)
{
	const uint32_t *top = (const uint32_t *)&magazine->rounds[cache->view.geometry.capacity];

	slabd_fast_fetch(magazine);
	slabd_fast_fetch(top - 1);
	slabd_fast_fetch(top - some(cache));
}

void fetch_more(const struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	const uint32_t capacity = cache->view.geometry.capacity, ahead = some(cache) + FETCH_LEAD;
	struct magazine *magazine = slot->loaded;
	uint32_t count = magazine_count(magazine), high, low;

	if (!slot->pause)
		return;
	high = slot->pause - ahead;
	if (high > count) /* a bulk went past the mark */
		high = count;
	low = below(cache, high);
	fetch_rounds(cache, magazine, low, high);
	slot->pause = low ? low + ahead : 0;
	if (low)
		return;
	magazine = next_magazine(cache, slot);
	if (!magazine)
		return;
	count = magazine_count(magazine);
	high = count < capacity ? count : capacity;
	fetch_rounds(cache, magazine, below(cache, high), high);
}

void fetch_claimed(const struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	struct magazine *next;

	if (!slot->put)
		return;
	slot->put--;
	if (slot->warm) {
		slot->warm--;
		return;
	}
	next = next_magazine(cache, slot);
	if (next)
		fetch_header(cache, next);
	slot->pause = magazine_count(slot->loaded) + some(cache) + FETCH_LEAD;
	fetch_more(cache, slot);
	fetch_more(cache, slot);
}

void fetch_put(struct slabd_fast_slot *slot)
{
	slot->put++;
	if (slot->warm < FETCH_WARM)
		slot->warm++;
}
