/* The same API with its fast paths inlined: a pair of alloc and free saves two calls, 0.5 to 2 ns.
 *
 * Include it instead of slabd.h; slabd_alloc, slabd_free, their bulk forms, slabd_attach and
 * slabd_default become inline functions.  The price: the program knows the layout of this release.
 * An attach passes SLABD_FAST_LAYOUT to the library, and a library of another layout answers -EPROTO:
 * then compile again, or include slabd.h.
 *
 * What these functions can't do at once they leave to the library: no magazine at hand, none with
 * room, a pointer that is not plainly an object of this process.  Steps (a), (b), (c) and why they need
 * no fence: client/alloc.c.  Everything named slabd_fast_* beyond the API is internal. */
#ifndef SLABD_FAST_H
#define SLABD_FAST_H

#include <slabd/slabd.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLABD_FAST_LAYOUT 2u
#define SLABD_FAST_AHEAD  8u /* of another's objects in a bulk */

#define SLABD_FAST_INLINE      static inline __attribute__((always_inline, unused))
#define SLABD_FAST_LIKELY(x)   __builtin_expect(!!(x), 1)
#define SLABD_FAST_LOAD(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define SLABD_FAST_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define SLABD_FAST_STEP()      __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A cache's constants, on one line.  The heap lies on a multiple of 2 MiB, so the low bits of an address
 * say where in its slab it is. */
struct slabd_fast_cache {
	char *heap;
	const uint32_t *slab_table;
	uint32_t slot; /* offset of a thread's slot in its table */
	uint32_t ref_max;
	uint32_t slab_mask;		      /* of a ref: its slab */
	uint32_t word;			      /* what the slab table says of this cache's slabs */
	uint32_t in_slab_mask, inverse, last; /* see slabd_fast_find */
	int32_t tag_base_mask;
	uint32_t tag_offset, tag_mask; /* see slabd_fast_tag */
	uint8_t tag_shift, twos;
	uint16_t reserved[3];
};

/* A thread's magazines of one cache, on one line. */
struct slabd_fast_slot {
	void *loaded, *previous; /* NULL: none */
	uint32_t live;		 /* tag LIVE(me), generation 0; 0: not set up */
	uint32_t mine;		 /* the same, but in a STRICT cache a value that no tag has */
	uint32_t capacity;
	uint32_t me;
	uint32_t loaded_index, previous_index;
	uint32_t full_cursor, empty_cursor;
	uint32_t
		pause; /* with no more rounds than these loaded, the library fetches some: client/fetch.c */
	uint32_t put;  /* magazines with rounds that the thread has put and not claimed again, */
	uint32_t warm; /* and those of them whose objects it has touched of late */
	uint32_t reserved;
};

struct slabd_fast_magazine {
	uint64_t owner;
	uint32_t count, reserved;
	uint32_t rounds[];
} __attribute__((may_alias));

typedef uint32_t __attribute__((may_alias)) slabd_fast_word;

#pragma GCC visibility push(default)
extern __thread char *slabd_fast_slots __attribute__((tls_model("initial-exec")));
/* 0, or -EPROTO and a sentence: the library has another layout. */
int slabd_fast_check(unsigned layout);
#pragma GCC visibility pop

SLABD_FAST_INLINE struct slabd_fast_slot *slabd_fast_slot(const struct slabd_cache *cache)
{
	const struct slabd_fast_cache *fast = (const struct slabd_fast_cache *)(const void *)cache;

	return (struct slabd_fast_slot *)(void *)(slabd_fast_slots + fast->slot);
}

SLABD_FAST_INLINE char *slabd_fast_object(const struct slabd_fast_cache *fast, uint32_t ref)
{
	return fast->heap + ((uint64_t)ref << 4);
}

/* The formula of shm/geometry.c, for an address. */
SLABD_FAST_INLINE slabd_fast_word *slabd_fast_tag(const struct slabd_fast_cache *fast,
						  const void *object)
{
	uintptr_t at = (uintptr_t)object;
	uintptr_t base = (at & (uintptr_t)(intptr_t)fast->tag_base_mask) + fast->tag_offset;

	return (slabd_fast_word *)(base + ((uint32_t)at >> fast->tag_shift & fast->tag_mask));
}

