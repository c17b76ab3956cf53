/* Refs, handles, tags and owner words: packing, and the arithmetic of the steps. */
#include <criterion/criterion.h>

#include "shm/magazine.h"
#include "shm/ref.h"
#include "shm/tag.h"

Test(ref, names_every_16_bytes_of_64_gib)
{
	char *heap = (char *)(uintptr_t)0x110000000000;

	cr_assert_eq(ref_offset(0x20000), 2097152);
	cr_assert_eq(ref_offset(UINT32_MAX), (UINT64_C(64) << 30) - 16);
	for (uint64_t i = 0; i < 32; i++) {
		slab_ref ref = (slab_ref)(UINT64_C(1) << i);

		cr_assert_eq(ref_of(heap, ref_address(heap, ref)), ref);
	}
	cr_assert_eq((uintptr_t)ref_address(heap, UINT32_MAX), 0x110000000000 + 0xffffffff0);
}

Test(handle, keeps_its_three_parts)
{
	uint64_t handle = handle_make(0xabcd, 0x1234, 0xdeadbeef);

	cr_assert_eq(handle, 0xabcd1234deadbeef);
	cr_assert_eq(handle_cache(handle), 0xabcd);
	cr_assert_eq(handle_generation(handle), 0x1234);
	cr_assert_eq(handle_ref(handle), 0xdeadbeef);
	cr_assert_eq(handle_make(1, 0x10002, 3), handle_make(1, 2, 3));
	cr_assert_neq(handle_make(1, 0, 0), 0, "no handle of a cache is 0");
}

Test(tag, keeps_its_three_parts)
{
	for (uint32_t state = TAG_SLAB; state <= TAG_FREEING; state++) {
		uint32_t tag = tag_make(PARTY_MAX, state, 0xfedc);

		cr_assert_eq(tag_owner(tag), PARTY_MAX);
		cr_assert_eq(tag_state(tag), state);
		cr_assert_eq(tag_generation(tag), 0xfedc);
	}
	cr_assert_eq(tag_make(2, TAG_LIVE, 3), 2u << 18 | 2u << 16 | 3);
	cr_assert_eq(tag_make(0, TAG_SLAB, 0), 0);
	cr_assert_eq(tag_make(0, TAG_CIRC, 0x10000), tag_make(0, TAG_CIRC, 0));
}

Test(tag, retires_to_the_next_generation_and_nobody)
{
	uint32_t tag = tag_retired(tag_make(77, TAG_LIVE, 9), TAG_CIRC);

	cr_assert_eq(tag, tag_make(PARTY_NONE, TAG_CIRC, 10));
	tag = tag_retired(tag_make(77, TAG_FREEING, 9), TAG_SLAB);
	cr_assert_eq(tag, tag_make(PARTY_NONE, TAG_SLAB, 10));
}

Test(tag, generation_wraps_within_its_bits)
{
	uint32_t tag = tag_retired(tag_make(PARTY_MAX, TAG_LIVE, 0xffff), TAG_CIRC);

	cr_assert_eq(tag, tag_make(PARTY_NONE, TAG_CIRC, 0));
	for (uint32_t i = 0; i < 0x10000; i++)
		tag = tag_retired(tag_make(5, TAG_LIVE, tag_generation(tag)), TAG_CIRC);
	cr_assert_eq(tag, tag_make(PARTY_NONE, TAG_CIRC, 0), "back after 65,536 frees exactly");
}

Test(owner, keeps_its_three_parts)
{
	uint64_t owner = owner_make(MAGAZINE_HELD, PARTY_MAX, OWNER_SEQUENCE);

	cr_assert_eq(owner_state(owner), MAGAZINE_HELD);
	cr_assert_eq(owner_holder(owner), PARTY_MAX);
	cr_assert_eq(owner_sequence(owner), OWNER_SEQUENCE);
	cr_assert(owner_is_held_by(owner, PARTY_MAX));
	cr_assert_not(owner_is_held_by(owner, PARTY_MAX - 1));
	cr_assert_not(owner_is_held_by(owner_make(MAGAZINE_FULL, PARTY_MAX, 0), PARTY_MAX));
	cr_assert_eq(owner_make(MAGAZINE_EMPTY, PARTY_NONE, 0), 0);
}

Test(owner, sequence_wraps_without_touching_the_holder)
{
	uint64_t owner = owner_make(MAGAZINE_FULL, 7, OWNER_SEQUENCE + 1);

	cr_assert_eq(owner, owner_make(MAGAZINE_FULL, 7, 0));
}

Test(magazine, keeps_one_slot_past_its_capacity)
{
	cr_assert_eq(magazine_rounds_max(64), 11);
	cr_assert_eq(magazine_rounds_max(128), 27);
	cr_assert_eq(magazine_rounds_max(256), 59);
	cr_assert_eq(magazine_rounds_max(512), 123);
	cr_assert_eq(magazine_rounds_max(1024), 251);
}
