/* A party is killed after every step of every operation; repair and sweep must leave each object in
 * one place, and the generations as DESIGN section 3 has them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/refill.h"
#include "daemon/slab.h"
#include "shm/repair.h"
#include "tests/support/pool_fixture.h"

#define ROUNDS 11u /* the victim's magazines: small, so that every fill of them is tried */

/* ---------------------------------------------------------------- the scene */

struct scene {
	struct pool_fixture f;
	struct cache *cache;
	struct fake me, other;
	slab_ref mine[ROUNDS], theirs[ROUNDS]; /* live objects */
	slab_ref slab[ROUNDS];		       /* in their slab, and unlisted for a fill */
	struct magazine *magazine;	       /* the victim's */
	uint32_t index, dead;
	uint32_t *before; /* tags, by object of the first slab */
};

static slab_ref object_at(const struct cache *cache, uint32_t i)
{
	return (EXTENT_BYTES >> REF_SHIFT) + i * (cache->view.geometry.stride >> REF_SHIFT);
}

static void set_scene(struct scene *s, uint32_t flags)
{
	const struct geometry_request request = {64, 0, flags, ROUNDS};

	*s = (struct scene){0};
	pool_fixture_open(&s->f, 4 * MIB);
	s->dead = pool_fixture_attach(&s->f);
	s->cache = pool_fixture_cache_with(&s->f, s->dead, "victim", &request);
	fake_init(&s->me, &s->f, s->dead, s->cache);
	fake_init(&s->other, &s->f, pool_fixture_attach(&s->f), s->cache);
	cr_assert_eq(fake_alloc_many(&s->me, s->mine, ROUNDS), ROUNDS);
	cr_assert_eq(fake_alloc_many(&s->other, s->theirs, ROUNDS), ROUNDS);
	fake_flush(&s->me);
	fake_flush(&s->other);
	cr_assert_eq(slab_take(s->cache, s->slab, ROUNDS), ROUNDS);
	cr_assert_eq(s->cache->slabs, 1);
	s->before = calloc(s->cache->view.geometry.objects, sizeof(*s->before));
}

/* The victim holds a magazine with n rounds. */
static void hold(struct scene *s, uint32_t party, uint32_t n)
{
	uint32_t cursor = 0;
	struct claim claim;
	slab_ref extra[ROUNDS];

	s->dead = party;
	cr_assert_eq(fake_alloc_many(&s->me, extra, n), n);
	fake_flush(&s->me);
	claim = depot_claim(&s->cache->view, MAGAZINE_EMPTY, party, 0, &cursor);
	cr_assert_not_null(claim.magazine);
	s->magazine = claim.magazine;
	s->index = claim.index;
	for (uint32_t i = 0; i < n; i++) {
		slab_tag *tag = fake_tag(&s->me, extra[i]);

		store_relaxed(&s->magazine->rounds[i], extra[i]);
		store_relaxed(tag, tag_retired(load_relaxed(tag), TAG_CIRC));
	}
	store_relaxed(&s->magazine->count, n);
	for (uint32_t i = 0; i < s->cache->view.geometry.objects; i++)
		s->before[i] = load_relaxed(fake_tag(&s->me, object_at(s->cache, i)));
}

static void strike_scene(struct scene *s)
{
	free(s->before);
	pool_fixture_close(&s->f);
}

static uint32_t tag_of(const struct scene *s, slab_ref ref)
{
	return load_relaxed(fake_tag(&s->me, ref));
}

/* ---------------------------------------------------------------- operations, as lists of stores */

struct step {
	_Atomic uint32_t *word;
	uint32_t value;
};

struct script {
	struct step steps[8 * ROUNDS];
	uint32_t n;
};

static void add_step(struct script *p, _Atomic uint32_t *word, uint32_t value)
{
	p->steps[p->n++] = (struct step){word, value};
}

