/* The arithmetic of slabs, for every size that there is a rule about and a random share of the rest. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/geometry.h"
#include "shm/magazine.h"
#include "shm/segment.h"

#define HEAP  (UINT64_C(1) << 30)
#define RACKS 14409

static struct geometry make(uint64_t size, uint64_t align, uint32_t flags, uint32_t magazine)
{
	const struct geometry_request request = {size, align, flags, magazine};
	struct geometry g;
	char why[256] = "";

	cr_assert_eq(geometry_make(&g, &request, HEAP, RACKS, why, sizeof(why)), 0, "%s", why);
	return g;
}

/* Where cache_tag finds the tag of an object of a slab at the heap's start, in bytes. */
static uint64_t tag_at(const struct geometry *g, slab_ref ref)
{
	struct cache_view view = {.geometry = *g, .heap = (char *)(uintptr_t)BASE_FIRST};

	return (uint64_t)((char *)cache_tag(&view, ref) - view.heap);
}

/* In the object's own stride, after its last byte. */
static void check_slack(const struct geometry *g)
{
	slab_ref base = (slab_ref)(EXTENT_BYTES * 3 >> REF_SHIFT);

	cr_assert_eq(g->objects, geometry_slab_bytes(g) / g->stride);
	for (uint32_t i = 0; i < g->objects; i++) {
		slab_ref ref = base + i * (g->stride >> REF_SHIFT);
		uint64_t at = tag_at(g, ref) - ref_offset(ref);
		uint32_t index;

		cr_assert(geometry_index(g, ref - base, &index) && index == i);
		cr_assert(at % 4 == 0 && at >= g->object_size && at + 4 <= g->stride,
			  "size %u stride %u: tag of object %u at %llu", g->object_size, g->stride,
			  i, (unsigned long long)at);
	}
}

static void check_slab(const struct geometry *g)
{
	uint64_t slab = geometry_slab_bytes(g), before = 0;
	slab_ref base = (slab_ref)(EXTENT_BYTES * 3 >> REF_SHIFT);

	for (uint32_t i = 0; i < g->objects; i++) {
		slab_ref ref = base + i * (g->stride >> REF_SHIFT);
		uint64_t at = tag_at(g, ref) - ref_offset(base);
		uint32_t index;

		if (!geometry_index(g, ref - base, &index) || index != i ||
		    geometry_slab(g, ref) != base || at % 4 ||
		    at < (uint64_t)g->objects * g->stride || at + 4 > slab || (i && at <= before))
			cr_assert_fail(
				"size %u align %u: tag of object %u at %llu of a slab of %llu",
				g->object_size, g->align, i, (unsigned long long)at,
				(unsigned long long)slab);
		before = at;
	}
}

static void check_geometry(const struct geometry *g, uint32_t size, uint32_t align)
{
	uint64_t slab = geometry_slab_bytes(g);

	cr_assert_eq(g->object_size, size);
	cr_assert_geq(g->stride, size);
	cr_assert_eq(g->stride % 16, 0);
	cr_assert_eq(g->stride % align, 0);
	cr_assert(g->stride < size + (align > 16 ? align : 16), "stride %u for %u", g->stride,
		  size);
	cr_assert(g->slab_shift >= 16 && g->slab_shift <= 21);
	cr_assert_gt(g->objects, 0);
	cr_assert_leq(g->tag_offset, slab - 4);
	cr_assert_leq(g->capacity, magazine_rounds_max(g->magazine_bytes));
	cr_assert(g->magazine_bytes == 64 ||
		  g->capacity > magazine_rounds_max(g->magazine_bytes / 2));
	cr_assert_leq(g->magazine_bytes, 1024);
	if (g->flags & GEOMETRY_HWALIGN && g->stride >= size + 4)
		check_slack(g);
	else
		check_slab(g);
}

/* ---------------------------------------------------------------- the choice of a slab */

static uint32_t log2_of(uint32_t value)
{
	uint32_t n = 0;

	while (value >>= 1)
		n++;
	return n;
}

