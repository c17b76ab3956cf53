#include "shm/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/depot.h"

int audit_init(struct audit *audit, const struct segment *segment, audit_owner_fn owner, void *arg)
{
	*audit = (struct audit){.segment = segment, .owner = owner, .arg = arg, .cache = 1};
	audit->caches = calloc(segment->max_caches + 1, sizeof(*audit->caches));
	audit->live_of = calloc(2 * (PARTY_MAX + 1), sizeof(*audit->live_of));
	audit->rounds_of = audit->live_of + PARTY_MAX + 1;
	/* sparse: only the marks of slabs in use are ever touched */
	audit->marks_bytes = (segment->heap_bytes >> REF_SHIFT) / 8;
	audit->marks = mmap(NULL, audit->marks_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (audit->caches && audit->live_of && audit->marks != MAP_FAILED)
		return 0;
	audit_deinit(audit);
	return -ENOMEM;
}

void audit_deinit(struct audit *audit)
{
	if (audit->marks && audit->marks != MAP_FAILED)
		munmap(audit->marks, audit->marks_bytes);
	free(audit->live_of);
	free(audit->caches);
	*audit = (struct audit){0};
}

void audit_restart(struct audit *audit)
{
	memset(audit->caches, 0, (audit->segment->max_caches + 1) * sizeof(*audit->caches));
	memset(audit->live_of, 0, 2 * (PARTY_MAX + 1) * sizeof(*audit->live_of));
	madvise(audit->marks, audit->marks_bytes, MADV_DONTNEED);
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

static bool is_marked(const struct audit *audit, slab_ref ref)
{
	return audit->marks[ref / 64] >> (ref % 64) & 1;
}

static enum audit_owner owner_of(const struct audit *audit, uint32_t owner)
{
	return audit->owner ? audit->owner(audit->arg, owner) : AUDIT_CLIENT;
}

static void see_round(struct audit *audit, const struct cache_view *cache, slab_ref ref,
		      struct audit_count *count)
{
	if (!cache_has_ref(cache, ref) || is_marked(audit, ref))
		count->doubled++;
	else
		audit->marks[ref / 64] |= UINT64_C(1) << (ref % 64);
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
	struct audit_count *count = &audit->caches[cache->id];
	struct magazine *magazine = depot_magazine(cache, index);
	uint64_t owner;
	uint32_t n;

	if (!magazine) {
		count->magazines++;
		return 1;
	}
	owner = load_acquire(&magazine->owner);
	n = magazine_count(magazine);
	if (!magazine_is_sound(audit, cache, index, owner, n))
		count->magazines++;
	if (n > cache->geometry.capacity)
		n = cache->geometry.capacity;
	if (owner_state(owner) == MAGAZINE_HELD)
		audit->rounds_of[owner_holder(owner)] += n;
	for (uint32_t i = 0; i < n; i++)
		see_round(audit, cache, load_relaxed(&magazine->rounds[i]), count);
	return n + 1;
}

static void see_object(struct audit *audit, const struct cache_view *cache, slab_ref ref)
{
	struct audit_count *count = &audit->caches[cache->id];
	uint32_t tag = load_relaxed(cache_tag(cache, ref));
	bool marked = is_marked(audit, ref);

	count->objects++;
	if (marked && tag_state(tag) != TAG_CIRC)
		count->doubled++;
	switch (tag_state(tag)) {
	case TAG_SLAB:
		count->in_slabs++;
		break;
	case TAG_CIRC:
		if (marked)
			count->in_magazines++;
		else
			count->lost++;
		break;
	case TAG_FREEING:
		if (tag_owner(tag) == PARTY_DAEMON ||
		    owner_of(audit, tag_owner(tag)) == AUDIT_CLIENT)
			count->freeing++;
		else
			count->lost++; /* a free that nobody will finish */
		break;
	default:
		audit->live_of[tag_owner(tag)]++;
		switch (owner_of(audit, tag_owner(tag))) {
		case AUDIT_CLIENT:
			count->live++;
			break;
		case AUDIT_TOMB:
			count->orphaned++;
			break;
		default:
			count->lost++;
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
		}
	}
	audit_deinit(&audit);
	return balanced;
}
