/* The oracle itself: balanced on what is sound, and each kind of damage found and named. */
#include <criterion/criterion.h>

#include "daemon/refill.h"
#include "daemon/slab.h"
#include "tests/support/pool_fixture.h"

#define OBJECTS 40u

static struct pool_fixture f;
static struct cache *cache;
static struct fake fake;
static slab_ref live[OBJECTS];
static bool tomb, nobody;

static enum audit_owner owner_kind(void *arg, uint32_t owner)
{
	(void)arg;
	if (nobody)
		return AUDIT_NOBODY;
	return owner == fake.client ? tomb ? AUDIT_TOMB : AUDIT_CLIENT : AUDIT_NOBODY;
}

static struct audit_count audit(void)
{
	struct audit_count total;
	bool balanced = audit_segment(&f.pool->segment, owner_kind, NULL, &total);

	cr_assert_eq(balanced, audit_count_is_balanced(&total));
	return total;
}

/* Objects in slabs, in depot and held magazines, and live. */
static void set_up(void)
{
	uint32_t client;

	pool_fixture_open(&f, 4 * MIB);
	client = pool_fixture_attach(&f);
	cache = pool_fixture_cache(&f, client, "c", 256, 0);
	fake_init(&fake, &f, client, cache);
	cr_assert_eq(fake_alloc_many(&fake, live, OBJECTS), OBJECTS);
	refill_doorbell(cache);
	tomb = nobody = false;
	cr_assert(audit_segment(&f.pool->segment, owner_kind, NULL, NULL), "clean before");
}

static void tear_down(void)
{
	pool_fixture_close(&f);
}

TestSuite(audit, .init = set_up, .fini = tear_down);

/* A full magazine of the depot, not held. */
static struct magazine *full_one(void)
{
	for (uint32_t i = 0; i < depot_magazines(&cache->view); i++) {
		struct magazine *magazine = depot_magazine(&cache->view, i);

		if (owner_state(load_relaxed(&magazine->owner)) == MAGAZINE_FULL)
			return magazine;
	}
	cr_assert_fail("no full magazine");
	return NULL;
}

static uint32_t index_of(const struct magazine *magazine)
{
	uint32_t i = 0;

	while (depot_magazine(&cache->view, i) != magazine)
		i++;
	return i;
}

static void set_tag(slab_ref ref, uint32_t owner, uint32_t state)
{
	store_relaxed(fake_tag(&fake, ref), tag_make(owner, state, 1));
}

Test(audit, counts_every_place)
{
	struct audit_count n = audit();
	uint32_t held = magazine_count(fake.held.magazine);

	cr_assert(audit_count_is_balanced(&n));
	cr_assert_eq(n.objects, cache->slabs * cache->view.geometry.objects);
	cr_assert_eq(n.live, OBJECTS);
	cr_assert_eq(n.in_slabs, cache->in_slabs);
	cr_assert_eq(n.in_magazines,
		     refill_count(cache, MAGAZINE_FULL) * cache->view.geometry.capacity + held);
	cr_assert_eq(n.orphaned + n.freeing + n.lost + n.doubled + n.magazines, 0);
}

Test(audit, a_tombs_objects_are_orphans)
{
	struct audit_count n;

	fake_flush(&fake);
	tomb = true;
	n = audit();
	cr_assert(audit_count_is_balanced(&n));
	cr_assert_eq(n.orphaned, OBJECTS);
	cr_assert_eq(n.live, 0);
}

Test(audit, a_tomb_holds_no_magazine)
{
	struct audit_count n;

	tomb = true;
	n = audit();
	cr_assert_eq(n.magazines, 1);
	cr_assert_not(audit_count_is_balanced(&n));
}

Test(audit, nobodys_object_is_lost)
{
	struct audit_count n;

	fake_flush(&fake);
	set_tag(live[3], fake.client + 1, TAG_LIVE);
	n = audit();
	cr_assert_eq(n.lost, 1);
	cr_assert_eq(n.live, OBJECTS - 1);
	nobody = true;
	cr_assert_eq(audit().lost, OBJECTS);
}

