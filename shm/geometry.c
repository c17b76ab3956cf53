/* How a cache's objects lie in its slabs.
 *
 * A slab is a naturally aligned power of two of the heap.  Objects stand from its start, one stride
 * apart; their tags form an array at its tail, on the objects' own hugepage.  The tag of an object
 * is found without a division:
 *
 *	heap + (ref & m1) * 16 + ((ref & m2) >> k) * 4 + c
 *
 * with m1 the slab's base, m2 the offset in the slab and k = floor(log2(stride / 16)): two objects
 * are at least 2^k refs apart, so their tags are different words, and the array is at most twice as
 * long as there are objects.
 *
 * With m1 all ones and m2 = 0 the tag lies at a fixed place in each object's own stride.  So it is in
 * SLABD_HWALIGN caches whose stride leaves room: nothing that another process touches shares a line
 * with the object then, not even a neighbour's tag.  Elsewhere the array is better: a free of an
 * object that is in no cache waits for its tag, and the array is a sixteenth of the lines.
 * (docs/ARCHITECTURE.md has the figures of both.)
 *
 * The slab is the smallest that holds at least 8 objects and wastes at most an eighth; where none
 * does, the one with the least waste. */
#include "shm/geometry.h"

#include <errno.h>
#include <stdio.h>

#define SLAB_SHIFT_MIN	 UNIT_SHIFT
#define SLAB_SHIFT_MAX	 EXTENT_SHIFT
#define SLAB_OBJECTS_MIN 8
#define SLAB_WASTE_SHARE 8
#define SMALLEST_STRIDE	 16u
/* The smallest magazine of the smallest objects, for which a cache's rack table has room. */
#define SMALL_ROUNDS 59u

static uint64_t round_up(uint64_t value, uint64_t step)
{
	return (value + step - 1) / step * step;
}

static uint32_t log2_floor(uint32_t value)
{
	return 31 - (uint32_t)__builtin_clz(value);
}

/* SLAB_HWCACHE_ALIGN as the kernel has it: a cache line, or the half, quarter, … of one that an
 * object still fits. */
static uint32_t align_of(const struct geometry_request *request)
{
	uint32_t align = request->align ? (uint32_t)request->align : OBJECT_ALIGN_DEFAULT;
	uint32_t line = CACHE_LINE;

	if (!(request->flags & GEOMETRY_HWALIGN))
		return align;
	while (request->object_size <= line / 2)
		line /= 2;
	return align > line ? align : line;
}

static bool tags_in_slack(const struct geometry *g)
{
	return g->flags & GEOMETRY_HWALIGN && g->stride - g->object_size >= sizeof(slab_tag);
}

/* Of the array of tags. */
static uint64_t tags_bytes(const struct geometry *g, uint64_t objects)
{
	if (tags_in_slack(g))
		return 0;
	return (((objects - 1) * (g->stride >> REF_SHIFT) >> g->tag_shift) + 1) * sizeof(slab_tag);
}

/* Objects of a slab: as many as leave room for their tags. */
static uint32_t objects_in(const struct geometry *g, uint64_t slab_bytes)
{
	uint64_t objects = slab_bytes / g->stride;

	while (objects && objects * g->stride + tags_bytes(g, objects) > slab_bytes)
		objects--;
	return (uint32_t)objects;
}

static void choose_slab(struct geometry *geometry)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t shift = SLAB_SHIFT_MIN; shift <= SLAB_SHIFT_MAX; shift++) {
		uint64_t bytes = UINT64_C(1) << shift;
		uint32_t objects = objects_in(geometry, bytes);
		uint64_t waste;
		bool good;

		if (!objects)
			continue;
		waste = (bytes - (uint64_t)objects * geometry->stride -
			 tags_bytes(geometry, objects))
			<< (SLAB_SHIFT_MAX - shift);
		good = objects >= SLAB_OBJECTS_MIN && waste <= EXTENT_BYTES / SLAB_WASTE_SHARE;
		if (good || waste < least) {
			least = waste;
			geometry->slab_shift = shift;
			geometry->objects = objects;
		}
		if (good)
			break;
	}
}

