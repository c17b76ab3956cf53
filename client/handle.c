/* Handles: objects by name, in every process. */
#include <errno.h>

#include "client/internal.h"

/* 0 and the tag of the object that handle names; -EINVAL, -ESTALE with the error set. */
static int find(const struct slabd_cache *cache, slabd_handle handle, slab_tag **ret,
		uint32_t *seen)
{
	slab_ref ref = handle_ref(handle);

	if (handle_cache(handle) != cache->view.id || ref == REF_NONE ||
	    !cache_has_ref(&cache->view, ref))
		return error_set(-EINVAL, "cache \"%s\": %016llx is no handle of it", cache->name,
				 (unsigned long long)handle);
	*ret = cache_tag(&cache->view, ref);
	*seen = atomic_load_explicit(*ret, memory_order_acquire);
	if (tag_state(*seen) != TAG_LIVE || tag_generation(*seen) != handle_generation(handle))
		return error_set(-ESTALE,
				 "cache \"%s\": the object of handle %016llx was freed; its "
				 "generation is %u now",
				 cache->name, (unsigned long long)handle, tag_generation(*seen));
	return 0;
}

slabd_handle slabd_handle_of(struct slabd_cache *cache, const void *object)
{
	const struct cache_view *view = &cache->view;
	uint64_t offset = (uint64_t)((uintptr_t)object - (uintptr_t)view->heap);
	slab_ref ref = (slab_ref)(offset >> REF_SHIFT);
	uint32_t tag;

	if (!object)
		return 0;
	if (offset >= view->heap_bytes || offset & 15 || !cache_has_ref(view, ref)) {
		errno = EINVAL;
		error_set(-EINVAL, "cache \"%s\": %p is no object of it", cache->name, object);
		return 0;
	}
	tag = load_relaxed(cache_tag(view, ref));
	if (tag_state(tag) != TAG_LIVE) {
		errno = ESTALE;
		error_set(-ESTALE, "cache \"%s\": the object at %p was freed", cache->name, object);
		return 0;
	}
	return handle_make(view->id, tag_generation(tag), ref);
}

void *slabd_get(struct slabd_cache *cache, slabd_handle handle)
{
	slab_tag *tag;
	uint32_t seen;
	int r = find(cache, handle, &tag, &seen);
	void *object;

	if (r < 0)
		return error_null(r);
	object = ref_address(cache->view.heap, handle_ref(handle));
	if (unlikely(poison_on))
		poison_found(cache, object);
	return object;
}

void *slabd_adopt(struct slabd_cache *cache, slabd_handle handle)
{
	struct slabd_fast_slot *slot = thread_slot(cache);
	slab_tag *tag;
	uint32_t seen;
	void *object;
	int r;

	if (!slot->live) {
		r = thread_enter(cache, clock_deadline());
		if (r < 0)
			return error_null(r);
		slot = thread_slot(cache);
	}
	do {
		r = find(cache, handle, &tag, &seen);
		if (r < 0)
			return error_null(r);
	} while (!cas_acq_rel(tag, &seen, tag_make(slot->me, TAG_LIVE, tag_generation(seen))));
	object = ref_address(cache->view.heap, handle_ref(handle));
	if (unlikely(poison_on))
		poison_found(cache, object);
	return object;
}

int slabd_free_handle(struct slabd_cache *cache, slabd_handle handle)
{
	slab_tag *tag;
	uint32_t seen;
	int r = find(cache, handle, &tag, &seen);

	if (r < 0)
		return r;
	r = free_generation(cache, handle_ref(handle), handle_generation(handle),
			    clock_deadline_short());
	if (r == -ESTALE)
		return error_set(r, "cache \"%s\": the object of handle %016llx was freed",
				 cache->name, (unsigned long long)handle);
	return r;
}

slabd_handle slabd_root(struct slabd_cache *cache)
{
	return load_acquire(&cache->view.control->root);
}

bool slabd_set_root(struct slabd_cache *cache, slabd_handle expected, slabd_handle wanted)
{
	return cas_acq_rel(&cache->view.control->root, &expected, wanted);
}