SLABD_FAST_INLINE uint32_t slabd_fast_generation(const slabd_fast_word *tag)
{
	return SLABD_FAST_LOAD(tag) & 0xffffu;
}

/* Asks for a line to write to: one trip if another processor has it, where a load and a store make two. */
SLABD_FAST_INLINE void slabd_fast_fetch(const void *line)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)line)); /* gcc would only read */
#else
	__builtin_prefetch(line, 1);
#endif
}

/* Is it an object's address?  Then *ret is its ref.  A multiple of the stride, multiplied by the inverse
 * of the stride's odd part and rotated by its twos, is the object's index; whatever is none becomes
 * larger than any index (geometry_index of shm/geometry.h has the source). */
SLABD_FAST_INLINE bool slabd_fast_find(const struct slabd_fast_cache *fast, const void *object,
				       uint64_t *ret)
{
	uint64_t ref = (uint64_t)((uintptr_t)object - (uintptr_t)fast->heap) >> 4;
	uint32_t product;

	if (__builtin_expect(ref > fast->ref_max, 0) ||
	    __builtin_expect(SLABD_FAST_LOAD(&fast->slab_table[(ref & fast->slab_mask) >> 12]) !=
				     fast->word,
			     0))
		return false;
	*ret = ref;
	product = ((uint32_t)(uintptr_t)object & fast->in_slab_mask) * fast->inverse;
	return (product >> fast->twos | product << (-fast->twos & 31)) <= fast->last;
}

/* Pops a round; NULL if the loaded magazine has none, or cold ones. */
SLABD_FAST_INLINE void *slabd_fast_take(struct slabd_cache *cache)
{
	const struct slabd_fast_cache *fast = (const struct slabd_fast_cache *)(const void *)cache;
	struct slabd_fast_slot *slot = slabd_fast_slot(cache);
	struct slabd_fast_magazine *magazine = (struct slabd_fast_magazine *)slot->loaded;
	slabd_fast_word *tag;
	uint64_t n;
	char *object;

	if (__builtin_expect(!magazine, 0))
		return NULL;
	n = SLABD_FAST_LOAD(&magazine->count);
	if (__builtin_expect(n <= slot->pause, 0))
		return NULL;
	object = slabd_fast_object(fast, SLABD_FAST_LOAD(&magazine->rounds[n - 1]));
	tag = slabd_fast_tag(fast, object);
	SLABD_FAST_STORE(tag, slot->live | slabd_fast_generation(tag)); /* (a) */
	SLABD_FAST_STEP();
	SLABD_FAST_STORE(&magazine->count, (uint32_t)n - 1); /* (b) */
	SLABD_FAST_STEP();
	SLABD_FAST_STORE(&magazine->rounds[n - 1], 0u); /* (c) */
	if (!object)
		__builtin_unreachable();
	return object;
}