static void add_tag(struct script *p, const struct scene *s, slab_ref ref, uint32_t tag)
{
	add_step(p, fake_tag(&s->me, ref), tag);
}

static void play(const struct script *p, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++)
		store_relaxed(p->steps[i].word, p->steps[i].value);
}

/* alloc of k: tags from the top down, the count once, slots from the highest down. */
static void write_alloc(struct script *p, const struct scene *s, uint32_t k)
{
	uint32_t n = magazine_count(s->magazine);

	for (uint32_t i = n; i > n - k; i--) {
		slab_ref ref = load_relaxed(&s->magazine->rounds[i - 1]);

		add_tag(p, s, ref, tag_make(s->dead, TAG_LIVE, tag_generation(tag_of(s, ref))));
	}
	add_step(p, &s->magazine->count, n - k);
	for (uint32_t i = n; i > n - k; i--)
		add_step(p, &s->magazine->rounds[i - 1], REF_NONE);
}

/* free of k: what is another's becomes FREEING first, then slots upward, tags upward, the count. */
static void write_free(struct script *p, const struct scene *s, const slab_ref *refs, uint32_t k)
{
	uint32_t n = magazine_count(s->magazine);

	for (uint32_t i = 0; i < k; i++) {
		uint32_t tag = tag_of(s, refs[i]);

		if (tag_owner(tag) != s->dead)
			add_tag(p, s, refs[i], tag_make(s->dead, TAG_FREEING, tag_generation(tag)));
		add_step(p, &s->magazine->rounds[n + i], refs[i]);
	}
	for (uint32_t i = 0; i < k; i++)
		add_tag(p, s, refs[i], tag_retired(tag_of(s, refs[i]), TAG_CIRC));
	add_step(p, &s->magazine->count, n + k);
}

/* The daemon's: one round after the other, and no generation moves. */
static void write_fill(struct script *p, const struct scene *s, uint32_t k)
{
	uint32_t n = magazine_count(s->magazine);

	for (uint32_t i = 0; i < k; i++) {
		add_step(p, &s->magazine->rounds[n + i], s->slab[i]);
		add_tag(p, s, s->slab[i],
			tag_make(PARTY_NONE, TAG_CIRC, tag_generation(tag_of(s, s->slab[i]))));
		add_step(p, &s->magazine->count, n + i + 1);
	}
}

static void write_drain(struct script *p, const struct scene *s, uint32_t k)
{
	uint32_t n = magazine_count(s->magazine);

	for (uint32_t i = n; i > n - k; i--) {
		slab_ref ref = load_relaxed(&s->magazine->rounds[i - 1]);

		add_tag(p, s, ref, tag_make(PARTY_NONE, TAG_SLAB, tag_generation(tag_of(s, ref))));
		add_step(p, &s->magazine->count, i - 1);
		add_step(p, &s->magazine->rounds[i - 1], REF_NONE);
	}
}

/* ---------------------------------------------------------------- recovery */

static void repair_all(const struct scene *s, struct repair_count *count)
{
	for (uint32_t i = 0; i < depot_magazines(&s->cache->view); i++)
		repair_magazine(&s->cache->view, i, s->dead, count);
}

static uint32_t sweep_all(const struct scene *s, bool reclaim)
{
	uint32_t returned = 0;

	for (uint32_t i = 0; i < s->cache->view.geometry.objects; i++)
		returned += repair_sweep(&s->cache->view, object_at(s->cache, i), s->dead,
					 reclaim) == SWEEP_RETURNED;
	return returned;
}

static enum audit_owner owner_kind(void *arg, uint32_t owner)
{
	const struct scene *s = arg;

	if (owner == s->dead)
		return s->cache->view.geometry.flags & GEOMETRY_RECLAIM ? AUDIT_NOBODY : AUDIT_TOMB;
	return owner == s->other.client || owner == s->me.client ? AUDIT_CLIENT : AUDIT_NOBODY;
}

