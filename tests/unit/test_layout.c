/* The byte map of shm/layout.h, said a second time: who changes a number there changes it here, and
 * SLABD_LAYOUT_VERSION with it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/geometry.h"
#include "shm/layout.h"
#include "shm/magazine.h"
#include "shm/segment.h"

Test(layout, version)
{
	cr_assert_eq(SLABD_LAYOUT_VERSION, 2);
	cr_assert_eq(SLABD_MAGIC, 0x31646c626173bea7);
}

Test(layout, units)
{
	cr_assert_eq(PAGE_BYTES, 4096);
	cr_assert_eq(UNIT_BYTES, 65536);
	cr_assert_eq(EXTENT_BYTES, 2097152);
	cr_assert_eq(EXTENT_UNITS, 32);
	cr_assert_eq(RACK_MAGAZINES, 64);
	cr_assert_eq(NAME_BYTES, 64);
	cr_assert_eq(CACHES_MAX, 65535);
	cr_assert_eq(HEAP_BYTES_MAX, 68719476736);
	cr_assert_eq(HEAP_BYTES_MIN, 4194304);
}

Test(layout, superblock)
{
	cr_assert_eq(offsetof(struct superblock, magic), 0);
	cr_assert_eq(offsetof(struct superblock, layout), 8);
	cr_assert_eq(offsetof(struct superblock, ready), 12);
	cr_assert_eq(offsetof(struct superblock, segment_high), 16);
	cr_assert_eq(offsetof(struct superblock, base), 32);
	cr_assert_eq(offsetof(struct superblock, state_bytes), 40);
	cr_assert_eq(offsetof(struct superblock, heap_bytes), 64);
	cr_assert_eq(offsetof(struct superblock, max_caches), 72);
	cr_assert_eq(offsetof(struct superblock, control_bytes), 84);
	cr_assert_eq(offsetof(struct superblock, descriptors), 88);
	cr_assert_eq(offsetof(struct superblock, racks), 112);
	cr_assert_eq(offsetof(struct superblock, next_serial), 128);
	cr_assert_eq(offsetof(struct superblock, damaged), 136);
}

Test(layout, catalog_records)
{
	cr_assert_eq(sizeof(struct geometry), 64);
	cr_assert_eq(offsetof(struct geometry, tag_base_mask), 36);
	cr_assert_eq(offsetof(struct geometry, tag_offset), 48);
	cr_assert_eq(offsetof(struct geometry, twos), 56);
	cr_assert_eq(sizeof(struct cache_desc), 256);
	cr_assert_eq(offsetof(struct cache_desc, state), 0);
	cr_assert_eq(offsetof(struct cache_desc, racks), 4);
	cr_assert_eq(offsetof(struct cache_desc, serial), 8);
	cr_assert_eq(offsetof(struct cache_desc, name), 16);
	cr_assert_eq(offsetof(struct cache_desc, geometry), 80);
	cr_assert_eq(offsetof(struct cache_desc, maker_sequence), 144);
	cr_assert_eq(offsetof(struct cache_desc, maker), 160);
	cr_assert_eq(offsetof(struct cache_desc, surplus), 168);
	cr_assert_eq(offsetof(struct cache_desc, batch), 172);
}

Test(layout, slab_word)
{
	uint32_t word = SLAB_WORD(0xabcd, 21);

	cr_assert_eq(word, 0xabcd1501);
	cr_assert_eq(slab_word_cache(word), 0xabcd);
	cr_assert_eq(slab_word_shift(word), 21);
	cr_assert_neq(SLAB_WORD(0, 0), SLAB_WORD_NONE);
}

Test(layout, depot_records)
{
	cr_assert_eq(sizeof(struct magazine), 16);
	cr_assert_eq(offsetof(struct magazine, owner), 0);
	cr_assert_eq(offsetof(struct magazine, count), 8);
	cr_assert_eq(offsetof(struct magazine, rounds), 16);
	cr_assert_eq(sizeof(struct control), 640);
	cr_assert_eq(offsetof(struct control, root), 0);
	cr_assert_eq(offsetof(struct control, rung), 64);
	cr_assert_eq(offsetof(struct control, counters), 128);
	cr_assert_eq(sizeof(struct counters), 64);
	cr_assert_eq(COUNTER_STRIPES, 8);
}

Test(layout, state_records)
{
	cr_assert_eq(sizeof(struct client_record), 128);
	cr_assert_eq(offsetof(struct client_record, state), 0);
	cr_assert_eq(offsetof(struct client_record, pid), 8);
	cr_assert_eq(offsetof(struct client_record, start_time), 16);
	cr_assert_eq(offsetof(struct client_record, token_high), 32);
	cr_assert_eq(offsetof(struct client_record, last_sequence), 48);
	cr_assert_eq(offsetof(struct client_record, orphans), 80);
	cr_assert_eq(offsetof(struct client_record, comm), 96);
	cr_assert_eq(sizeof(struct state_head), 64);
}

/* Worked by hand: 2^30 / 20 / 59 / 64 = 14,217 racks of the smallest objects, 128 for the threads of
 * 4,096 clients and 64 more; hints of 2 * 115,328 bytes and a control's 640 fill 57 pages; and so
 * on. */
