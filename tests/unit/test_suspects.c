/* Which of a walk's findings are damage: those that the walk before had word for word. */
#include <criterion/criterion.h>

#include "daemon/suspects.h"

static struct suspects suspects;
static struct audit_count counts[3];

static void tear_down(void)
{
	suspects_deinit(&suspects);
}

TestSuite(suspects, .fini = tear_down);

/* As the audit does it. */
static void find(uint32_t cache, enum audit_finding finding, uint64_t words)
{
	struct audit_count *count = &counts[cache];

	if (finding == FINDING_DOUBLED)
		count->doubled++;
	else if (finding == FINDING_MAGAZINE)
		count->magazines++;
	else
		count->lost++;
	suspects_add(&suspects, cache, finding, words);
}

static void walk_again(void)
{
	suspects_turn(&suspects);
	for (unsigned i = 0; i < 3; i++)
		counts[i] = (struct audit_count){0};
}

static void expect(uint32_t cache, uint64_t lost, uint64_t doubled, uint64_t magazines)
{
	cr_assert_eq(counts[cache].lost, lost);
	cr_assert_eq(counts[cache].doubled, doubled);
	cr_assert_eq(counts[cache].magazines, magazines);
}

Test(suspects, nothing_found_is_final)
{
	cr_assert(suspects_judge(&suspects, counts));
	find(1, FINDING_LOST, 7);
	cr_assert_not(suspects_judge(&suspects, counts), "one walk says nothing");
	walk_again();
	cr_assert(suspects_judge(&suspects, counts));
}

Test(suspects, what_moved_is_counted_where_it_went)
{
	find(1, FINDING_LOST, 7);
	find(1, FINDING_DOUBLED, 8);
	cr_assert_not(suspects_judge(&suspects, counts));
	walk_again();
	find(1, FINDING_LOST, 9);
	find(1, FINDING_STRAY, 10);
	find(2, FINDING_STUCK, 11);
	find(1, FINDING_DOUBLED, 12);
	find(2, FINDING_MAGAZINE, 13);
	cr_assert(suspects_judge(&suspects, counts));
	expect(1, 0, 0, 0);
	expect(2, 0, 0, 0);
	cr_assert_eq(counts[1].in_magazines, 1);
	cr_assert_eq(counts[1].live, 1);
	cr_assert_eq(counts[2].freeing, 1);
}

/* The same words of another cache, or found wrong in another way, are another finding. */
Test(suspects, what_stays_is_damage)
{
	for (unsigned i = 0; i < 2; i++) {
		find(1, FINDING_LOST, 7);
		find(2, FINDING_DOUBLED, i ? 7 : 8);
		find(i ? 1 : 2, FINDING_LOST, 20);
		find(1, i ? FINDING_STRAY : FINDING_STUCK, 30);
		find(2, FINDING_MAGAZINE, 7);
		cr_assert_eq(suspects_judge(&suspects, counts), i == 1);
		if (!i)
			walk_again();
	}
	expect(1, 1, 0, 0);
	expect(2, 0, 0, 1);
}

/* Of so many some are not told apart: final only if there is damage among those that are. */
Test(suspects, too_many)
{
	for (unsigned i = 0; i < 3; i++) {
		for (uint64_t k = 0; k <= SUSPECTS_MAX; k++)
			find(1, FINDING_LOST, (uint64_t)i << 32 | k);
		cr_assert_not(suspects_judge(&suspects, counts));
		walk_again();
	}
	for (uint64_t k = 0; k <= SUSPECTS_MAX; k++)
		find(1, FINDING_LOST, UINT64_C(2) << 32 | k);
	cr_assert(suspects_judge(&suspects, counts));
	expect(1, SUSPECTS_MAX + 1, 0, 0);
}
