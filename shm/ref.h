/* Object references: (address - heap base) >> 4.  0 is none, since the heap's first 2 MiB are never
 * used.  32 bits reach over 64 GiB. */
#ifndef SHM_REF_H
#define SHM_REF_H

#include <stdint.h>

#define REF_SHIFT 4
#define REF_NONE  0u

typedef uint32_t slab_ref;

static inline uint64_t ref_offset(slab_ref ref)
{
	return (uint64_t)ref << REF_SHIFT;
}

static inline void *ref_address(const char *heap, slab_ref ref)
{
	return (void *)(heap + ref_offset(ref));
}

/* Only for an address that was checked to lie in the heap. */
static inline slab_ref ref_of(const char *heap, const void *object)
{
	return (slab_ref)((uint64_t)((const char *)object - heap) >> REF_SHIFT);
}

/* Handles name an object in every process: cache id:16 | generation:16 | ref:32. */
static inline uint64_t handle_make(uint32_t cache, uint32_t generation, slab_ref ref)
{
	return (uint64_t)(cache & 0xffff) << 48 | (uint64_t)(generation & 0xffff) << 32 | ref;
}

static inline uint32_t handle_cache(uint64_t handle)
{
	return (uint32_t)(handle >> 48);
}

static inline uint32_t handle_generation(uint64_t handle)
{
	return (uint32_t)(handle >> 32) & 0xffff;
}

static inline slab_ref handle_ref(uint64_t handle)
{
	return (slab_ref)handle;
}

#endif