/* LIVE(dead) became CIRC or SLAB: one more.  CIRC and SLAB among themselves: the same.  LIVE as
 * ever: the same. */
static void check_generations(struct scene *s)
{
	for (uint32_t i = 0; i < s->cache->view.geometry.objects; i++) {
		uint32_t old = s->before[i], now = tag_of(s, object_at(s->cache, i));
		uint32_t moved = (tag_generation(now) - tag_generation(old)) & TAG_GENERATION;
		bool was_live = tag_state(old) == TAG_LIVE, is_live = tag_state(now) == TAG_LIVE;

		cr_assert_neq(tag_state(now), TAG_FREEING);
		if (was_live == is_live && moved) /* an alloc that never returned */
			cr_assert(moved == 1 && !was_live && s->dead != PARTY_DAEMON);
		if (was_live && !is_live)
			cr_assert_eq(moved, 1);
		if (!was_live && is_live)
			cr_assert_eq(moved, 0);
	}
}

static void check_others(const struct scene *s, uint32_t freed)
{
	for (uint32_t i = freed; i < ROUNDS; i++)
		cr_assert_eq(tag_state(tag_of(s, s->theirs[i])), TAG_LIVE);
	for (uint32_t i = 0; i < ROUNDS; i++)
		if (tag_state(tag_of(s, s->theirs[i])) == TAG_LIVE)
			cr_assert_eq(tag_owner(tag_of(s, s->theirs[i])), s->other.client);
}

/* What a repair leaves, another repair under the same signature leaves as it is. */
static void check_again(struct scene *s)
{
	struct repair_count count = {0};
	size_t bytes = s->cache->view.geometry.magazine_bytes, tags;
	char rounds[1024];
	uint32_t *copy;

	tags = s->cache->view.geometry.objects * sizeof(uint32_t);
	copy = malloc(tags);
	for (uint32_t i = 0; i < s->cache->view.geometry.objects; i++)
		copy[i] = tag_of(s, object_at(s->cache, i));
	memcpy(rounds, (void *)s->magazine->rounds, bytes - sizeof(*s->magazine));
	store_relaxed(&s->magazine->owner, owner_make(MAGAZINE_HELD, s->dead, 1));
	repair_all(s, &count);
	cr_assert_eq(count.magazines, 1);
	cr_assert_eq(count.finished, 0);
	cr_assert_eq(count.bad, 0);
	cr_assert_eq(memcmp(rounds, (void *)s->magazine->rounds, bytes - sizeof(*s->magazine)), 0);
	for (uint32_t i = 0; i < s->cache->view.geometry.objects; i++)
		cr_assert_eq(copy[i], tag_of(s, object_at(s->cache, i)));
	free(copy);
}

/* What a repair makes of a magazine: every slot that is in use, whatever the count says so far. */
static uint32_t slots_in_use(const struct scene *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= ROUNDS; i++)
		n += load_relaxed(&s->magazine->rounds[i]) != REF_NONE;
	return n;
}

static void recover(struct scene *s)
{
	uint32_t rounds = slots_in_use(s);
	bool reclaim = s->cache->view.geometry.flags & GEOMETRY_RECLAIM || s->dead == PARTY_DAEMON;
	struct repair_count count = {0};
	struct audit_count total;

	repair_all(s, &count);
	cr_assert_eq(count.bad, 0);
	cr_assert_eq(count.magazines, 1);
	cr_assert_eq(count.rounds, rounds);
	cr_assert_eq(magazine_count(s->magazine), rounds);
	check_again(s);
	sweep_all(s, reclaim);
	check_generations(s);
	cr_assert(audit_segment(&s->f.pool->segment, owner_kind, s, &total),
		  "%llu lost, %llu doubled, %llu bad magazines", (unsigned long long)total.lost,
		  (unsigned long long)total.doubled, (unsigned long long)total.magazines);
	cr_assert_eq(total.objects, s->cache->view.geometry.objects);
	cr_assert_eq(total.freeing, 0);
	if (s->dead == PARTY_DAEMON) {
		/* a worker that finds all this builds lists that agree with it */
		pool_fixture_restart(&s->f);
		pool_fixture_audit(&s->f);
	}
}