Test(audit, circ_in_no_magazine_is_lost)
{
	struct audit_count n;

	set_tag(live[0], PARTY_NONE, TAG_CIRC);
	n = audit();
	cr_assert_eq(n.lost, 1);
	cr_assert_not(audit_count_is_balanced(&n));
}

Test(audit, a_round_that_was_dropped_is_lost)
{
	struct magazine *magazine = full_one();

	store_relaxed(&magazine->count, magazine_count(magazine) - 1);
	cr_assert_eq(audit().lost, 1);
}

Test(audit, a_round_twice_in_one_magazine_is_doubled)
{
	struct magazine *magazine = full_one();
	struct audit_count n;

	store_relaxed(&magazine->rounds[1], load_relaxed(&magazine->rounds[0]));
	n = audit();
	cr_assert_eq(n.doubled, 1);
	cr_assert_eq(n.lost, 1, "the one that stood there");
}

Test(audit, a_round_in_two_magazines_is_doubled)
{
	struct magazine *magazine = full_one();
	struct audit_count n;

	cr_assert_neq(magazine, fake.held.magazine);
	store_relaxed(&magazine->rounds[1], load_relaxed(&fake.held.magazine->rounds[0]));
	n = audit();
	cr_assert_eq(n.doubled, 1);
	cr_assert_not(audit_count_is_balanced(&n));
}

Test(audit, live_and_in_a_magazine_is_doubled)
{
	struct audit_count n;

	set_tag(load_relaxed(&full_one()->rounds[0]), fake.client, TAG_LIVE);
	n = audit();
	cr_assert_eq(n.doubled, 1);
	cr_assert_not(audit_count_is_balanced(&n));
}

Test(audit, in_its_slab_and_in_a_magazine_is_doubled)
{
	set_tag(load_relaxed(&full_one()->rounds[0]), PARTY_NONE, TAG_SLAB);
	cr_assert_eq(audit().doubled, 1);
}

Test(audit, freeing_and_in_a_magazine_is_doubled)
{
	struct audit_count n;

	set_tag(load_relaxed(&full_one()->rounds[0]), fake.client, TAG_FREEING);
	n = audit();
	cr_assert_eq(n.doubled, 1);
	cr_assert_eq(n.freeing, 1);
}

/* A free under way is one place, no damage. */
Test(audit, freeing_is_balanced)
{
	struct audit_count n;

	set_tag(live[5], fake.client, TAG_FREEING);
	n = audit();
	cr_assert_eq(n.freeing, 1);
	cr_assert_eq(n.live, OBJECTS - 1);
	cr_assert(audit_count_is_balanced(&n));
}

/* Whose free it was is dead, and its sweep is over: nobody will ever finish it. */
Test(audit, freeing_of_the_dead_is_lost)
{
	struct audit_count n;

	set_tag(live[5], PARTY_DAEMON, TAG_FREEING);
	cr_assert_eq(audit().freeing, 1, "the worker's own");

	set_tag(live[5], fake.client + 1, TAG_FREEING);
	n = audit();
	cr_assert_eq(n.lost, 1);
	cr_assert_not(audit_count_is_balanced(&n));
	fake_flush(&fake);
	set_tag(live[5], fake.client, TAG_FREEING);
	tomb = true;
	cr_assert_eq(audit().lost, 1);
}

Test(audit, a_round_that_is_no_object_is_doubled)
{
	const slab_ref bad[] = {REF_NONE, 1, UINT32_MAX, live[0] + 1, (slab_ref)(4 * MIB >> 4)};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		store_relaxed(&full_one()->rounds[0], bad[i]);
		cr_assert_eq(audit().doubled, 1, "ref 0x%x", bad[i]);
	}
}

Test(audit, a_count_over_capacity)
{
	struct magazine *magazine = full_one();
	struct audit_count n;

	store_relaxed(&magazine->count, cache->view.geometry.capacity + 1);
	n = audit();
	cr_assert_eq(n.magazines, 1);
	cr_assert_eq(n.lost + n.doubled, 0);
	store_relaxed(&magazine->count, UINT32_MAX);
	cr_assert_eq(audit().magazines, 1);
}

Test(audit, a_missing_hint)
{
	uint32_t index = index_of(full_one());

	and_relaxed(&cache->view.hints[MAGAZINE_FULL][index / 64], ~(UINT64_C(1) << index % 64));
	cr_assert_eq(audit().magazines, 1, "nobody would ever find it");
}

