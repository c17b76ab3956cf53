/* Pure arithmetic: how a cache's objects lie in its slabs, and what the regions of a segment span. */
#ifndef SHM_GEOMETRY_H
#define SHM_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"
#include "shm/ref.h"
#include "shm/tag.h"

#define OBJECT_SIZE_MAX	     131072u
#define OBJECT_ALIGN_MAX     4096u
#define OBJECT_ALIGN_DEFAULT 8u
#define MAGAZINE_ROUNDS_MAX  251u /* of 1024 bytes */

#define GEOMETRY_RECLAIM   0x1u
#define GEOMETRY_STRICT	   0x2u
#define GEOMETRY_HWALIGN   0x4u
#define GEOMETRY_EXCLUSIVE 0x8u /* of create alone; never stored */
#define GEOMETRY_FLAGS	   0xfu

/* What a caller asks for; 0 means the default of align and magazine. */
struct geometry_request {
	uint64_t object_size, align;
	uint32_t flags, magazine;
};

/* Fills *ret, or returns -EINVAL and a sentence in why[] that names the limit.  max_racks bounds
 * from below how small a magazine may be. */
int geometry_make(struct geometry *ret, const struct geometry_request *request, uint64_t heap_bytes,
		  uint32_t max_racks, char *why, size_t why_bytes);

/* True if request describes the cache that has this geometry (defaults resolved). */
bool geometry_matches(const struct geometry *geometry, const struct geometry_request *request);

/* The spans of a segment's regions, into the superblock's fields.  heap_bytes is rounded up to
 * whole extents.  -EINVAL with a sentence if a limit is passed. */
int geometry_segment(struct superblock *super, uint64_t heap_bytes, uint32_t max_caches,
		     uint32_t max_clients, char *why, size_t why_bytes);

/* Offsets of the hint arrays in a control. */
static inline uint64_t geometry_hints_bytes(uint32_t max_racks)
{
	return ((uint64_t)max_racks * 8 + CACHE_LINE - 1) & ~(uint64_t)(CACHE_LINE - 1);
}

/* A bit for each cache id, 0 to max_caches. */
static inline uint64_t geometry_bitmap_bytes(uint32_t max_caches)
{
	return ((uint64_t)max_caches + 64) / 64 * 8;
}

static inline uint64_t geometry_slab_bytes(const struct geometry *geometry)
{
	return UINT64_C(1) << geometry->slab_shift;
}

/* The first ref of the slab that ref would lie in. */
static inline slab_ref geometry_slab(const struct geometry *geometry, slab_ref ref)
{
	return ref & ~((UINT32_C(1) << (geometry->slab_shift - REF_SHIFT)) - 1);
}

/* The index of the object at an offset in its slab, in refs; false: none begins there.  Multiplied by
 * the inverse of the stride's odd part and rotated by its twos, a multiple of the stride is its index,
 * and anything else is larger than any index (T. Granlund, P. Montgomery: Division by invariant
 * integers using multiplication, 1994, section 9). */
static inline bool geometry_index(const struct geometry *geometry, uint32_t offset, uint32_t *ret)
{
	uint32_t product = offset * geometry->inverse;

	*ret = product >> geometry->twos | product << (-geometry->twos & 31);
	return *ret < geometry->objects;
}

#endif