/* ---------------------------------------------------------------- every prefix of every operation */

enum operation { ALLOC, FREE_MINE, FREE_THEIRS, FREE_MIXED, FILL, DRAIN };

static void write_script(struct script *p, struct scene *s, enum operation operation, uint32_t k)
{
	slab_ref mixed[ROUNDS];

	*p = (struct script){0};
	for (uint32_t i = 0; i < ROUNDS; i++)
		mixed[i] = i % 2 ? s->mine[i] : s->theirs[i];
	switch (operation) {
	case ALLOC:
		write_alloc(p, s, k);
		break;
	case FREE_MINE:
		write_free(p, s, s->mine, k);
		break;
	case FREE_THEIRS:
		write_free(p, s, s->theirs, k);
		break;
	case FREE_MIXED:
		write_free(p, s, mixed, k);
		break;
	case FILL:
		write_fill(p, s, k);
		break;
	case DRAIN:
		write_drain(p, s, k);
		break;
	}
}

/* Killed after `steps` of an operation on k rounds of a magazine that had n; false when the
 * operation has no more steps than that. */
static bool kill_after(enum operation operation, uint32_t n, uint32_t k, uint32_t steps,
		       uint32_t flags)
{
	bool by_daemon = operation == FILL || operation == DRAIN, adds, more;
	struct script p;
	struct scene s;
	uint32_t rounds;

	set_scene(&s, flags);
	hold(&s, by_daemon ? PARTY_DAEMON : s.me.client, n);
	write_script(&p, &s, operation, k);
	more = steps < p.n;
	play(&p, steps);
	recover(&s);
	if (by_daemon) {
		strike_scene(&s);
		return more;
	}
	adds = operation != ALLOC;
	rounds = magazine_count(s.magazine);
	if (steps == 0)
		cr_assert_eq(rounds, n);
	else if (!more)
		cr_assert_eq(rounds, adds ? n + k : n - k, "an operation that returned stands");
	else
		cr_assert(rounds >= n - (adds ? 0 : k) && rounds <= n + (adds ? k : 0),
			  "%u rounds, then killed after %u steps of %u, then %u", n, steps, k,
			  rounds);
	check_others(&s, operation == FREE_THEIRS || operation == FREE_MIXED ? k : 0);
	strike_scene(&s);
	return more;
}

static void kill_everywhere(enum operation operation, uint32_t flags)
{
	bool takes = operation == ALLOC || operation == DRAIN;
	const uint32_t counts[] = {0, 1, 5, ROUNDS - 1, ROUNDS};

	for (uint32_t i = 0; i < 5; i++) {
		uint32_t n = counts[i], most = takes ? n : ROUNDS - n;

		for (uint32_t k = 1; k <= most; k += k < 3 || k + 4 > most ? 1 : 4)
			for (uint32_t steps = 0; kill_after(operation, n, k, steps, flags);)
				steps++;
	}
}

Test(repair, alloc)
{
	kill_everywhere(ALLOC, 0);
}

Test(repair, alloc_reclaim)
{
	kill_everywhere(ALLOC, GEOMETRY_RECLAIM);
}

Test(repair, free_of_own)
{
	kill_everywhere(FREE_MINE, 0);
}

Test(repair, free_of_own_reclaim)
{
	kill_everywhere(FREE_MINE, GEOMETRY_RECLAIM);
}

Test(repair, free_of_anothers)
{
	kill_everywhere(FREE_THEIRS, 0);
}

Test(repair, free_of_anothers_reclaim)
{
	kill_everywhere(FREE_THEIRS, GEOMETRY_RECLAIM);
}