Test(audit, a_missing_hint_of_an_empty_one)
{
	and_relaxed(&cache->view.hints[MAGAZINE_EMPTY][0], ~(UINT64_C(1) << 63));
	cr_assert_eq(audit().magazines, 1);
}

Test(audit, a_hint_too_many_is_no_damage)
{
	or_relaxed(&cache->view.hints[MAGAZINE_FULL][0], UINT64_C(1) << 63);
	or_relaxed(&cache->view.hints[MAGAZINE_EMPTY][0], UINT64_C(1) << fake.held.index);
	cr_assert_eq(audit().magazines, 0);
}

Test(audit, owner_words_that_lie)
{
	struct magazine *magazine = full_one();
	const uint64_t bad[] = {
		owner_make(MAGAZINE_EMPTY, PARTY_NONE, 1), /* with rounds */
		owner_make(MAGAZINE_HELD, PARTY_NONE, 1),
		owner_make(MAGAZINE_HELD, fake.client + 1, 1),
		owner_make(MAGAZINE_HELD, PARTY_MAX, 1),
		owner_make(3, PARTY_NONE, 1),
		owner_make(MAGAZINE_FULL, fake.client, 1),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		store_relaxed(&magazine->owner, bad[i]);
		cr_assert_eq(audit().magazines, 1, "owner 0x%llx", (unsigned long long)bad[i]);
	}
	store_relaxed(&magazine->owner, owner_make(MAGAZINE_HELD, PARTY_DAEMON, 1));
	cr_assert_eq(audit().magazines, 0);
}

Test(audit, full_without_rounds)
{
	struct magazine *magazine = full_one();

	store_relaxed(&magazine->count, 0);
	cr_assert_eq(audit().magazines, 1);
	cr_assert_eq(audit().lost, cache->view.geometry.capacity);
}

Test(audit, a_rack_that_is_not_there)
{
	store_relaxed(&cache->view.rack_table[0], 0);
	cr_assert_eq(audit().magazines, RACK_MAGAZINES);
}

/* ---------------------------------------------------------------- a client at work */

static unsigned findings;

static void on_finding(void *arg, uint32_t id, enum audit_finding finding, uint64_t words)
{
	(void)arg;
	(void)finding;
	(void)words;
	cr_assert_eq(id, cache->view.id);
	findings++;
}

/* What an audit sees that knows of clients at work; each of its findings is damage in the counts. */
static struct audit_count watched(void)
{
	struct audit audit;
	struct audit_count n;

	findings = 0;
	cr_assert_eq(audit_init(&audit, &f.pool->segment, owner_kind, NULL), 0);
	cr_assert_eq(audit_watch(&audit, on_finding), 0);
	while (!audit_step(&audit, 5))
		;
	n = audit.caches[cache->view.id];
	cr_assert_eq(findings, n.lost + n.doubled + n.magazines);
	cr_assert_eq(audit_count_is_balanced(&n), findings == 0);
	audit_deinit(&audit);
	return n;
}

static void expect_moving(uint64_t moving, uint64_t alive, uint64_t freeing)
{
	struct audit_count n = watched();

	cr_assert_eq(findings, 0);
	cr_assert_eq(n.moving, moving);
	cr_assert_eq(n.live, alive);
	cr_assert_eq(n.freeing, freeing);
}

/* Stopped after each of the steps of an alloc of three. */
Test(audit, an_alloc_under_way)
{
	struct magazine *magazine = fake.held.magazine;
	uint32_t n = magazine_count(magazine);

	cr_assert_geq(n, 3);
	for (uint32_t i = 1; i <= 3; i++) {
		set_tag(load_relaxed(&magazine->rounds[n - i]), fake.client, TAG_LIVE);
		expect_moving(i, OBJECTS + i, 0);
		cr_assert_eq(audit().doubled, i, "to who knows of nobody at work");
	}
	store_relaxed(&magazine->count, n - 3);
	expect_moving(3, OBJECTS + 3, 0);
	for (uint32_t i = 1; i <= 3; i++) {
		store_relaxed(&magazine->rounds[n - i], 0);
		expect_moving(3 - i, OBJECTS + 3, 0);
	}
}

