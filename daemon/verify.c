/* Everything that the worker takes for granted of catalog and state is looked at once, before the first
 * of it is used: what is derived is derived again and compared, every index is bounded, and no two
 * things may lie in one place.  A kill leaves none of this wrong, as records are filled before they
 * are made real; so what does not hold is damage, and such a segment is refused.
 *
 * Depot and heap are not looked at: they are hostile at all times (I-5). */
#include "daemon/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/clients.h"
#include "daemon/registry.h"

#define FAULT(...) (snprintf(why, n, __VA_ARGS__), -EIO)

/* ---------------------------------------------------------------- superblock */

/* The numbers that follow from size and limits. */
static bool is_derived(const struct superblock *super)
{
	struct superblock wanted = {0};
	char why[WHY_BYTES];

	return geometry_segment(&wanted, super->heap_bytes, super->max_caches, super->max_clients,
				why, sizeof(why)) == 0 &&
	       super->heap_bytes == wanted.heap_bytes && super->state_bytes == wanted.state_bytes &&
	       super->catalog_bytes == wanted.catalog_bytes &&
	       super->depot_bytes == wanted.depot_bytes && super->max_racks == wanted.max_racks &&
	       super->control_bytes == wanted.control_bytes &&
	       super->descriptors == wanted.descriptors && super->slab_table == wanted.slab_table &&
	       super->rack_table == wanted.rack_table && super->racks == wanted.racks &&
	       super->depot_pages == wanted.depot_pages;
}

int verify_superblock(const struct superblock *super, char *why, size_t n)
{
	if (super->magic != SLABD_MAGIC || super->layout != SLABD_LAYOUT_VERSION) {
		snprintf(why, n, "layout %u, this slabd has layout %u",
			 super->magic == SLABD_MAGIC ? super->layout : 0, SLABD_LAYOUT_VERSION);
		return -EPROTO;
	}
	if (load_relaxed(&super->ready) != 1)
		return FAULT("the segment was never finished");
	if (!is_derived(super))
		return FAULT("the superblock's numbers do not follow from its size and limits");
	if (!super->base || super->base % EXTENT_BYTES)
		return FAULT("the superblock's address 0x%llx is none of a heap",
			     (unsigned long long)super->base);
	return 0;
}

static int verify_state_head(const struct pool *pool, char *why, size_t n)
{
	struct state_head wanted = backing_state_head(pool->segment.super);

	if (memcmp(pool->segment.state, &wanted, offsetof(struct state_head, worker_starts)) == 0)
		return 0;
	return FAULT("the state region is none of this segment's");
}

/* ---------------------------------------------------------------- descriptors */

/* Geometry is what the request gives that it says it comes from.  A magazine may be smaller than who
 * asks for it may have it, if it is the default. */
static bool is_made(const struct pool *pool, const struct geometry *g)
{
	const struct segment *s = &pool->segment;
	struct geometry_request request = {
		.object_size = g->object_size, .align = g->align, .flags = g->flags};
	struct geometry made;
	char why[WHY_BYTES];

	if (g->flags & GEOMETRY_EXCLUSIVE)
		return false;
	if (geometry_make(&made, &request, s->heap_bytes, s->max_racks, why, sizeof(why)) < 0)
		return false;
	if (memcmp(&made, g, sizeof(made)) == 0)
		return true;
	request.magazine = g->capacity;
	return request.magazine &&
	       geometry_make(&made, &request, s->heap_bytes, s->max_racks, why, sizeof(why)) == 0 &&
	       memcmp(&made, g, sizeof(made)) == 0;
}

static int verify_desc(const struct pool *pool, uint32_t id, char *why, size_t n)
{
	const struct segment *s = &pool->segment;
	const struct cache_desc *desc = &s->descriptors[id];

	if (load_relaxed(&desc->state) > CACHE_RELEASING)
		return FAULT("cache id %u: state %u is none", id, load_relaxed(&desc->state));
	if (!memchr(desc->name, 0, sizeof(desc->name)) || !registry_is_name(desc->name))
		return FAULT("cache id %u: its name is none", id);
	if (!is_made(pool, &desc->geometry))
		return FAULT("cache \"%s\": its geometry is none of objects of %u bytes",
			     desc->name, desc->geometry.object_size);
	if (!desc->serial || desc->serial >= load_relaxed(&s->super->next_serial))
		return FAULT("cache \"%s\": serial %llu was never given out", desc->name,
			     (unsigned long long)desc->serial);
	if (load_relaxed(&desc->racks) > s->max_racks)
		return FAULT("cache \"%s\": %u racks, %u at most", desc->name,
			     load_relaxed(&desc->racks), s->max_racks);
	return 0;
}

static bool take_run(uint64_t *taken, uint64_t first, uint64_t pages)
{
	for (uint64_t page = first; page < first + pages; page++) {
		if (taken[page / 64] >> page % 64 & 1)
			return false;
		taken[page / 64] |= UINT64_C(1) << page % 64;
	}
	return true;
}

