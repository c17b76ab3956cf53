/* One process's view of a segment: where its regions are mapped, and what follows from that.
 *
 * A struct segment is filled from a superblock; it owns no fd and no mapping.  A struct cache_view
 * is the view of one cache: the constants of its geometry and the addresses of its tables, so that
 * the paths that use them compute nothing twice. */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "shm/geometry.h"
#include "shm/layout.h"
#include "shm/magazine.h"
#include "shm/tag.h"

struct segment {
	char *heap;
	char *depot;
	char *catalog; /* read-only in clients */
	char *state;   /* NULL in clients */
	uint64_t heap_bytes, depot_bytes, catalog_bytes, state_bytes;
	struct superblock *super;
	struct cache_desc *descriptors;
	_Atomic uint32_t *slab_table;
	uint32_t max_caches, max_clients, max_racks;
};

struct cache_view {
	char *heap;
	_Atomic uint32_t *slab_table;
	uint64_t heap_bytes;
	uint32_t id;
	uint32_t word; /* what the slab table says of this cache's slabs */
	struct geometry geometry;
	struct cache_desc *desc;
	struct control *control;
	_Atomic uint64_t *hints[2]; /* by MAGAZINE_EMPTY, MAGAZINE_FULL */
	_Atomic uint32_t *rack_table;
	char *racks; /* page 0 of the depot's rack area */
	uint64_t depot_pages;
};

/* Maps a region of bytes from fd, MAP_NORESERVE.  At address if that is not NULL: -EADDRINUSE when
 * something else is mapped there.  prot as for mmap.  What is writable stays out of core dumps unless
 * $SLABD_DUMP is 1.  Returns 0 or -errno. */
int segment_map(char **ret, int fd, uint64_t bytes, int prot, void *address);

/* The same as a private copy that costs only the pages that are changed: what-if, for recovery. */
int segment_snapshot(char **ret, int fd, uint64_t bytes);

/* Where the heap of this segment should lie in every process; $SLABD_BASE overrides it. */
uint64_t segment_base(uint64_t id_high, uint64_t id_low);

/* Fills the view from the mapped catalog.  -EPROTO if it is none of ours or of another layout,
 * -EIO if it was never finished or its numbers do not agree with the regions' sizes. */
int segment_view(struct segment *ret, char *catalog, uint64_t catalog_bytes, char *depot,
		 uint64_t depot_bytes, char *heap, uint64_t heap_bytes);

/* The view of cache id, 1 to max_caches; copies its geometry.  The descriptor must be in use. */
void segment_cache(const struct segment *segment, uint32_t id, struct cache_view *ret);

/* Is it an object's ref?  Every bound is checked; in the heap of a segment that a hostile client
 * writes, nothing follows from it about the tag. */
static inline bool cache_has_ref(const struct cache_view *cache, slab_ref ref)
{
	uint32_t index;

	if (ref_offset(ref) >= cache->heap_bytes)
		return false;
	if (load_relaxed(&cache->slab_table[geometry_slab(&cache->geometry, ref) >>
					    (UNIT_SHIFT - REF_SHIFT)]) != cache->word)
		return false;
	return geometry_index(&cache->geometry, ref - geometry_slab(&cache->geometry, ref), &index);
}

/* The tag of an object of this cache. */
static inline slab_tag *cache_tag(const struct cache_view *cache, slab_ref ref)
{
	const struct geometry *g = &cache->geometry;

	return (slab_tag *)(void *)(cache->heap + ref_offset(ref & g->tag_base_mask) +
				    ((uint64_t)((ref & g->tag_mask) >> g->tag_shift) << 2) +
				    g->tag_offset);
}

#endif