static void place_tags(struct geometry *g)
{
	uint32_t slab_refs = (uint32_t)(geometry_slab_bytes(g) >> REF_SHIFT);

	if (tags_in_slack(g)) {
		g->tag_base_mask = UINT32_MAX;
		g->tag_offset = g->stride - sizeof(slab_tag);
		return;
	}
	g->tag_base_mask = ~(slab_refs - 1);
	g->tag_mask = slab_refs - 1;
	g->tag_offset = geometry_slab_bytes(g) - tags_bytes(g, g->objects);
}

/* Rounds by object size: a magazine is exchanged by one compare-and-swap, so the smaller the object
 * the more of them should travel together; a thread pins two magazines, so the larger the fewer. */
static uint32_t rounds_for(uint32_t object_size)
{
	if (object_size <= 128)
		return 123;
	if (object_size <= 512)
		return 59;
	if (object_size <= 2048)
		return 27;
	if (object_size <= 16384)
		return 11;
	return 4;
}

static uint32_t magazine_bytes_for(uint32_t rounds)
{
	uint32_t bytes = CACHE_LINE;

	while ((bytes - sizeof(struct magazine)) / sizeof(slab_ref) < rounds + 1)
		bytes *= 2;
	return bytes;
}

static int check(const struct geometry_request *request, char *why, size_t n)
{
	if (request->object_size == 0 || request->object_size > OBJECT_SIZE_MAX)
		snprintf(why, n, "object size %llu: must be 1 to %u bytes",
			 (unsigned long long)request->object_size, OBJECT_SIZE_MAX);
	else if (request->align > OBJECT_ALIGN_MAX || (request->align & (request->align - 1)))
		snprintf(why, n, "align %llu: must be a power of two up to %u, or 0 for %u",
			 (unsigned long long)request->align, OBJECT_ALIGN_MAX,
			 OBJECT_ALIGN_DEFAULT);
	else if (request->flags & ~GEOMETRY_FLAGS)
		snprintf(why, n, "flags 0x%x: only 0x%x are known", request->flags, GEOMETRY_FLAGS);
	else if (request->magazine > MAGAZINE_ROUNDS_MAX)
		snprintf(why, n, "magazine %u: must be 1 to %u rounds, or 0 for the default",
			 request->magazine, MAGAZINE_ROUNDS_MAX);
	else
		return 0;
	return -EINVAL;
}

/* Modulo 2^32, of an odd number: each step doubles the bits that are right, 3 at first. */
static uint32_t inverse_of(uint32_t odd)
{
	uint32_t inverse = odd;

	for (int bits = 3; bits < 32; bits *= 2)
		inverse *= 2 - odd * inverse;
	return inverse;
}

int geometry_make(struct geometry *ret, const struct geometry_request *request, uint64_t heap_bytes,
		  uint32_t max_racks, char *why, size_t why_bytes)
{
	struct geometry g = {0};
	uint64_t most, rounds;
	int r = check(request, why, why_bytes);

	if (r < 0)
		return r;
	g.object_size = (uint32_t)request->object_size;
	g.flags = request->flags & ~GEOMETRY_EXCLUSIVE;
	g.align = align_of(request);
	g.stride = (uint32_t)round_up(g.object_size,
				      g.align > SMALLEST_STRIDE ? g.align : SMALLEST_STRIDE);
	g.tag_shift = log2_floor(g.stride >> REF_SHIFT);
	choose_slab(&g);

	place_tags(&g);
	g.twos = (uint32_t)__builtin_ctz(g.stride >> REF_SHIFT);
	g.inverse = inverse_of(g.stride >> REF_SHIFT >> g.twos);

	g.capacity = request->magazine ? request->magazine : rounds_for(g.object_size);
	g.magazine_bytes = magazine_bytes_for(g.capacity);
	most = (heap_bytes >> g.slab_shift) * g.objects;
	rounds = most / ((uint64_t)max_racks * RACK_MAGAZINES) + 1;
	if (g.capacity < rounds && request->magazine) {
		snprintf(why, why_bytes,
			 "magazine %u: too few rounds for objects of %u bytes in a heap of %llu "
			 "MiB; at least %llu",
			 g.capacity, g.object_size, (unsigned long long)(heap_bytes >> 20),
			 (unsigned long long)rounds);
		return -EINVAL;
	}
	*ret = g;
	return 0;
}