Test(audit, a_free_under_way)
{
	struct magazine *magazine = fake.held.magazine;
	uint32_t n = magazine_count(magazine);

	for (uint32_t i = 0; i < 3; i++)
		store_relaxed(&magazine->rounds[n + i], live[i]);
	expect_moving(3, OBJECTS, 0);
	set_tag(live[2], fake.client, TAG_FREEING); /* a claimed one */
	expect_moving(3, OBJECTS - 1, 1);
	for (uint32_t i = 0; i < 3; i++)
		set_tag(live[i], PARTY_NONE, TAG_CIRC);
	expect_moving(3, OBJECTS - 3, 3);
	cr_assert_eq(audit().lost, 3, "to who knows of nobody at work");
	store_relaxed(&magazine->count, n + 3);
	expect_moving(0, OBJECTS - 3, 0);
}

/* What no step leaves is damage also while somebody is at work. */
Test(audit, nothing_else_is_excused)
{
	struct magazine *magazine = fake.held.magazine, *full = full_one();
	slab_ref first = load_relaxed(&magazine->rounds[0]);
	uint32_t n = magazine_count(magazine);

	cr_assert_gt(n, 1);
	set_tag(first, fake.client, TAG_LIVE); /* not from the top down */
	cr_assert_eq(watched().doubled, 1);
	set_tag(first, PARTY_NONE, TAG_CIRC);
	expect_moving(0, OBJECTS, 0);

	set_tag(load_relaxed(&magazine->rounds[n - 1]), fake.client + 1, TAG_LIVE);
	cr_assert_eq(watched().doubled, 1, "another's");
	cr_assert_eq(watched().lost, 1);
	set_tag(load_relaxed(&magazine->rounds[n - 1]), PARTY_NONE, TAG_CIRC);

	n = magazine_count(full);
	set_tag(load_relaxed(&full->rounds[n - 1]), fake.client, TAG_LIVE);
	cr_assert_eq(watched().doubled, 1, "nobody holds it");
	store_relaxed(&full->count, n - 1);
	set_tag(load_relaxed(&full->rounds[n - 1]), PARTY_NONE, TAG_CIRC);
	cr_assert_eq(watched().lost, 1);
	store_relaxed(&full->count, n);
	expect_moving(0, OBJECTS, 0);

	store_relaxed(&magazine->rounds[0], 0);
	cr_assert_eq(watched().doubled, 1, "an empty round");
	cr_assert_eq(watched().lost, 1);
}

Test(audit, takes_turns)
{
	struct audit slow, fast;
	uint32_t steps = 0;

	cr_assert_eq(audit_init(&slow, &f.pool->segment, owner_kind, NULL), 0);
	cr_assert_eq(audit_init(&fast, &f.pool->segment, owner_kind, NULL), 0);
	while (!audit_step(&slow, 1))
		steps++;
	cr_assert_gt(steps, 64);
	cr_assert(audit_step(&fast, UINT64_MAX));
	for (int i = 0; i < 2; i++) {
		struct audit_count *a = &slow.caches[cache->view.id],
				   *b = &fast.caches[cache->view.id];

		cr_assert_eq(a->objects, b->objects);
		cr_assert_eq(a->in_magazines, b->in_magazines);
		cr_assert_eq(slow.live_of[fake.client], OBJECTS);
		cr_assert_eq(slow.rounds_of[fake.client], magazine_count(fake.held.magazine));
		cr_assert(audit_is_balanced(&slow));
		audit_restart(&slow);
		while (!audit_step(&slow, 7))
			;
	}
	audit_deinit(&slow);
	audit_deinit(&fast);
}

Test(audit, sees_every_cache)
{
	struct cache *other = pool_fixture_cache(&f, fake.client, "other", 100, 0);
	struct audit_count before = audit(), after;
	slab_ref ref;

	refill_doorbell(other);
	after = audit();
	cr_assert_eq(after.objects, before.objects + other->view.geometry.objects);
	cr_assert_eq(slab_take(other, &ref, 1), 1);
	store_relaxed(cache_tag(&other->view, ref), tag_make(PARTY_NONE, TAG_CIRC, 1));
	cr_assert_eq(audit().lost, 1);
}
