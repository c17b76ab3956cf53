#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <slabd/kmem.h>

#include "client/internal.h"
#include "shm/probe.h"

/* In static TLS, of which a library that is loaded late gets little. */
static __thread char sentence[WHY_BYTES];

static void (*handler)(const char *message, void *arg);
static void *handler_arg;

int error_set(int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return r;
}

void *error_null(int r)
{
	errno = -r;
	return NULL;
}

const char *slabd_error(void)
{
	return sentence[0] ? sentence : "no error";
}

void slabd_kmem_constructor(const char *name)
{
	error_set(-EINVAL,
		  "cache \"%.80s\": there are no constructors, as an object may have been another "
		  "program's before; set it up after each alloc",
		  name ? name : "");
}

void slabd_set_error_handler(void (*wanted)(const char *message, void *arg), void *arg)
{
	__atomic_store_n(&handler_arg, arg, __ATOMIC_RELAXED);
	__atomic_store_n(&handler, wanted, __ATOMIC_RELEASE);
}

/* ---------------------------------------------------------------- refused frees */

/* What is at the address, if it is no object of the cache. */
static void name_place(const struct slabd_cache *cache, uint64_t offset, char *text, size_t bytes)
{
	const struct cache_view *view = &cache->view;
	const struct segment *segment = &cache->slabd->segment;
	uint32_t unit = (uint32_t)(offset >> UNIT_SHIFT), word = 0, id;

	/* a slab is aligned to its size, so its first unit is at one of six places */
	for (uint32_t shift = UNIT_SHIFT; shift <= EXTENT_SHIFT && !word; shift++) {
		uint32_t first = unit & ~((1u << (shift - UNIT_SHIFT)) - 1);
		uint32_t found = load_relaxed(&view->slab_table[first]);

		if (found && slab_word_shift(found) == shift)
			word = found;
	}
	id = slab_word_cache(word);
	if (!word || id > segment->max_caches)
		snprintf(text, bytes, "it lies in the heap, where no cache has memory");
	else if (word != view->word)
		snprintf(text, bytes, "it lies in cache \"%.63s\"", segment->descriptors[id].name);
	else
		snprintf(text, bytes, "it is an interior pointer, no object's address");
}

/* What state an object is in that can't be freed. */
static void name_state(uint32_t tag, char *text, size_t bytes)
{
	switch (tag_state(tag)) {
	case TAG_FREEING:
		snprintf(text, bytes, "double free: client %u is freeing it", tag_owner(tag));
		break;
	case TAG_LIVE:
		snprintf(text, bytes, "client %u took it over meanwhile", tag_owner(tag));
		break;
	default:
		snprintf(text, bytes, "double free: it is free, owner none, generation %u",
			 tag_generation(tag));
	}
}

static void tell(const char *message)
{
	void (*fn)(const char *, void *) = __atomic_load_n(&handler, __ATOMIC_ACQUIRE);
	const char *abort_wanted;

	if (fn) {
		fn(message, __atomic_load_n(&handler_arg, __ATOMIC_RELAXED));
		return;
	}
	fprintf(stderr, "%s\n", message);
	abort_wanted = secure_getenv("SLABD_ABORT");
	if (abort_wanted && strcmp(abort_wanted, "1") == 0)
		abort();
}

void error_refused(const struct slabd_cache *cache, const void *object)
{
	const struct cache_view *view = &cache->view;
	uint64_t offset = (uint64_t)((uintptr_t)object - (uintptr_t)view->heap);
	char what[128], message[WHY_BYTES];

	if (offset >= view->heap_bytes)
		snprintf(what, sizeof(what), "it lies outside the heap");
	else if (offset & 15 || !cache_has_ref(view, (slab_ref)(offset >> REF_SHIFT)))
		name_place(cache, offset, what, sizeof(what));
	else
		name_state(load_relaxed(cache_tag(view, (slab_ref)(offset >> REF_SHIFT))), what,
			   sizeof(what));
	snprintf(message, sizeof(message), "slabd: cache \"%s\": free of %p refused: %s",
		 cache->name, object, what);
	error_set(-EINVAL, "%s", message);
	PROBE3(free__refused, cache->name, object, what);
	tell(message);
}