/* Objects that fit a slab, counted up the slow way. */
static uint32_t fit(uint32_t stride, uint64_t slab)
{
	uint32_t k = log2_of(stride / 16), n = 0;

	for (;;) {
		uint64_t tags = (((uint64_t)n * (stride / 16)) >> k) + 1;

		if ((uint64_t)(n + 1) * stride + tags * 4 > slab)
			return n;
		n++;
	}
}

static double waste_of(uint32_t stride, uint32_t shift, uint32_t n)
{
	double slab = (double)(UINT64_C(1) << shift);
	uint32_t k = log2_of(stride / 16);
	uint64_t tags = (((uint64_t)(n - 1) * (stride / 16)) >> k) + 1;

	return (slab - (double)n * stride - (double)tags * 4) / slab;
}

/* The smallest with 8 objects and an eighth of waste at most; where none is, the least waste. */
static void check_choice(const struct geometry *g)
{
	double least = 2, chosen;
	uint32_t expected = 0;

	for (uint32_t shift = 16; shift <= 21; shift++) {
		uint32_t n = fit(g->stride, UINT64_C(1) << shift);

		if (!n)
			continue;
		if (n >= 8 && waste_of(g->stride, shift, n) <= 1.0 / 8) {
			expected = shift;
			break;
		}
		if (waste_of(g->stride, shift, n) < least)
			least = waste_of(g->stride, shift, n);
	}
	cr_assert_eq(g->objects, fit(g->stride, geometry_slab_bytes(g)), "size %u: %u objects",
		     g->object_size, g->objects);
	chosen = waste_of(g->stride, g->slab_shift, g->objects);
	if (expected)
		cr_assert_eq(g->slab_shift, expected, "size %u: shift %u, not %u", g->object_size,
			     g->slab_shift, expected);
	else
		cr_assert_leq(chosen, least, "size %u: waste %f, %f is possible", g->object_size,
			      chosen, least);
}

Test(geometry, every_small_size)
{
	for (uint32_t size = 1; size <= 640; size++) {
		struct geometry g = make(size, 0, 0, 0);

		check_geometry(&g, size, 8);
		check_choice(&g);
	}
}

Test(geometry, every_stride)
{
	for (uint32_t size = 16; size <= OBJECT_SIZE_MAX; size += 16) {
		struct geometry g = make(size, 0, 0, 0);

		check_geometry(&g, size, 8);
		check_choice(&g);
	}
}

Test(geometry, every_align)
{
	const uint32_t sizes[] = {1,	24,   56,   64,	  65,	 100,	1000,	2048,
				  4095, 4096, 4097, 8191, 16385, 70000, 131071, 131072};

	for (uint32_t align = 1; align <= OBJECT_ALIGN_MAX; align *= 2)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			struct geometry g = make(sizes[i], align, 0, 0);

			cr_assert_eq(g.align, align);
			check_geometry(&g, sizes[i], align);
			check_choice(&g);
		}
}

Test(geometry, random_requests)
{
	const char *given = getenv("SLABD_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);

	fprintf(stderr, "SLABD_TEST_SEED=%u\n", seed);
	srandom(seed);
	for (int i = 0; i < 3000; i++) {
		uint32_t size = (uint32_t)random() % OBJECT_SIZE_MAX + 1;
		uint32_t align = 1u << random() % 13, magazine = (uint32_t)random() % 252;
		const struct geometry_request request = {size, align, 0, magazine};
		struct geometry g;
		char why[256];

		if (geometry_make(&g, &request, HEAP, RACKS, why, sizeof(why)) < 0) {
			cr_assert(magazine && strstr(why, "too few rounds"), "%s", why);
			continue;
		}
		check_geometry(&g, size, align);
		cr_assert(!magazine || g.capacity == magazine);
	}
}

/* Over a whole slab, every 16 bytes of it: true for the bases and for nothing else. */
Test(geometry, is_base_exactly)
{
	const uint32_t sizes[] = {1,	16,   17,   48,	   64,	  100,	 112,	 208,	1000,
				  1040, 2064, 4096, 10000, 33333, 65536, 100000, 131072};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct geometry g = make(sizes[i], 0, 0, 0);
		uint32_t refs = (uint32_t)(geometry_slab_bytes(&g) >> REF_SHIFT), bases = 0;

		for (uint32_t offset = 0; offset < refs; offset++) {
			uint64_t bytes = (uint64_t)offset * 16;
			bool is = bytes % g.stride == 0 && bytes / g.stride < g.objects;
			uint32_t index;

			if (geometry_index(&g, offset, &index) != is)
				cr_assert_fail("size %u: offset %u of a slab", sizes[i], offset);
			bases += is;
		}
		cr_assert_eq(bases, g.objects);
	}
}

