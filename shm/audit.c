#include "shm/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/depot.h"

/* Sparse: only what belongs to slabs in use is ever touched.  NULL: no memory. */
static uint64_t *bits_map(const struct audit *audit)
{
	void *p = mmap(NULL, audit->marks_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int audit_init(struct audit *audit, const struct segment *segment, audit_owner_fn owner, void *arg)
{
	*audit = (struct audit){.segment = segment, .owner = owner, .arg = arg, .cache = 1};
	audit->caches = calloc(segment->max_caches + 1, sizeof(*audit->caches));
	audit->live_of = calloc(2 * (PARTY_MAX + 1), sizeof(*audit->live_of));
	audit->rounds_of = audit->live_of + PARTY_MAX + 1;
	audit->marks_bytes = (segment->heap_bytes >> REF_SHIFT) / 8;
	audit->marks = bits_map(audit);
	if (audit->caches && audit->live_of && audit->marks)
		return 0;
	audit_deinit(audit);
	return -ENOMEM;
}

int audit_watch(struct audit *audit, audit_found_fn found)
{
	audit->ways = bits_map(audit);
	audit->found = found;
	return audit->ways ? 0 : -ENOMEM;
}

void audit_deinit(struct audit *audit)
{
	if (audit->marks)
		munmap(audit->marks, audit->marks_bytes);
	if (audit->ways)
		munmap(audit->ways, audit->marks_bytes);
	free(audit->live_of);
	free(audit->caches);
	*audit = (struct audit){0};
}

void audit_restart(struct audit *audit)
{
	memset(audit->caches, 0, (audit->segment->max_caches + 1) * sizeof(*audit->caches));
	memset(audit->live_of, 0, 2 * (PARTY_MAX + 1) * sizeof(*audit->live_of));
	madvise(audit->marks, audit->marks_bytes, MADV_DONTNEED);
	if (audit->ways)
		madvise(audit->ways, audit->marks_bytes, MADV_DONTNEED);
	audit->cache = 1;
	audit->index = 0;
	audit->unit = 0;
	audit->magazines_done = false;
}

/* A cache whose release is under way is nobody's any more. */
static bool is_in_use(const struct audit *audit, uint32_t id)
{
	uint32_t state = load_acquire(&audit->segment->descriptors[id].state);

	return state != CACHE_FREE && state != CACHE_RELEASING;
}

static bool bit_get(const uint64_t *bits, slab_ref ref)
{
	return bits[ref / 64] >> (ref % 64) & 1;
}

static void bit_set(uint64_t *bits, slab_ref ref)
{
	bits[ref / 64] |= UINT64_C(1) << (ref % 64);
}

static enum audit_owner owner_of(const struct audit *audit, uint32_t owner)
{
	return audit->owner ? audit->owner(audit->arg, owner) : AUDIT_CLIENT;
}

static void find(struct audit *audit, uint32_t cache, enum audit_finding finding, uint64_t high,
		 uint64_t low)
{
	struct audit_count *count = &audit->caches[cache];

	if (finding == FINDING_DOUBLED)
		count->doubled++;
	else if (finding == FINDING_MAGAZINE)
		count->magazines++;
	else
		count->lost++;
	if (audit->found)
		audit->found(audit->arg, cache, finding, high << 32 | low);
}

static void see_round(struct audit *audit, const struct cache_view *cache, uint32_t index,
		      slab_ref ref)
{
	if (!cache_has_ref(cache, ref))
		find(audit, cache->id, FINDING_DOUBLED, ref, index);
	else if (bit_get(audit->marks, ref))
		find(audit, cache->id, FINDING_DOUBLED, ref, load_relaxed(cache_tag(cache, ref)));
	else
		bit_set(audit->marks, ref);
}

/* A round below the count.  0 there is damage, unless it was popped meanwhile. */
static slab_ref round_at(struct magazine *magazine, uint32_t i)
{
	slab_ref ref = load_acquire(&magazine->rounds[i]);

	for (unsigned tries = 0; !ref && tries < 16 && magazine_count(magazine) > i; tries++)
		ref = load_acquire(&magazine->rounds[i]);
	return ref;
}

/* How many of a client's n rounds are still in the magazine: not those that it is taking. */
static uint32_t rounds_left(const struct cache_view *cache, const struct magazine *magazine,
			    uint32_t holder, uint32_t n)
{
	for (; n; n--) {
		slab_ref ref = load_relaxed(&magazine->rounds[n - 1]);
		uint32_t tag;

		if (!cache_has_ref(cache, ref))
			break;
		tag = load_relaxed(cache_tag(cache, ref));
		if (tag_state(tag) != TAG_LIVE || tag_owner(tag) != holder)
			break;
	}
	return n;
}

/* What a client is taking out of its magazine or putting into it. */
static void see_ways(struct audit *audit, const struct cache_view *cache,
		     const struct magazine *magazine, uint32_t from)
{
	for (uint32_t i = from; i < cache->geometry.capacity; i++) {
		slab_ref ref = load_relaxed(&magazine->rounds[i]);

		if (ref && cache_has_ref(cache, ref))
			bit_set(audit->ways, ref);
	}
}

/* A magazine's own words: the owner is somebody, the count fits, EMPTY is empty, the hint is set. */
static bool magazine_is_sound(const struct audit *audit, const struct cache_view *cache,
			      uint32_t index, uint64_t owner, uint32_t n)
{
	uint32_t state = owner_state(owner), holder = owner_holder(owner);
	uint64_t bit = UINT64_C(1) << (index % RACK_MAGAZINES);

	if (n > cache->geometry.capacity)
		return false;
	if (state == MAGAZINE_HELD)
		return holder == PARTY_DAEMON || owner_of(audit, holder) == AUDIT_CLIENT;
	if (state != MAGAZINE_EMPTY && state != MAGAZINE_FULL)
		return false;
	return (state == MAGAZINE_EMPTY) == (n == 0) && holder == PARTY_NONE &&
	       load_relaxed(&cache->hints[state][index / RACK_MAGAZINES]) & bit;
}

static uint64_t see_magazine(struct audit *audit, const struct cache_view *cache, uint32_t index)
{
	struct magazine *magazine = depot_magazine(cache, index);
	uint64_t owner, seen = 0;
	uint32_t n;

	if (!magazine) {
		find(audit, cache->id, FINDING_MAGAZINE, index, 0);
		return 1;
	}
	owner = load_acquire(&magazine->owner);
	n = magazine_count(magazine);
	if (!magazine_is_sound(audit, cache, index, owner, n) &&
	    (!audit->found || load_acquire(&magazine->owner) == owner)) /* else it changed hands */
		find(audit, cache->id, FINDING_MAGAZINE, index, owner ^ owner >> 32 ^ n);
	if (n > cache->geometry.capacity)
		n = cache->geometry.capacity;
	if (audit->found && owner_state(owner) == MAGAZINE_HELD &&
	    owner_of(audit, owner_holder(owner)) == AUDIT_CLIENT) {
		n = rounds_left(cache, magazine, owner_holder(owner), n);
		see_ways(audit, cache, magazine, n);
		seen = cache->geometry.capacity - n;
	}
	if (owner_state(owner) == MAGAZINE_HELD)
		audit->rounds_of[owner_holder(owner)] += n;
	for (uint32_t i = 0; i < n; i++) {
		slab_ref ref = round_at(magazine, i);

		if (ref || magazine_count(magazine) > i)
			see_round(audit, cache, index, ref);
	}
	return seen + n + 1;
}

static void see_object(struct audit *audit, const struct cache_view *cache, slab_ref ref)
{
	struct audit_count *count = &audit->caches[cache->id];
	uint32_t tag = load_relaxed(cache_tag(cache, ref)), owner = tag_owner(tag);
	bool marked = bit_get(audit->marks, ref), way = audit->ways && bit_get(audit->ways, ref);

	count->objects++;
	if (marked && tag_state(tag) != TAG_CIRC)
		find(audit, cache->id, FINDING_DOUBLED, ref, tag);
	switch (tag_state(tag)) {
	case TAG_SLAB:
		count->in_slabs++;
		break;
	case TAG_CIRC:
		if (marked) {
			count->in_magazines++;
		} else if (way) {
			count->freeing++;
			count->moving++;
		} else {
			find(audit, cache->id, FINDING_LOST, ref, tag);
		}
		break;
	case TAG_FREEING:
		if (owner == PARTY_DAEMON || owner_of(audit, owner) == AUDIT_CLIENT) {
			count->freeing++;
			count->moving += way;
		} else {
			find(audit, cache->id, FINDING_STUCK, ref, tag);
		}
		break;
	default:
		audit->live_of[owner]++;
		switch (owner_of(audit, owner)) {
		case AUDIT_CLIENT:
			count->live++;
			count->moving += way;
			break;
		case AUDIT_TOMB:
			count->orphaned++;
			break;
		default:
			find(audit, cache->id, FINDING_STRAY, ref, tag);
		}
	}
}

static uint64_t see_slab(struct audit *audit, uint32_t unit, uint32_t word)
{
	uint32_t id = slab_word_cache(word);
	struct cache_view cache;
	slab_ref first = (slab_ref)unit << (UNIT_SHIFT - REF_SHIFT);

	if (id == 0 || id > audit->segment->max_caches || !is_in_use(audit, id))
		return 1;
	segment_cache(audit->segment, id, &cache);
	if (cache.word != word)
		return 1;
	for (uint32_t i = 0; i < cache.geometry.objects; i++)
		see_object(audit, &cache, first + i * (cache.geometry.stride >> REF_SHIFT));
	return cache.geometry.objects;
}

static bool step_magazines(struct audit *audit, uint64_t *budget)
{
	struct cache_view cache;

	for (; audit->cache <= audit->segment->max_caches; audit->cache++, audit->index = 0) {
		uint32_t magazines;

		if (!is_in_use(audit, audit->cache))
			continue;
		segment_cache(audit->segment, audit->cache, &cache);
		magazines = depot_magazines(&cache);
		for (; audit->index < magazines; audit->index++) {
			uint64_t seen;

			if (!*budget)
				return false;
			seen = see_magazine(audit, &cache, audit->index);
			*budget -= seen < *budget ? seen : *budget;
		}
	}
	return true;
}

static bool step_slabs(struct audit *audit, uint64_t *budget)
{
	uint32_t units = (uint32_t)(audit->segment->heap_bytes >> UNIT_SHIFT);

	for (; audit->unit < units; audit->unit++) {
		uint32_t word = load_acquire(&audit->segment->slab_table[audit->unit]);
		uint64_t seen;

		if (word == SLAB_WORD_NONE)
			continue;
		if (!*budget)
			return false;
		seen = see_slab(audit, audit->unit, word);
		*budget -= seen < *budget ? seen : *budget;
	}
	return true;
}

bool audit_step(struct audit *audit, uint64_t objects)
{
	if (!audit->magazines_done && !step_magazines(audit, &objects))
		return false;
	audit->magazines_done = true;
	return step_slabs(audit, &objects);
}

bool audit_count_is_balanced(const struct audit_count *count)
{
	return count->lost == 0 && count->doubled == 0 && count->magazines == 0 &&
	       count->objects == count->in_slabs + count->in_magazines + count->live +
					 count->orphaned + count->freeing;
}

bool audit_is_balanced(const struct audit *audit)
{
	for (uint32_t i = 1; i <= audit->segment->max_caches; i++)
		if (!audit_count_is_balanced(&audit->caches[i]))
			return false;
	return true;
}

bool audit_segment(const struct segment *segment, audit_owner_fn owner, void *arg,
		   struct audit_count *total)
{
	struct audit audit;
	bool balanced;

	if (audit_init(&audit, segment, owner, arg) < 0)
		return false;
	while (!audit_step(&audit, UINT64_MAX))
		;
	balanced = audit_is_balanced(&audit);
	if (total) {
		*total = (struct audit_count){0};
		for (uint32_t i = 1; i <= segment->max_caches; i++) {
			const struct audit_count *c = &audit.caches[i];

			total->objects += c->objects;
			total->in_slabs += c->in_slabs;
			total->in_magazines += c->in_magazines;
			total->live += c->live;
			total->orphaned += c->orphaned;
			total->freeing += c->freeing;
			total->lost += c->lost;
			total->doubled += c->doubled;
			total->magazines += c->magazines;
			total->moving += c->moving;
		}
	}
	audit_deinit(&audit);
	return balanced;
}