/* LIVE of anyone to FREEING(me), by one CAS; what was seen if that failed. */
SLABD_FAST_INLINE bool slabd_fast_claim(const struct slabd_fast_slot *slot, slabd_fast_word *tag,
					uint32_t *seen)
{
	return (*seen >> 16 & 3) == 2 &&
	       __atomic_compare_exchange_n(tag, seen, slot->me << 18 | 3u << 16 | (*seen & 0xffffu),
					   false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* What the tag of an object that is freed becomes: CIRC, one incarnation later. */
SLABD_FAST_INLINE uint32_t slabd_fast_retired(uint32_t seen)
{
	return 1u << 16 | ((seen + 1) & 0xffffu);
}

/* LIVE(me), so that a free may begin? */
SLABD_FAST_INLINE bool slabd_fast_own(const struct slabd_fast_slot *slot, uint32_t seen)
{
	return __builtin_expect((seen ^ slot->mine) <= 0xffffu, 1);
}

/* Into a magazine with room for round n; tag was LIVE(me) or FREEING(me). */
SLABD_FAST_INLINE void slabd_fast_add(struct slabd_fast_magazine *magazine, uint64_t n,
				      uint32_t ref, slabd_fast_word *tag, uint32_t retired)
{
	SLABD_FAST_STORE(&magazine->rounds[n], ref); /* (a) */
	SLABD_FAST_STEP();
	SLABD_FAST_STORE(tag, retired); /* (b) */
	SLABD_FAST_STEP();
	SLABD_FAST_STORE(&magazine->count, (uint32_t)n + 1); /* (c) */
}

/* A free's first half: a magazine with room, whose count is *n, and an object, whose ref is *ref. */
SLABD_FAST_INLINE struct slabd_fast_magazine *
slabd_fast_begin(struct slabd_cache *cache, const void *object, uint64_t *n, uint64_t *ref)
{
	const struct slabd_fast_cache *fast = (const struct slabd_fast_cache *)(const void *)cache;
	struct slabd_fast_slot *slot = slabd_fast_slot(cache);
	struct slabd_fast_magazine *magazine = (struct slabd_fast_magazine *)slot->loaded;

	if (__builtin_expect(!magazine, 0))
		return NULL;
	*n = SLABD_FAST_LOAD(&magazine->count);
	if (__builtin_expect(*n >= slot->capacity, 0) ||
	    __builtin_expect(!slabd_fast_find(fast, object, ref), 0))
		return NULL;
	return magazine;
}

/* Pushes an object of this process's; false, and nothing happened, if this needs another look: another's
 * is left to the library, since the line that its claim waits for costs more than a call. */
SLABD_FAST_INLINE bool slabd_fast_give(struct slabd_cache *cache, void *object)
{
	const struct slabd_fast_cache *fast = (const struct slabd_fast_cache *)(const void *)cache;
	struct slabd_fast_slot *slot = slabd_fast_slot(cache);
	struct slabd_fast_magazine *magazine;
	slabd_fast_word *tag;
	uint64_t n, ref;
	uint32_t generation;

	magazine = slabd_fast_begin(cache, object, &n, &ref);
	if (__builtin_expect(!magazine, 0))
		return false;
	tag = slabd_fast_tag(fast, object);
	generation = SLABD_FAST_LOAD(tag) ^ slot->mine;
	if (__builtin_expect(generation >= 0xffffu, 0)) /* it is not mine, or begins anew */
		return false;
	slabd_fast_add(magazine, n, (uint32_t)ref, tag, (1u << 16) + generation + 1);
	return true;
}

/* Pops up to n rounds, tags from the top down, the count once, then clears from the top down. */
SLABD_FAST_INLINE size_t slabd_fast_take_many(struct slabd_cache *cache, size_t n, void **objects)
{
	/* a copy: what is in memory would be loaded anew after each step */
	const struct slabd_fast_cache fast = *(const struct slabd_fast_cache *)(const void *)cache;
	struct slabd_fast_slot *slot = slabd_fast_slot(cache);
	struct slabd_fast_magazine *magazine = (struct slabd_fast_magazine *)slot->loaded;
	uint32_t count = magazine ? SLABD_FAST_LOAD(&magazine->count) : 0;
	uint32_t some = n < count ? (uint32_t)n : count, live = slot->live;

	if (!some)
		return 0;
	for (uint32_t i = 0; i < some; i++) {
		char *object =
			slabd_fast_object(&fast, SLABD_FAST_LOAD(&magazine->rounds[count - 1 - i]));
		slabd_fast_word *tag = slabd_fast_tag(&fast, object);

		SLABD_FAST_STORE(tag, live | slabd_fast_generation(tag));
		SLABD_FAST_STEP();
		objects[i] = object;
	}
	SLABD_FAST_STORE(&magazine->count, count - some);
	for (uint32_t i = 0; i < some; i++) {
		SLABD_FAST_STEP();
		SLABD_FAST_STORE(&magazine->rounds[count - 1 - i], 0u);
	}
	return some;
}

/* Pushes into one magazine: how many entries were dealt with; stops at the first that needs another
 * look.  Round and tag are stored an object at a time, so an entry that stands there twice is seen.
 * What others own is claimed by one CAS each, which nothing overtakes: so the lines of the next few are
 * asked for before. */
SLABD_FAST_INLINE size_t slabd_fast_give_many(struct slabd_cache *cache, size_t n,
					      void *const *objects)
{
	const struct slabd_fast_cache fast = *(const struct slabd_fast_cache *)(const void *)cache;
	struct slabd_fast_slot *slot = slabd_fast_slot(cache);
	const struct slabd_fast_slot mine = *slot;
	struct slabd_fast_magazine *magazine = (struct slabd_fast_magazine *)mine.loaded;
	uint32_t count = magazine ? SLABD_FAST_LOAD(&magazine->count) : 0;
	size_t room, done = 0, ahead = 0;

	if (!magazine || count >= mine.capacity)
		return 0;
	room = mine.capacity - count;
	for (; done < n && done < room; done++) {
		slabd_fast_word *tag;
		uint32_t seen;
		uint64_t ref;

		if (__builtin_expect(!slabd_fast_find(&fast, objects[done], &ref), 0))
			break;
		tag = slabd_fast_tag(&fast, objects[done]);
		seen = SLABD_FAST_LOAD(tag);
		if (!slabd_fast_own(&mine, seen)) {
			ahead = ahead > done ? ahead : done + 1;
			for (; ahead < n && ahead <= done + SLABD_FAST_AHEAD; ahead++)
				slabd_fast_fetch(slabd_fast_tag(&fast, objects[ahead]));
			if (!slabd_fast_claim(&mine, tag, &seen))
				break;
		}
		SLABD_FAST_STORE(&magazine->rounds[count + done], (uint32_t)ref);
		SLABD_FAST_STEP();
		SLABD_FAST_STORE(tag, slabd_fast_retired(seen));
		SLABD_FAST_STEP();
	}
	SLABD_FAST_STORE(&magazine->count, count + (uint32_t)done);
	return done;
}

/* ---------------------------------------------------------------- the API, inlined */

#ifndef SLABD_FAST_INTERNAL

SLABD_FAST_INLINE void *slabd_fast_alloc(struct slabd_cache *cache, unsigned flags)
{
	void *object;

	if (!SLABD_FAST_LIKELY(!flags))
		return slabd_alloc(cache, flags);
	object = slabd_fast_take(cache);
	return SLABD_FAST_LIKELY(object) ? object : slabd_alloc(cache, flags);
}

SLABD_FAST_INLINE void slabd_fast_free(struct slabd_cache *cache, void *object)
{
	if (!SLABD_FAST_LIKELY(slabd_fast_give(cache, object)))
		slabd_free(cache, object);
}

SLABD_FAST_INLINE size_t slabd_fast_alloc_bulk(struct slabd_cache *cache, unsigned flags, size_t n,
					       void **objects)
{
	struct slabd_fast_slot *slot = slabd_fast_slot(cache);
	const struct slabd_fast_magazine *magazine =
		(const struct slabd_fast_magazine *)slot->loaded;

	if (flags || !magazine || SLABD_FAST_LOAD(&magazine->count) < n)
		return slabd_alloc_bulk(cache, flags, n, objects);
	return slabd_fast_take_many(cache, n, objects);
}

SLABD_FAST_INLINE void slabd_fast_free_bulk(struct slabd_cache *cache, size_t n,
					    void *const *objects)
{
	size_t done = slabd_fast_give_many(cache, n, objects);

	if (!SLABD_FAST_LIKELY(done == n))
		slabd_free_bulk(cache, n - done, objects + done);
}

SLABD_FAST_INLINE int slabd_fast_attach(struct slabd **ret, const char *address)
{
	int r = slabd_fast_check(SLABD_FAST_LAYOUT);

	return r < 0 ? r : slabd_attach(ret, address);
}

SLABD_FAST_INLINE struct slabd *slabd_fast_default(void)
{
	return slabd_fast_check(SLABD_FAST_LAYOUT) < 0 ? (struct slabd *)NULL : slabd_default();
}

#define slabd_alloc	 slabd_fast_alloc
#define slabd_free	 slabd_fast_free
#define slabd_alloc_bulk slabd_fast_alloc_bulk
#define slabd_free_bulk	 slabd_fast_free_bulk
#define slabd_attach	 slabd_fast_attach
#define slabd_default	 slabd_fast_default

#endif

#ifdef __cplusplus
}
#endif

#endif
