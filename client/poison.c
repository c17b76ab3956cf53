/* SLABD_POISON=1: valgrind or AddressSanitizer guards what this process has freed.
 *
 * Both keep a shadow of memory that is each process's own, while objects wander.  So an object is
 * poisoned when this process frees it, and open again when it comes back, by alloc, get or adopt;
 * what others free is no matter of ours, and what comes by a bare pointer is not noticed.
 *
 * The fast paths are compiled into programs, and must not pay for this.  They leave to the library
 * whatever finds no loaded magazine; so here a thread that rests has none: each alloc and free takes
 * its slow path, which brings the one magazine back from `previous`, and hides it there again.
 *
 * An object must be poisoned before anyone can be handed it, that is before step (a) of a free, and
 * opened after step (c) of an alloc.
 *
 * valgrind has one mempool a segment, so that it tells where a block was allocated and freed.  It
 * complains of a free of a block that it does not know, and objects come from elsewhere; hence a bit
 * for each ref: did valgrind hear of it from us?  Contents are always called defined, since what
 * another process writes is not seen. */
#ifdef SLABD_POISON

#include "client/poison.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/internal.h"

#ifdef SLABD_MEMCHECK
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND		 0
#define VALGRIND_CREATE_MEMPOOL(p, r, z) ((void)(p))
#define VALGRIND_DESTROY_MEMPOOL(p)	 ((void)(p))
#define VALGRIND_MEMPOOL_ALLOC(p, a, n)	 ((void)(p), (void)(a), (void)(n))
#define VALGRIND_MEMPOOL_FREE(p, a)	 ((void)(p), (void)(a))
#define VALGRIND_MAKE_MEM_DEFINED(a, n)	 ((void)(a), (void)(n))
#endif

/* Of the program's AddressSanitizer, if it has one. */
void __asan_poison_memory_region(void const volatile *from, size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *from, size_t bytes) __attribute__((weak));

struct poison {
	_Atomic uint64_t *known;   /* by ref, to valgrind; NULL: none is kept */
	_Atomic uint8_t extents[]; /* those with something poisoned in them */
};

bool poison_on;
static bool on_valgrind;

__attribute__((constructor)) static void poison_init(void)
{
	const char *wanted = secure_getenv("SLABD_POISON");

	if (!wanted || strcmp(wanted, "1") != 0)
		return;
	on_valgrind = RUNNING_ON_VALGRIND;
	poison_on = on_valgrind || __asan_poison_memory_region;
}

/* ---------------------------------------------------------------- segments */

static uint64_t known_bytes(const struct slabd *slabd)
{
	return slabd->segment.heap_bytes >> REF_SHIFT >> 3;
}

void poison_attached(struct slabd *slabd)
{
	void *p;

	if (!poison_on)
		return;
	slabd->poison =
		calloc(1, sizeof(*slabd->poison) + (slabd->segment.heap_bytes >> EXTENT_SHIFT));
	if (!slabd->poison || !on_valgrind)
		return;
	p = mmap(NULL, known_bytes(slabd), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	slabd->poison->known = p;
	VALGRIND_CREATE_MEMPOOL(slabd->segment.heap, 0, 0);
}

/* Whatever is mapped there next must not find our poison. */
void poison_detached(struct slabd *slabd)
{
	struct poison *poison = slabd->poison;
	const struct segment *segment = &slabd->segment;

	if (!poison)
		return;
	for (uint64_t i = 0; i < segment->heap_bytes >> EXTENT_SHIFT; i++)
		if (load_relaxed(&poison->extents[i]) && __asan_unpoison_memory_region)
			__asan_unpoison_memory_region(segment->heap + (i << EXTENT_SHIFT),
						      EXTENT_BYTES);
	if (poison->known) {
		VALGRIND_DESTROY_MEMPOOL(segment->heap);
		munmap((void *)poison->known, known_bytes(slabd));
	}
	free(poison);
	slabd->poison = NULL;
}

/* ---------------------------------------------------------------- objects */

/* Was it known? */
static bool set_known(const struct slabd *slabd, const void *object, bool known)
{
	slab_ref ref = ref_of(slabd->segment.heap, object);
	_Atomic uint64_t *word = &slabd->poison->known[ref / 64];
	uint64_t bit = UINT64_C(1) << ref % 64;

	return bit & (known ? atomic_fetch_or(word, bit) : atomic_fetch_and(word, ~bit));
}

/* What this process allocated and another freed is known still: anew says that it is another block. */
static void open_object(const struct slabd_cache *cache, void *object, bool anew)
{
	const struct slabd *slabd = cache->slabd;
	uint32_t bytes = cache->view.geometry.object_size;

	if (!slabd->poison)
		return;
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(object, bytes);
	if (!slabd->poison->known)
		return;
	if (set_known(slabd, object, true)) {
		if (!anew)
			return;
		VALGRIND_MEMPOOL_FREE(slabd->segment.heap, object);
	}
	VALGRIND_MEMPOOL_ALLOC(slabd->segment.heap, object, bytes);
	VALGRIND_MAKE_MEM_DEFINED(object, bytes);
}

void poison_given(const struct slabd_cache *cache, void *object)
{
	const struct slabd *slabd = cache->slabd;
	uint32_t bytes = cache->view.geometry.object_size;
	uint64_t offset = (uint64_t)((char *)object - slabd->segment.heap);

	if (!poison_on || !slabd->poison)
		return;
	if (__asan_poison_memory_region) {
		__asan_poison_memory_region(object, bytes);
		store_relaxed(&slabd->poison->extents[offset >> EXTENT_SHIFT], 1);
	}
	if (!slabd->poison->known)
		return;
	if (!set_known(slabd, object, false))
		VALGRIND_MEMPOOL_ALLOC(slabd->segment.heap, object, bytes);
	VALGRIND_MEMPOOL_FREE(slabd->segment.heap, object);
}

void poison_found(const struct slabd_cache *cache, void *object)
{
	if (poison_on)
		open_object(cache, object, false);
}

/* ---------------------------------------------------------------- the thread's slot */

void poison_hide(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	if (poison_on && slot->loaded)
		thread_put_previous(cache, slot);
}

void poison_taken(struct slabd_cache *cache, void *object)
{
	if (!poison_on)
		return;
	open_object(cache, object, true);
	poison_hide(cache, thread_slot(cache));
}

size_t poison_take_many(struct slabd_cache *cache, size_t n, void **objects)
{
	size_t some;

	if (!poison_on)
		return 0;
	some = slabd_fast_take_many(cache, n, objects);
	for (size_t i = 0; i < some; i++)
		open_object(cache, objects[i], true);
	poison_hide(cache, thread_slot(cache));
	return some;
}

#endif