Test(layout, default_segment)
{
	struct superblock super = {0};
	char why[256];

	cr_assert_eq(geometry_segment(&super, UINT64_C(1) << 30, 1024, 4096, why, sizeof(why)), 0);
	cr_assert_eq(super.heap_bytes, UINT64_C(1) << 30);
	cr_assert_eq(super.max_caches, 1024);
	cr_assert_eq(super.max_clients, 4096);
	cr_assert_eq(super.max_racks, 14409);
	cr_assert_eq(super.control_bytes, 57 * 4096);
	cr_assert_eq(super.descriptors, 4096);
	cr_assert_eq(super.slab_table, 270336);
	cr_assert_eq(super.rack_table, 335872);
	cr_assert_eq(super.catalog_bytes, 29 * 2097152);
	cr_assert_eq(super.racks, 239308800);
	cr_assert_eq(super.depot_pages, 102432);
	cr_assert_eq(super.depot_bytes, 315 * 2097152);
	cr_assert_eq(super.state_bytes, 2097152);
}

/* The regions' tables follow one another and end within their region, whatever the limits. */
static void check_order(uint64_t heap, uint32_t caches, uint32_t clients)
{
	struct superblock s = {0};
	char why[256];
	uint64_t records = (uint64_t)clients + PARTY_FIRST;

	cr_assert_eq(geometry_segment(&s, heap, caches, clients, why, sizeof(why)), 0, "%s", why);
	cr_assert_geq(s.heap_bytes, heap);
	cr_assert_lt(s.heap_bytes - heap, EXTENT_BYTES);
	cr_assert_geq(s.descriptors, sizeof(struct superblock));
	cr_assert_geq(s.slab_table, s.descriptors + 256 * ((uint64_t)caches + 1));
	cr_assert_geq(s.rack_table, s.slab_table + s.heap_bytes / UNIT_BYTES * 4);
	cr_assert_geq(s.catalog_bytes,
		      s.rack_table + (uint64_t)s.max_racks * 4 * ((uint64_t)caches + 1));
	cr_assert_geq(s.control_bytes,
		      sizeof(struct control) + 2 * geometry_hints_bytes(s.max_racks));
	cr_assert_geq(s.racks, (uint64_t)s.control_bytes * ((uint64_t)caches + 1));
	cr_assert_geq(s.depot_bytes, s.racks + s.depot_pages * PAGE_BYTES);
	cr_assert_lt(s.depot_pages, UINT32_MAX, "a rack table entry is 32 bits");
	cr_assert_geq(s.state_bytes, PAGE_BYTES + records * (sizeof(struct client_record) +
							     2 * geometry_bitmap_bytes(caches)));
	cr_assert_eq(s.state_bytes % EXTENT_BYTES, 0);
	cr_assert_eq(s.catalog_bytes % EXTENT_BYTES, 0);
	cr_assert_eq(s.depot_bytes % EXTENT_BYTES, 0);
}

Test(layout, regions_hold_their_tables)
{
	const uint64_t heaps[] = {HEAP_BYTES_MIN, HEAP_BYTES_MIN + 1, UINT64_C(100) << 20,
				  HEAP_BYTES_MAX};
	const uint32_t caches[] = {1, 63, 64, 65, 1024, CACHES_MAX};
	const uint32_t clients[] = {1, 4096, 16381};

	for (size_t h = 0; h < 4; h++)
		for (size_t i = 0; i < 6; i++)
			for (size_t j = 0; j < 3; j++)
				check_order(heaps[h], caches[i], clients[j]);
}

Test(layout, bitmap_has_a_bit_for_each_cache_id)
{
	for (uint32_t caches = 1; caches <= 4096; caches++)
		cr_assert_gt(geometry_bitmap_bytes(caches) * 8, caches);
}

static void expect_limit(uint64_t heap, uint32_t caches, uint32_t clients, const char *limit)
{
	struct superblock super = {0};
	char why[256] = "";

	cr_assert_eq(geometry_segment(&super, heap, caches, clients, why, sizeof(why)), -EINVAL);
	cr_assert_not_null(strstr(why, limit), "\"%s\" does not name %s", why, limit);
}

Test(layout, limits_of_a_segment)
{
	expect_limit(HEAP_BYTES_MIN - 1, 1, 1, "4 MiB");
	expect_limit(HEAP_BYTES_MAX + 1, 1, 1, "64 GiB");
	expect_limit(UINT64_MAX, 1, 1, "64 GiB");
	expect_limit(HEAP_BYTES_MIN, 0, 1, "max-caches 0");
	expect_limit(HEAP_BYTES_MIN, CACHES_MAX + 1, 1, "65535");
	expect_limit(HEAP_BYTES_MIN, 1, 0, "max-clients 0");
	expect_limit(HEAP_BYTES_MIN, 1, 16382, "16381");
}

Test(layout, base_lies_in_one_of_240_slots)
{
	unsetenv("SLABD_BASE");
	for (uint64_t i = 0; i < 10000; i++) {
		uint64_t base = segment_base(i * UINT64_C(0x9e3779b97f4a7c15), ~i);

		cr_assert_geq(base, 0x110000000000);
		cr_assert_lt(base, 0x110000000000 + 240 * (UINT64_C(64) << 30));
		cr_assert_eq((base - 0x110000000000) % (UINT64_C(64) << 30), 0);
	}
	setenv("SLABD_BASE", "0x7e8000000000", 1);
	cr_assert_eq(segment_base(1, 2), 0x7e8000000000);
	unsetenv("SLABD_BASE");
}
