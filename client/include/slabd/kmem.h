/* The kernel's spelling of slabd, over slabd_default(): code written for kmem_cache_* compiles on it.
 *
 * As in the kernel: kmem_cache_alloc returns NULL without memory, GFP_ATOMIC and GFP_NOWAIT never
 * wait, kmem_cache_free takes no interior pointers, and kmem_cache_alloc_bulk returns the count or 0.
 *
 * Unlike in the kernel: a name that exists is opened if object size, align and flags match, since
 * other processes share it.  There is no constructor, since an object may have been some other
 * program's before: a ctor that is not NULL is refused with EINVAL. */
#ifndef SLABD_KMEM_H
#define SLABD_KMEM_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <slabd/slabd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define kmem_cache slabd_cache /* struct kmem_cache */

typedef unsigned gfp_t;
typedef unsigned slab_flags_t;

#define GFP_KERNEL ((gfp_t)0)
#define GFP_ATOMIC ((gfp_t)SLABD_NOWAIT)
#define GFP_NOWAIT ((gfp_t)SLABD_NOWAIT)
#define __GFP_ZERO ((gfp_t)SLABD_ZERO)

#define SLAB_HWCACHE_ALIGN ((slab_flags_t)SLABD_HWALIGN)
#define SLAB_PANIC	   ((slab_flags_t)0x80000000u) /* abort rather than return NULL */

/* What slabd_error() says of a constructor. */
#pragma GCC visibility push(default)
void slabd_kmem_constructor(const char *name);
#pragma GCC visibility pop

static inline struct kmem_cache *slabd_kmem_failed(const char *name, int error, slab_flags_t flags)
{
	if (flags & SLAB_PANIC) {
		fprintf(stderr, "kmem_cache_create(%s): %s\n", name ? name : "", slabd_error());
		abort();
	}
	errno = error;
	return NULL;
}

/* The cache, or NULL and errno. */
static inline struct kmem_cache *kmem_cache_create(const char *name, unsigned size, unsigned align,
						   slab_flags_t flags, void (*ctor)(void *))
{
	struct slabd *slabd = slabd_default();
	struct slabd_cache_args args;
	struct kmem_cache *cache = NULL;
	int r;

	if (!slabd)
		return slabd_kmem_failed(name, errno, flags);
	if (ctor) {
		slabd_kmem_constructor(name);
		return slabd_kmem_failed(name, EINVAL, flags);
	}
	args.size_of_args = sizeof(args);
	args.object_size = size;
	args.align = align;
	args.flags = flags & ~SLAB_PANIC;
	args.magazine = 0;
	r = slabd_cache_create(slabd, name, &args, &cache);
	if (r < 0)
		return slabd_kmem_failed(name, -r, flags);
	return cache;
}

/* KMEM_CACHE(thing, flags): a cache "thing" of struct thing. */
#define KMEM_CACHE(thing, flags)                                  \
	kmem_cache_create(#thing, (unsigned)sizeof(struct thing), \
			  (unsigned)__alignof__(struct thing), (flags), NULL)

/* The name goes; reports and keeps the cache while objects are live, as the kernel does. */
static inline void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (cache && slabd_cache_destroy(cache) < 0)
		fprintf(stderr, "kmem_cache_destroy: %s\n", slabd_error());
}

static inline int kmem_cache_shrink(struct kmem_cache *cache)
{
	return slabd_cache_shrink(cache);
}

static inline unsigned kmem_cache_size(struct kmem_cache *cache)
{
	return (unsigned)slabd_cache_size(cache);
}

static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags)
{
	return slabd_alloc(cache, flags);
}

static inline void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t flags)
{
	return slabd_alloc(cache, flags | __GFP_ZERO);
}

static inline void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	slabd_free(cache, object);
}

static inline int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t flags, size_t n,
					void **objects)
{
	return (int)slabd_alloc_bulk(cache, flags, n, objects);
}

static inline void kmem_cache_free_bulk(struct kmem_cache *cache, size_t n, void **objects)
{
	slabd_free_bulk(cache, n, objects);
}

#ifdef __cplusplus
}
#endif

#endif