bool geometry_matches(const struct geometry *geometry, const struct geometry_request *request)
{
	return geometry->object_size == request->object_size &&
	       geometry->align == align_of(request) &&
	       geometry->flags == (request->flags & ~GEOMETRY_EXCLUSIVE) &&
	       (request->magazine == 0 || geometry->capacity == request->magazine);
}

int geometry_segment(struct superblock *super, uint64_t heap_bytes, uint32_t max_caches,
		     uint32_t max_clients, char *why, size_t why_bytes)
{
	uint64_t bytes = round_up(heap_bytes, EXTENT_BYTES);
	uint64_t racks, bitmap;

	if (heap_bytes < HEAP_BYTES_MIN || heap_bytes > HEAP_BYTES_MAX) {
		snprintf(why, why_bytes, "size %llu: must be %llu MiB to %llu GiB",
			 (unsigned long long)heap_bytes, (unsigned long long)(HEAP_BYTES_MIN >> 20),
			 (unsigned long long)(HEAP_BYTES_MAX >> 30));
		return -EINVAL;
	}
	if (max_caches < 1 || max_caches > CACHES_MAX) {
		snprintf(why, why_bytes, "max-caches %u: must be 1 to %u", max_caches, CACHES_MAX);
		return -EINVAL;
	}
	if (max_clients < 1 || max_clients > 16381) {
		snprintf(why, why_bytes, "max-clients %u: must be 1 to 16381", max_clients);
		return -EINVAL;
	}
	super->heap_bytes = bytes;
	super->max_caches = max_caches;
	super->max_clients = max_clients;
	/* A heap full of the smallest objects, the default magazines of the smallest; and for each
	 * cache a few racks more for the threads' own magazines. */
	racks = bytes / (SMALLEST_STRIDE + sizeof(uint32_t)) / SMALL_ROUNDS / RACK_MAGAZINES;
	super->max_racks = (uint32_t)racks + 2 * max_clients / RACK_MAGAZINES + 64;
	super->control_bytes = (uint32_t)round_up(
		sizeof(struct control) + 2 * geometry_hints_bytes(super->max_racks), PAGE_BYTES);

	super->descriptors = PAGE_BYTES;
	super->slab_table =
		super->descriptors +
		round_up(sizeof(struct cache_desc) * ((uint64_t)max_caches + 1), PAGE_BYTES);
	super->rack_table = super->slab_table + round_up((bytes >> UNIT_SHIFT) * 4, PAGE_BYTES);
	super->catalog_bytes = round_up(super->rack_table + (uint64_t)super->max_racks * 4 *
								    ((uint64_t)max_caches + 1),
					EXTENT_BYTES);

	super->racks =
		round_up((uint64_t)super->control_bytes * ((uint64_t)max_caches + 1), PAGE_BYTES);
	/* Magazines take at most 4.4 bytes an object of at least 20, and no cache starts with more than
	 * two racks of 64 KiB. */
	super->depot_pages = (bytes / 4 + ((uint64_t)max_caches + 1) * 2 * 65536 +
			      (uint64_t)max_clients * 4096) /
			     PAGE_BYTES;
	super->depot_bytes = round_up(super->racks + super->depot_pages * PAGE_BYTES, EXTENT_BYTES);

	bitmap = geometry_bitmap_bytes(max_caches);
	super->state_bytes =
		round_up(PAGE_BYTES + ((uint64_t)max_clients + PARTY_FIRST) *
					      (sizeof(struct client_record) + 2 * bitmap),
			 EXTENT_BYTES);
	return 0;
}
