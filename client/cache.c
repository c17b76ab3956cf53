/* Caches, as this process has them open: one struct for each, counted, with a slot in every thread's
 * table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"

/* ---------------------------------------------------------------- open */

static struct slabd_cache *find_cache(const struct slabd *slabd, const struct answer *answer,
				      uint32_t *free_slot)
{
	*free_slot = SLOTS_MAX;
	for (uint32_t i = 0; i < SLOTS_MAX; i++) {
		struct slabd_cache *cache = caches_of_process[i];

		if (!cache && *free_slot == SLOTS_MAX)
			*free_slot = i;
		if (cache && cache->slabd == slabd && cache->view.id == answer->id &&
		    cache->serial == answer->serial)
			return cache;
	}
	return NULL;
}

void cache_set_constants(struct slabd_cache *cache)
{
	const struct cache_view *view = &cache->view;
	const struct geometry *g = &view->geometry;

	cache->fast = (struct slabd_fast_cache){
		.heap = view->heap,
		.slab_table = (const uint32_t *)(const void *)view->slab_table,
		.slot = cache->slot * (uint32_t)sizeof(struct slabd_fast_slot),
		.ref_max = (uint32_t)((view->heap_bytes - 1) >> REF_SHIFT),
		.slab_mask = geometry_slab(g, UINT32_MAX),
		.word = view->word,
		.in_slab_mask = (uint32_t)geometry_slab_bytes(g) - 1,
		.inverse = g->inverse,
		.last = g->objects - 1,
		.tag_base_mask = (int32_t)(g->tag_base_mask << REF_SHIFT),
		.tag_offset = (uint32_t)g->tag_offset,
		/* from refs and words to bytes: 16 and 4 */
		.tag_mask = (g->tag_mask >> g->tag_shift) << 2,
		.tag_shift = (uint8_t)(g->tag_shift + REF_SHIFT - 2),
		.twos = (uint8_t)(g->twos + REF_SHIFT),
	};
}

static struct slabd_cache *cache_new(struct slabd *slabd, const struct answer *answer,
				     uint32_t slot)
{
	struct slabd_cache *cache = aligned_alloc(CACHE_LINE, (sizeof(*cache) + CACHE_LINE - 1) &
								      ~(size_t)(CACHE_LINE - 1));

	if (!cache)
		return NULL;
	memset(cache, 0, sizeof(*cache));
	segment_cache(&slabd->segment, answer->id, &cache->view);
	cache->slabd = slabd;
	cache->serial = answer->serial;
	cache->slot = slot;
	cache->strict = cache->view.geometry.flags & GEOMETRY_STRICT;
	cache_set_constants(cache);
	memcpy(cache->name, cache->view.desc->name, sizeof(cache->name) - 1);
	return cache;
}

/* slabd has it open for us: finds or makes the struct.  With the attachment's lock held. */
static int take_cache(struct slabd *slabd, const struct answer *answer, const char *name,
		      struct slabd_cache **ret)
{
	struct slabd_cache *cache;
	uint32_t slot;
	int r = 0;

	if (answer->id == 0 || answer->id > slabd->segment.max_caches)
		return error_set(-EPROTO, "cache \"%.63s\": slabd gave it id %u of %u", name,
				 answer->id, slabd->segment.max_caches);
	pthread_mutex_lock(&process->lock);
	cache = find_cache(slabd, answer, &slot);
	if (!cache && slot == SLOTS_MAX) {
		r = error_set(-ENOSPC,
			      "cache \"%.63s\": this process has %u caches open, its limit; close "
			      "some",
			      name, SLOTS_MAX);
	} else if (!cache) {
		cache = cache_new(slabd, answer, slot);
		if (cache)
			__atomic_store_n(&caches_of_process[slot], cache, __ATOMIC_RELEASE);
		else
			r = error_set(-ENOMEM, "cache \"%.63s\": no memory", name);
	}
	if (r == 0) {
		process->opened[cache->slot] = 1;
		cache->opens++;
		*ret = cache;
	}
	pthread_mutex_unlock(&process->lock);
	return r;
}

static int open_by(struct slabd *slabd, struct request *request, struct slabd_cache **ret)
{
	uint64_t deadline = clock_deadline();
	struct answer answer;
	int r = attachment_lock(slabd, deadline);

	if (r < 0)
		return r;
	r = attachment_enter(slabd, deadline);
	if (r == 0)
		r = attachment_call(slabd, request, &answer, deadline);
	if (r == 0)
		r = take_cache(slabd, &answer, request->name, ret);
	attachment_unlock(slabd);
	return r;
}

static int check_name(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (n == 0 || n >= NAME_BYTES)
		return error_set(-EINVAL,
				 "cache name \"%.80s\": has %zu characters, must have 1 to %u",
				 name ? name : "", n, NAME_BYTES - 1);
	return 0;
}

int slabd_cache_create(struct slabd *slabd, const char *name, const struct slabd_cache_args *args,
		       struct slabd_cache **ret)
{
	struct request request = {.verb = REQUEST_CREATE, .name = name};
	int r;