/* Strides of 16 to 48 bytes have magazines of 512 bytes, and so on: what a thread pins falls with
 * the number of objects that it is likely to want. */
Test(geometry, default_magazines)
{
	const struct {
		uint32_t size, rounds, bytes;
	} want[] = {
		{1, 123, 512},	 {128, 123, 512}, {129, 59, 256},  {512, 59, 256}, {513, 27, 128},
		{2048, 27, 128}, {2049, 11, 64},  {16384, 11, 64}, {16385, 4, 64}, {131072, 4, 64},
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct geometry g = make(want[i].size, 0, 0, 0);

		cr_assert_eq(g.capacity, want[i].rounds);
		cr_assert_eq(g.magazine_bytes, want[i].bytes);
	}
	cr_assert_eq(make(64, 0, 0, 251).magazine_bytes, 1024);
	cr_assert_eq(make(64, 0, 0, 124).magazine_bytes, 1024);
	cr_assert_eq(make(131072, 0, 0, 1).magazine_bytes, 64);
}

Test(geometry, default_align_is_8)
{
	struct geometry g = make(24, 0, 0, 0);

	cr_assert_eq(g.align, 8);
	cr_assert_eq(g.stride, 32);
	cr_assert(geometry_matches(&g, &(struct geometry_request){24, 8, 0, 0}));
	cr_assert(geometry_matches(&g, &(struct geometry_request){24, 0, 0, g.capacity}));
}

/* kmem_cache_create: a cache line, halved while the object fits half of it. */
Test(geometry, hwalign_as_the_kernel)
{
	for (uint32_t size = 1; size <= 4096; size++)
		for (uint32_t align = 1; align <= 4096; align *= 4) {
			uint32_t line = 64;
			struct geometry g = make(size, align, GEOMETRY_HWALIGN, 0);

			while (size <= line / 2)
				line /= 2;
			cr_assert_eq(g.align, align > line ? align : line, "size %u", size);
			cr_assert_eq(g.flags, GEOMETRY_HWALIGN);
		}
	cr_assert_eq(make(60, 0, GEOMETRY_HWALIGN, 0).stride, 64);
	cr_assert_eq(make(60, 0, 0, 0).stride, 64);
	cr_assert_eq(make(70, 0, GEOMETRY_HWALIGN, 0).stride, 128);
	cr_assert_eq(make(70, 0, 0, 0).stride, 80);
	cr_assert_eq(make(20, 0, GEOMETRY_HWALIGN, 0).align, 32);
}

Test(geometry, matches_what_it_was_made_of)
{
	const struct geometry_request made = {100, 32, GEOMETRY_RECLAIM | GEOMETRY_EXCLUSIVE, 60};
	struct geometry_request other = made;
	struct geometry g;
	char why[256];

	cr_assert_eq(geometry_make(&g, &made, HEAP, RACKS, why, sizeof(why)), 0);
	cr_assert_eq(g.flags, GEOMETRY_RECLAIM, "exclusive is of the request alone");
	cr_assert(geometry_matches(&g, &made));
	other.flags = GEOMETRY_RECLAIM;
	cr_assert(geometry_matches(&g, &other));
	other.magazine = 0;
	cr_assert(geometry_matches(&g, &other));
	other.magazine = 61;
	cr_assert_not(geometry_matches(&g, &other));
	other = made;
	other.object_size = 101;
	cr_assert_not(geometry_matches(&g, &other));
	other = made;
	other.align = 16;
	cr_assert_not(geometry_matches(&g, &other));
	other = made;
	other.flags |= GEOMETRY_STRICT;
	cr_assert_not(geometry_matches(&g, &other));
}

