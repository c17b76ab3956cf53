/* Frees that wait for a magazine (I-7).
 *
 * slabd racks so many magazines that all objects of a cache fit at once, plus two for each thread,
 * so a free finds room.  Where a hostile or damaged depot makes that untrue, or where a forked child
 * can't reach slabd for an identity, the object is parked in a list of this process:
 *
 *	claimed		its tag is FREEING(me): nobody else can touch it, and a kill leaves it to the
 *			sweep.  It is resumed at step (a), never at the check: the check would refuse it.
 *	not claimed	the tag is as it was; the generation that was seen is kept, and the free is
 *			made as one by handle once there is an identity.
 *
 * The list is own memory: a thread's exit leaves it to the others, a child has none. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "client/internal.h"

#define PARKED_BYTES 65536u

struct parked_item {
	struct slabd_cache *cache; /* NULL: none */
	slab_ref ref;
	uint16_t generation;
	uint16_t claimed;
};

struct parked {
	struct parked *next;
	struct parked_item items[(PARKED_BYTES - sizeof(void *)) / sizeof(struct parked_item)];
};

#define PARKED_ITEMS (sizeof(((struct parked *)0)->items) / sizeof(struct parked_item))

static struct parked_item *free_item(void)
{
	struct parked *block;

	for (block = process->parked; block; block = block->next)
		for (size_t i = 0; i < PARKED_ITEMS; i++)
			if (!block->items[i].cache)
				return &block->items[i];
	block = mmap(NULL, PARKED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (block == MAP_FAILED)
		return NULL;
	/* if it can't be wiped the child frees twice, and the second free is refused: no harm */
	(void)madvise(block, PARKED_BYTES, MADV_WIPEONFORK);
	block->next = process->parked;
	process->parked = block;
	return &block->items[0];
}

void parked_add(struct slabd_cache *cache, slab_ref ref, uint32_t generation, bool claimed)
{
	struct parked_item *item;

	pthread_mutex_lock(&process->lock);
	item = free_item();
	if (item) {
		*item = (struct parked_item){.cache = cache,
					     .ref = ref,
					     .generation = (uint16_t)generation,
					     .claimed = claimed};
		store_relaxed(&process->parked_count, load_relaxed(&process->parked_count) + 1);
	}
	pthread_mutex_unlock(&process->lock);
	if (!item) /* a claimed one returns with the sweep, when this process ends */
		error_set(-ENOMEM, "cache \"%s\": no memory to list a free that must wait",
			  cache->name);
}

/* True if it is done. */
static bool resume_one(struct slabd_cache *cache, struct slabd_fast_slot *slot,
		       const struct parked_item *item)
{
	slab_tag *tag = cache_tag(&cache->view, item->ref);
	uint32_t seen = load_relaxed(tag);

	if (free_make_room(cache, slot) < 0)
		return false;
	while (!item->claimed) {
		if (tag_state(seen) != TAG_LIVE || tag_generation(seen) != item->generation)
			return true; /* somebody else freed it meanwhile */
		if (cas_acq_rel(tag, &seen, tag_make(slot->me, TAG_FREEING, tag_generation(seen))))
			break;
	}
	free_add(cache, slot, item->ref);
	return true;
}

/* With process.lock held; the slot is the calling thread's and ready. */
void parked_resume(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	for (struct parked *block = process->parked; block; block = block->next)
		for (size_t i = 0; i < PARKED_ITEMS; i++) {
			struct parked_item *item = &block->items[i];

			if (item->cache != cache)
				continue;
			if (!resume_one(cache, slot, item))
				return;
			item->cache = NULL;
			store_relaxed(&process->parked_count,
				      load_relaxed(&process->parked_count) - 1);
		}
}

void parked_forget(const struct slabd_cache *cache)
{
	for (struct parked *block = process->parked; block; block = block->next)
		for (size_t i = 0; i < PARKED_ITEMS; i++)
			if (block->items[i].cache == cache) {
				block->items[i].cache = NULL;
				store_relaxed(&process->parked_count,
					      load_relaxed(&process->parked_count) - 1);
			}
}