	if (!slabd || !args || !ret)
		return error_set(-EINVAL, "slabd_cache_create: an argument is NULL");
	*ret = NULL;
	r = check_name(name);
	if (r < 0)
		return r;
	if (args->size_of_args < sizeof(*args))
		return error_set(-EINVAL,
				 "cache \"%s\": size_of_args is %zu, must be sizeof(struct "
				 "slabd_cache_args), %zu",
				 name, args->size_of_args, sizeof(*args));
	if (args->flags & ~GEOMETRY_FLAGS)
		return error_set(-EINVAL, "cache \"%s\": flags 0x%x, of which 0x%x is unknown",
				 name, args->flags, args->flags & ~GEOMETRY_FLAGS);
	request.object_size = args->object_size;
	request.align = args->align;
	request.flags = args->flags;
	request.magazine = args->magazine;
	return open_by(slabd, &request, ret);
}

int slabd_cache_open(struct slabd *slabd, const char *name, struct slabd_cache **ret)
{
	struct request request = {.verb = REQUEST_OPEN, .name = name};
	int r;

	if (!slabd || !ret)
		return error_set(-EINVAL, "slabd_cache_open: an argument is NULL");
	*ret = NULL;
	r = check_name(name);
	return r < 0 ? r : open_by(slabd, &request, ret);
}

int cache_enter(struct slabd_cache *cache, uint64_t deadline)
{
	struct request request = {
		.verb = REQUEST_OPEN, .id = cache->view.id, .serial = cache->serial};
	struct answer answer;
	int r;

	if (process->opened[cache->slot])
		return 0;
	r = attachment_call(cache->slabd, &request, &answer, deadline);
	if (r == 0)
		process->opened[cache->slot] = 1;
	return r;
}

/* ---------------------------------------------------------------- close */

/* With process.lock held. */
void cache_drop(struct slabd_cache *cache)
{
	parked_forget(cache);
	process->opened[cache->slot] = 0;
	__atomic_store_n(&caches_of_process[cache->slot], NULL, __ATOMIC_RELAXED);
	free(cache);
}

/* The same in two steps: what all threads hold goes back before slabd hears of it, since with the
 * last closer of a cache without name its memory goes. */
void slabd_cache_close(struct slabd_cache *cache)
{
	struct slabd *slabd = cache ? cache->slabd : NULL;
	struct request request = {.verb = REQUEST_CLOSE};
	uint64_t deadline = clock_deadline();
	struct answer answer;
	bool last, opened = false;

	if (!cache)
		return;
	/* a lock that is held for longer than the deadline only costs slabd's knowing of it */
	bool locked = attachment_lock(slabd, deadline) == 0;

	pthread_mutex_lock(&process->lock);
	last = --cache->opens == 0;
	if (last) {
		request.id = cache->view.id;
		request.serial = cache->serial;
		opened = process->opened[cache->slot];
		if (parked_any() && thread_slot(cache)->live)
			parked_resume(cache, thread_slot(cache));
		thread_put_back_all(cache);
		cache_drop(cache);
	}
	pthread_mutex_unlock(&process->lock);
	if (last && opened && locked && load_relaxed(&slabd->identity->client))
		(void)attachment_call(slabd, &request, &answer, deadline);
	if (locked)
		attachment_unlock(slabd);
}

/* ---------------------------------------------------------------- destroy and shrink */

static int call_on(struct slabd_cache *cache, enum request_verb verb)
{
	struct request request = {.verb = verb, .id = cache->view.id, .serial = cache->serial};
	uint64_t deadline = clock_deadline();
	struct slabd *slabd = cache->slabd;
	struct answer answer;
	int r = attachment_lock(slabd, deadline);

	if (r < 0)
		return r;
	r = attachment_enter(slabd, deadline);
	if (r == 0)
		r = cache_enter(cache, deadline);
	if (r == 0)
		r = attachment_call(slabd, &request, &answer, deadline);
	attachment_unlock(slabd);
	return r;
}

static void flush_thread(struct slabd_cache *cache)
{
	struct slabd_fast_slot *slot = thread_slot(cache);

	if (!slot->live)
		return;
	if (parked_any()) {
		pthread_mutex_lock(&process->lock);
		parked_resume(cache, slot);
		pthread_mutex_unlock(&process->lock);
	}
	thread_put_back(cache, slot);
}

int slabd_cache_destroy(struct slabd_cache *cache)
{
	int r;

	if (!cache)
		return error_set(-EINVAL, "slabd_cache_destroy: the cache is NULL");
	flush_thread(cache);
	r = call_on(cache, REQUEST_DESTROY);
	if (r == 0)
		slabd_cache_close(cache);
	return r;
}

int slabd_cache_shrink(struct slabd_cache *cache)
{
	if (!cache)
		return error_set(-EINVAL, "slabd_cache_shrink: the cache is NULL");
	flush_thread(cache);
	return call_on(cache, REQUEST_SHRINK);
}

size_t slabd_cache_size(const struct slabd_cache *cache)
{
	return cache->view.geometry.object_size;
}
