#include "shm/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* The kernel reads all of a shared mapping that it dumps, and a hole that is read is backed: one core
 * would fill every segment to its full span.  (The catalog as clients see it is small.) */
static void keep_from_core(void *region, uint64_t bytes)
{
	const char *wanted = secure_getenv("SLABD_DUMP");

	if (!wanted || strcmp(wanted, "1") != 0)
		(void)madvise(region, bytes, MADV_DONTDUMP);
}

/* Somewhere, but on a multiple of 2 MiB: huge pages need it (MADV_COLLAPSE does nothing, and says so
 * to nobody, where address and offset differ), and the fast path takes an address' low bits for its
 * place in a slab. */
static void *reserve(uint64_t bytes)
{
	char *p = mmap(NULL, bytes + EXTENT_BYTES, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (p == MAP_FAILED)
		return MAP_FAILED;
	before = -(uintptr_t)p & (EXTENT_BYTES - 1);
	if (before)
		munmap(p, before);
	munmap(p + before + bytes, EXTENT_BYTES - before);
	return p + before;
}

static void *map_anywhere(int fd, uint64_t bytes, int prot)
{
	char *at = reserve(bytes);
	void *p;

	if (at == MAP_FAILED)
		return MAP_FAILED;
	p = mmap(at, bytes, prot, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED) {
		int saved = errno;

		munmap(at, bytes);
		errno = saved;
	}
	return p;
}

int segment_map(char **ret, int fd, uint64_t bytes, int prot, void *address)
{
	void *p = address ? mmap(address, bytes, prot,
				 MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0)
			  : map_anywhere(fd, bytes, prot);

	if (p == MAP_FAILED)
		return errno == EEXIST ? -EADDRINUSE : -errno;
	if (address && p != address) {
		/* valgrind takes the address for a hint; TSan and MSan rewrite it */
		munmap(p, bytes);
		return -EADDRINUSE;
	}
	if (prot & PROT_WRITE)
		keep_from_core(p, bytes);
	*ret = p;
	return 0;
}

int segment_snapshot(char **ret, int fd, uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

uint64_t segment_base(uint64_t id_high, uint64_t id_low)
{
	const char *forced = secure_getenv("SLABD_BASE");
	uint64_t hash =
		(id_high ^ id_low * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);

	if (forced && *forced)
		return strtoull(forced, NULL, 0) & ~(uint64_t)(EXTENT_BYTES - 1);
	return BASE_FIRST + (hash >> 32) % BASE_SLOTS * HEAP_BYTES_MAX;
}

int segment_view(struct segment *ret, char *catalog, uint64_t catalog_bytes, char *depot,
		 uint64_t depot_bytes, char *heap, uint64_t heap_bytes)
{
	struct superblock *super = (struct superblock *)(void *)catalog;

	if (catalog_bytes < PAGE_BYTES || super->magic != SLABD_MAGIC ||
	    super->layout != SLABD_LAYOUT_VERSION)
		return -EPROTO;
	if (!load_acquire(&super->ready) || super->catalog_bytes != catalog_bytes ||
	    super->depot_bytes != depot_bytes || super->heap_bytes != heap_bytes)
		return -EIO;
	*ret = (struct segment){
		.heap = heap,
		.depot = depot,
		.catalog = catalog,
		.heap_bytes = heap_bytes,
		.depot_bytes = depot_bytes,
		.catalog_bytes = catalog_bytes,
		.state_bytes = super->state_bytes,
		.super = super,
		.descriptors = (struct cache_desc *)(void *)(catalog + super->descriptors),
		.slab_table = (_Atomic uint32_t *)(void *)(catalog + super->slab_table),
		.max_caches = super->max_caches,
		.max_clients = super->max_clients,
		.max_racks = super->max_racks,
	};
	return 0;
}

void segment_cache(const struct segment *segment, uint32_t id, struct cache_view *ret)
{
	struct superblock *super = segment->super;
	struct cache_desc *desc = &segment->descriptors[id];
	char *control = segment->depot + (uint64_t)super->control_bytes * id;
	char *hints = control + sizeof(struct control);

	*ret = (struct cache_view){
		.heap = segment->heap,
		.slab_table = segment->slab_table,
		.heap_bytes = segment->heap_bytes,
		.id = id,
		.word = SLAB_WORD(id, desc->geometry.slab_shift),
		.geometry = desc->geometry,
		.desc = desc,
		.control = (struct control *)(void *)control,
		.rack_table = (_Atomic uint32_t *)(void *)(segment->catalog + super->rack_table) +
			      (uint64_t)super->max_racks * id,
		.racks = segment->depot + super->racks,
		.depot_pages = super->depot_pages,
	};
	ret->hints[MAGAZINE_FULL] = (_Atomic uint64_t *)(void *)hints;
	ret->hints[MAGAZINE_EMPTY] =
		(_Atomic uint64_t *)(void *)(hints + geometry_hints_bytes(super->max_racks));
}