static int verify_racks(const struct pool *pool, uint32_t id, uint64_t *taken, char *why, size_t n)
{
	const struct superblock *super = pool->segment.super;
	struct cache_view view;
	uint64_t pages;

	segment_cache(&pool->segment, id, &view);
	pages = view.geometry.magazine_bytes * RACK_MAGAZINES / PAGE_BYTES;
	for (uint32_t rack = 0; rack < load_relaxed(&view.desc->racks); rack++) {
		uint64_t page = load_relaxed(&view.rack_table[rack]);

		if (!page || (page - 1) % pages || page - 1 + pages > super->depot_pages)
			return FAULT("cache \"%s\": rack %u lies at page %llu of %llu",
				     view.desc->name, rack, (unsigned long long)page,
				     (unsigned long long)super->depot_pages);
		if (!take_run(taken, page - 1, pages))
			return FAULT("cache \"%s\": rack %u lies where another does",
				     view.desc->name, rack);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int verify_names(const struct pool *pool, char *why, size_t n)
{
	const struct segment *s = &pool->segment;
	const char **names = calloc(s->max_caches, sizeof(*names));
	size_t live = 0;
	int r = 0;

	if (!names)
		return -ENOMEM;
	for (uint32_t id = 1; id <= s->max_caches; id++)
		if (load_relaxed(&s->descriptors[id].state) == CACHE_LIVE)
			names[live++] = s->descriptors[id].name;
	qsort(names, live, sizeof(*names), by_name);
	for (size_t i = 1; i < live && r == 0; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			r = FAULT("two caches are named \"%s\"", names[i]);
	free(names);
	return r;
}

static int verify_caches(const struct pool *pool, char *why, size_t n)
{
	const struct segment *s = &pool->segment;
	uint64_t *taken = calloc(s->super->depot_pages / 64 + 1, sizeof(*taken));
	int r = taken ? 0 : -ENOMEM;

	for (uint32_t id = 1; id <= s->max_caches && r == 0; id++) {
		if (load_relaxed(&s->descriptors[id].state) == CACHE_FREE)
			continue;
		r = verify_desc(pool, id, why, n);
		if (r == 0)
			r = verify_racks(pool, id, taken, why, n);
	}
	free(taken);
	return r == 0 ? verify_names(pool, why, n) : r;
}

/* ---------------------------------------------------------------- slab table */

static int verify_slabs(const struct pool *pool, char *why, size_t n)
{
	const struct segment *s = &pool->segment;
	uint32_t units = (uint32_t)(s->heap_bytes >> UNIT_SHIFT), end = EXTENT_UNITS;

	for (uint32_t unit = 0; unit < units; unit++) {
		uint32_t word = load_relaxed(&s->slab_table[unit]), id = slab_word_cache(word);
		uint32_t length;
		const struct cache_desc *desc;

		if (word == SLAB_WORD_NONE)
			continue;
		desc = id && id <= s->max_caches ? &s->descriptors[id] : NULL;
		if (!desc || load_relaxed(&desc->state) == CACHE_FREE ||
		    word != SLAB_WORD(id, desc->geometry.slab_shift))
			return FAULT("slab table, unit %u: 0x%08x is of no cache", unit, word);
		length = UINT32_C(1) << (desc->geometry.slab_shift - UNIT_SHIFT);
		if (unit < end || unit % length || length > units - unit)
			return FAULT("slab table, unit %u: a slab of \"%s\" can't lie there", unit,
				     desc->name);
		end = unit + length;
	}
	return 0;
}

/* ---------------------------------------------------------------- client table */

static int verify_clients(const struct pool *pool, char *why, size_t n)
{
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++) {
		const struct client_record *record = clients_record(pool, id);
		uint32_t state = load_relaxed(&record->state);

		if (state == CLIENT_FREE)
			continue;
		if (state > CLIENT_TOMB || record->pid <= 0)
			return FAULT("client %u: state %u of pid %d is none", id, state,
				     record->pid);
		if (record->threads > CLIENT_THREADS_MAX)
			return FAULT("client %u: %u threads, %u at most", id, record->threads,
				     CLIENT_THREADS_MAX);
		if (!memchr(record->comm, 0, sizeof(record->comm)))
			return FAULT("client %u: its process's name has no end", id);
		if (!registry_bits_agree(pool, id))
			return FAULT("client %u: it has a cache open that it never opened", id);
	}
	return 0;
}

int verify_regions(const struct pool *pool, char *why, size_t n)
{
	int r = verify_state_head(pool, why, n);

	if (r == 0)
		r = verify_caches(pool, why, n);
	if (r == 0)
		r = verify_slabs(pool, why, n);
	if (r == 0)
		r = verify_clients(pool, why, n);
	return r;
}