static void expect_einval(uint64_t size, uint64_t align, uint32_t flags, uint32_t magazine,
			  const char *limit)
{
	const struct geometry_request request = {size, align, flags, magazine};
	struct geometry g = {.object_size = 4711};
	char why[256] = "";

	cr_assert_eq(geometry_make(&g, &request, HEAP, RACKS, why, sizeof(why)), -EINVAL);
	cr_assert_not_null(strstr(why, limit), "\"%s\" does not name %s", why, limit);
	cr_assert_eq(g.object_size, 4711, "nothing is filled in");
}

Test(geometry, limits)
{
	expect_einval(0, 0, 0, 0, "1 to 131072");
	expect_einval(131073, 0, 0, 0, "1 to 131072");
	expect_einval(UINT64_MAX, 0, 0, 0, "18446744073709551615");
	expect_einval((UINT64_C(1) << 32) + 1, 0, 0, 0, "1 to 131072");
	expect_einval(1, 3, 0, 0, "power of two up to 4096");
	expect_einval(1, 8192, 0, 0, "power of two up to 4096");
	expect_einval(1, (UINT64_C(1) << 32) + 8, 0, 0, "power of two up to 4096");
	expect_einval(1, UINT64_MAX, 0, 0, "power of two up to 4096");
	expect_einval(1, 0, 0x10, 0, "0xf");
	expect_einval(1, 0, 0, 252, "251");
	expect_einval(16, 0, 0, 1, "at least");
}

/* The number that the sentence names is one that does. */
Test(geometry, fewest_rounds_are_named)
{
	const struct geometry_request small = {16, 0, 0, 1};
	struct geometry_request good = small;
	struct geometry g;
	char why[256] = "", *at;
	unsigned least = 0;

	cr_assert_eq(geometry_make(&g, &small, HEAP, RACKS, why, sizeof(why)), -EINVAL);
	at = strstr(why, "at least ");
	cr_assert(at && sscanf(at, "at least %u", &least) == 1, "%s", why);
	good.magazine = least;
	cr_assert_eq(geometry_make(&g, &good, HEAP, RACKS, why, sizeof(why)), 0);
	good.magazine = least - 1;
	cr_assert_eq(geometry_make(&g, &good, HEAP, RACKS, why, sizeof(why)), -EINVAL);
}

/* I-7: the racks that a cache may have hold all of its objects at once, and two magazines a thread,
 * in every heap and for every object size that the default magazine is chosen for. */
Test(geometry, racks_hold_every_object)
{
	for (uint64_t heap = HEAP_BYTES_MIN; heap <= HEAP_BYTES_MAX; heap *= 4)
		for (uint32_t size = 1; size <= OBJECT_SIZE_MAX; size += size < 4096 ? 16 : 4096) {
			const struct geometry_request request = {size, 0, 0, 0};
			struct superblock super = {0};
			struct geometry g;
			char why[256];
			uint64_t most, racks;

			geometry_segment(&super, heap, 64, 1024, why, sizeof(why));
			cr_assert_eq(geometry_make(&g, &request, heap, super.max_racks, why,
						   sizeof(why)),
				     0);
			most = (heap >> g.slab_shift) * g.objects;
			racks = (most / g.capacity + 2 * 1024) / RACK_MAGAZINES + 1;
			cr_assert_geq(super.max_racks, racks);
			cr_assert_geq(super.depot_pages,
				      racks * g.magazine_bytes * RACK_MAGAZINES / PAGE_BYTES,
				      "size %u in %llu MiB", size,
				      (unsigned long long)(heap >> 20));
		}
}