Test(repair, free_of_both)
{
	kill_everywhere(FREE_MIXED, 0);
}

Test(repair, free_of_both_reclaim)
{
	kill_everywhere(FREE_MIXED, GEOMETRY_RECLAIM);
}

Test(repair, fill)
{
	kill_everywhere(FILL, 0);
}

Test(repair, drain)
{
	kill_everywhere(DRAIN, 0);
}

/* ---------------------------------------------------------------- claim and put */

Test(repair, killed_within_a_claim)
{
	for (uint32_t n = 0; n <= ROUNDS; n += ROUNDS) {
		struct scene s;
		uint32_t state = n ? MAGAZINE_FULL : MAGAZINE_EMPTY;

		set_scene(&s, 0);
		hold(&s, s.me.client, n);
		/* the hint is not cleared yet */
		or_relaxed(&s.cache->view.hints[state][s.index / 64], UINT64_C(1) << s.index % 64);
		recover(&s);
		cr_assert_eq(owner_state(load_relaxed(&s.magazine->owner)), state);
		strike_scene(&s);
	}
}

Test(repair, leaves_what_is_not_the_deads)
{
	struct repair_count count = {0};
	uint64_t owner;
	struct scene s;

	set_scene(&s, 0);
	hold(&s, s.other.client, 5);
	owner = load_relaxed(&s.magazine->owner);
	s.dead = s.me.client;
	repair_all(&s, &count);
	cr_assert_eq(count.magazines, 0);
	cr_assert_eq(load_relaxed(&s.magazine->owner), owner);
	for (uint32_t i = 0; i < ROUNDS; i++)
		cr_assert_eq(repair_sweep(&s.cache->view, s.theirs[i], s.dead, true), SWEEP_OTHER);
	depot_put(&s.cache->view, s.index, s.magazine);
	cr_assert(audit_segment(&s.f.pool->segment, owner_kind, &s, NULL));
	strike_scene(&s);
}

/* ---------------------------------------------------------------- the sweep */

Test(repair, sweep_by_state)
{
	struct scene s;
	slab_tag *tag;

	set_scene(&s, 0);
	tag = fake_tag(&s.me, s.mine[0]);
	store_relaxed(tag, tag_make(s.dead, TAG_LIVE, 0xffff));
	cr_assert_eq(repair_sweep(&s.cache->view, s.mine[0], s.dead, false), SWEEP_ORPHAN);
	cr_assert_eq(load_relaxed(tag), tag_make(s.dead, TAG_LIVE, 0xffff));
	cr_assert_eq(repair_sweep(&s.cache->view, s.mine[0], s.dead, true), SWEEP_RETURNED);
	cr_assert_eq(load_relaxed(tag), tag_make(PARTY_NONE, TAG_SLAB, 0));
	cr_assert_eq(repair_sweep(&s.cache->view, s.mine[0], s.dead, true), SWEEP_OTHER);
	store_relaxed(tag, tag_make(s.dead, TAG_FREEING, 7));
	cr_assert_eq(repair_sweep(&s.cache->view, s.mine[0], s.dead, false), SWEEP_RETURNED,
		     "nobody can finish that free but the sweep");
	cr_assert_eq(load_relaxed(tag), tag_make(PARTY_NONE, TAG_SLAB, 8));
	/* forged: a state without owner that has one */
	store_relaxed(tag, tag_make(s.dead, TAG_CIRC, 7));
	cr_assert_eq(repair_sweep(&s.cache->view, s.mine[0], s.dead, true), SWEEP_OTHER);
	store_relaxed(tag, tag_make(PARTY_NONE, TAG_SLAB, 9));
	cr_assert(audit_segment(&s.f.pool->segment, owner_kind, &s, NULL));
	strike_scene(&s);
}

/* ---------------------------------------------------------------- hostile words */

static slab_ref any_ref(struct scene *s)
{
	uint32_t r = pool_fixture_random(&s->f, 8), i = pool_fixture_random(&s->f, ROUNDS);

	switch (r) {
	case 0:
		return pool_fixture_random(&s->f, UINT32_MAX);
	case 1:
		return s->theirs[i] + 1; /* within an object */
	case 2:
		return s->theirs[i];
	case 3:
		return s->slab[i];
	case 4:
		return UINT32_MAX;
	case 5:
		return s->cache->view.geometry.objects *
			       (s->cache->view.geometry.stride >> REF_SHIFT) +
		       object_at(s->cache, 0); /* past the last */
	default:
		return s->mine[i];
	}
}

static uint32_t any_count(struct scene *s)
{
	const uint32_t counts[] = {0, 1, 5, ROUNDS, ROUNDS + 1, 4711, UINT32_MAX};

	return counts[pool_fixture_random(&s->f, 7)];
}

/* Whatever a hostile client left: nothing crashes, nobody else's tag moves, and what goes back to
 * the depot has a count that fits and rounds that are CIRC. */
static void repair_garbage(struct scene *s)
{
	struct repair_count count = {0};
	uint32_t n = any_count(s);

	store_relaxed(&s->magazine->owner,
		      owner_make(MAGAZINE_HELD, s->dead, pool_fixture_random(&s->f, 1000)));
	for (uint32_t i = 0; i <= ROUNDS; i++)
		store_relaxed(&s->magazine->rounds[i], any_ref(s));
	store_relaxed(&s->magazine->count, n);
	repair_all(s, &count);
	cr_assert_eq(count.magazines, 1);
	if (n > ROUNDS)
		cr_assert_gt(count.bad, 0);
	n = magazine_count(s->magazine);
	cr_assert_leq(n, ROUNDS);
	cr_assert_eq(owner_state(load_relaxed(&s->magazine->owner)),
		     n ? MAGAZINE_FULL : MAGAZINE_EMPTY);
	for (uint32_t i = 0; i < n; i++) {
		slab_ref ref = load_relaxed(&s->magazine->rounds[i]);

		cr_assert(cache_has_ref(&s->cache->view, ref));
		cr_assert_eq(tag_state(tag_of(s, ref)), TAG_CIRC);
	}
	for (uint32_t i = n; i <= ROUNDS; i++)
		cr_assert_eq(load_relaxed(&s->magazine->rounds[i]), REF_NONE);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		cr_assert_eq(tag_state(tag_of(s, s->theirs[i])), TAG_LIVE);
		cr_assert_eq(tag_state(tag_of(s, s->slab[i])), TAG_SLAB);
	}
}

Test(repair, hostile_magazines)
{
	struct scene s;

	set_scene(&s, 0);
	hold(&s, s.me.client, 0);
	for (int i = 0; i < 300; i++)
		repair_garbage(&s);
	strike_scene(&s);
}

Test(repair, bad_rounds_are_counted_and_dropped)
{
	struct repair_count count = {0};
	struct scene s;

	set_scene(&s, 0);
	hold(&s, s.me.client, 5);
	store_relaxed(&s.magazine->rounds[0], s.theirs[0]);
	store_relaxed(&s.magazine->rounds[2], UINT32_MAX);
	repair_all(&s, &count);
	cr_assert_eq(count.bad, 2);
	cr_assert_eq(count.rounds, 3);
	strike_scene(&s);
}

Test(repair, magazines_that_are_not_there)
{
	struct repair_count count = {0};
	struct scene s;

	set_scene(&s, 0);
	repair_magazine(&s.cache->view, depot_magazines(&s.cache->view), s.dead, &count);
	store_relaxed(&s.cache->view.rack_table[0], UINT32_MAX);
	repair_magazine(&s.cache->view, 3, s.dead, &count);
	cr_assert_eq(count.magazines, 0);
	cr_assert_eq(count.bad, 0);
	store_relaxed(&s.cache->view.rack_table[0], 1);
	strike_scene(&s);
}
