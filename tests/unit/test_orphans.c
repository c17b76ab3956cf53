/* Objects that outlived their owner: listed by cache and owner, freed once each. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/orphans.h"
#include "tests/support/pool_suite.h"

static struct cache *a, *b;

struct found {
	int calls, status;
	struct orphan list[16];
	size_t n;
	uint64_t freed;
};

static void set_up(void)
{
	pool_suite_open();
	a = pool_fixture_cache(&f, 0, "a", 64, 0);
	b = pool_fixture_cache(&f, 0, "b", 1000, 0);
}

TestSuite(orphans, .init = set_up, .fini = pool_suite_close);
TestSuite(orphan_pages, .fini = pool_suite_close); /* they open a pool of their own */

static void take_orphans(void *arg, const struct orphans *orphans)
{
	struct found *found = arg;

	found->calls++;
	found->status = orphans->status;
	found->n = orphans->n;
	found->freed = orphans->freed;
	memcpy(found->list, orphans->list, orphans->n * sizeof(*orphans->list));
}

static struct found walk(uint32_t cache, bool reclaim)
{
	struct found found = {.status = 1};

	orphans_walk(f.pool, cache, reclaim, 0, take_orphans, &found);
	pool_fixture_run(&f);
	cr_assert_eq(found.calls, 1);
	cr_assert_eq(found.status, 0);
	return found;
}

/* A client that dies with so many of each; its id. */
static uint32_t leave(uint32_t of_a, uint32_t of_b, slab_ref *refs)
{
	uint32_t client = pool_fixture_attach(&f);
	slab_ref own[200];
	struct fake fake;

	if (!refs)
		refs = own;
	pool_fixture_cache(&f, client, "a", 64, 0);
	pool_fixture_cache(&f, client, "b", 1000, 0);
	fake_init(&fake, &f, client, a);
	cr_assert_eq(fake_alloc_many(&fake, refs, of_a), of_a);
	fake_flush(&fake);
	fake_init(&fake, &f, client, b);
	cr_assert_eq(fake_alloc_many(&fake, refs + of_a, of_b), of_b);
	pool_fixture_kill(&f, client);
	return client;
}

static void expect(const struct orphan *got, uint32_t cache, uint32_t owner, uint64_t objects)
{
	cr_assert_eq(got->cache, cache);
	cr_assert_eq(got->owner, owner);
	cr_assert_eq(got->objects, objects);
}

Test(orphans, none)
{
	cr_assert_eq(walk(0, false).n, 0);
	cr_assert_eq(walk(0, true).freed, 0);
}

Test(orphans, listed_by_cache_and_owner)
{
	uint32_t one = leave(5, 0, NULL), two = leave(7, 3, NULL);
	struct found found = walk(0, false);

	cr_assert_eq(found.n, 3);
	expect(&found.list[0], a->view.id, one, 5);
	expect(&found.list[1], a->view.id, two, 7);
	expect(&found.list[2], b->view.id, two, 3);
	found = walk(b->view.id, false);
	cr_assert_eq(found.n, 1);
	expect(&found.list[0], b->view.id, two, 3);
	cr_assert_eq(found.freed, 0);
	cr_assert_eq(f.pool->tombs, 2);
}

Test(orphans, the_living_own_none)
{
	uint32_t client = pool_fixture_attach(&f);
	struct fake fake;

	fake_init(&fake, &f, client, a);
	cr_assert_neq(fake_alloc(&fake), REF_NONE);
	cr_assert_eq(walk(0, true).n, 0);
	fake_flush(&fake);
}

Test(orphans, freed_in_one_cache)
{
	uint32_t one = leave(20, 10, NULL);
	struct found found = walk(a->view.id, true);
	uint64_t in_slabs = a->in_slabs;

	cr_assert_eq(found.freed, 20);
	cr_assert_eq(found.n, 1, "what was found");
	cr_assert_eq(pool_fixture_count(&f, a).orphaned, 0);
	cr_assert_eq(pool_fixture_count(&f, b).orphaned, 10);
	cr_assert(clients_is_tomb(f.pool, one));
	cr_assert_eq(walk(a->view.id, true).freed, 0);
	cr_assert_eq(a->in_slabs, in_slabs);
}

Test(orphans, the_last_one_freed_buries_the_tomb)
{
	uint32_t one = leave(20, 10, NULL);

	cr_assert_eq(walk(0, true).freed, 30);
	for (int i = 0; i < 15; i++)
		pool_tick(f.pool);
	pool_fixture_run(&f);
	cr_assert_not(clients_is_tomb(f.pool, one));
	cr_assert_eq(f.pool->tombs, 0);
}

/* Generation and all: a handle of before is stale. */
Test(orphans, freed_to_the_next_generation)
{
	slab_ref ref;
	uint32_t before, one = leave(1, 0, &ref);
	slab_tag *tag = cache_tag(&a->view, ref);

	before = load_relaxed(tag);
	cr_assert_eq(tag_owner(before), one);
	walk(0, true);
	cr_assert_eq(load_relaxed(tag), tag_make(PARTY_NONE, TAG_SLAB, tag_generation(before) + 1));
}

/* slabd_adopt: one CAS on owner and generation. */
Test(orphans, adopted_ones_stay_the_adopters)
{
	uint32_t client;
	slab_ref refs[5];
	struct fake fake;
	slab_tag *tag;

	leave(5, 0, refs);
	client = pool_fixture_attach(&f);
	pool_fixture_cache(&f, client, "a", 64, 0);
	tag = cache_tag(&a->view, refs[2]);
	store_relaxed(tag, tag_make(client, TAG_LIVE, tag_generation(load_relaxed(tag))));
	cr_assert_eq(walk(0, true).freed, 4);
	cr_assert_eq(tag_owner(load_relaxed(tag)), client);
	fake_init(&fake, &f, client, a);
	cr_assert(fake_free(&fake, refs[2]));
	fake_flush(&fake);
}

Test(orphans, over_a_restart)
{
	uint32_t one = leave(5, 6, NULL);
	struct found found;

	pool_fixture_restart(&f);
	a = registry_by_name(f.pool, "a");
	b = registry_by_name(f.pool, "b");
	found = walk(0, false);
	cr_assert_eq(found.n, 2);
	expect(&found.list[0], a->view.id, one, 5);
	expect(&found.list[1], b->view.id, one, 6);
	cr_assert_eq(walk(0, true).freed, 11);
}

Test(orphans, a_waiter_that_left_is_not_told)
{
	struct found found = {0};

	leave(2, 0, NULL);
	orphans_walk(f.pool, 0, true, 0, take_orphans, &found);
	job_forget(f.pool, &found);
	pool_fixture_run(&f);
	cr_assert_eq(found.calls, 0);
	cr_assert_eq(pool_fixture_count(&f, a).orphaned, 0);
}

/* slabd ends in the middle of a walk: under LeakSanitizer nothing is left. */
Test(orphans, an_unfinished_walk_is_dropped)
{
	struct job *job;

	leave(5, 5, NULL);
	orphans_walk(f.pool, 0, false, 0, NULL, NULL);
	job = TAILQ_FIRST(&f.pool->jobs);
	cr_assert(job->step(job, UINT64_MAX));
	pool_fixture_restart(&f);
	a = registry_by_name(f.pool, "a");
	cr_assert_eq(pool_fixture_count(&f, a).orphaned, 5);
}

/* ---------------------------------------------------------------- pages */

#define OWNERS (2 * ORPHANS_PAGE + 10)

/* Dead clients with an object each in both caches, the later ones at lower addresses or not. */
static void leave_many(void)
{
	const struct backing_options options = {.size = 16 * MIB,
						.hugepages = HUGEPAGES_NEVER,
						.max_caches = 8,
						.max_clients = 2 * OWNERS};
	pool_fixture_open_with(&f, &options);
	a = pool_fixture_cache(&f, 0, "a", 64, 0);
	b = pool_fixture_cache(&f, 0, "b", 1000, 0);
	for (unsigned i = 0; i < OWNERS; i++)
		leave(1, 1, NULL);
}

struct paged {
	struct orphan last;
	uint64_t next, objects, freed;
	size_t n;
	bool in_order;
};

static void take_page(void *arg, const struct orphans *orphans)
{
	struct paged *paged = arg;

	cr_assert_eq(orphans->status, 0);
	cr_assert_leq(orphans->n, ORPHANS_PAGE);
	for (size_t i = 0; i < orphans->n; i++) {
		const struct orphan *o = &orphans->list[i], *last = &paged->last;

		paged->in_order &= o->cache > last->cache ||
				   (o->cache == last->cache && o->owner > last->owner);
		paged->last = *o;
		paged->objects += o->objects;
	}
	paged->n += orphans->n;
	paged->next = orphans->next;
	paged->freed += orphans->freed;
}

Test(orphan_pages, pages)
{
	struct paged paged = {.in_order = true};
	unsigned pages = 0;

	leave_many();
	do {
		orphans_walk(f.pool, 0, false, paged.next, take_page, &paged);
		pool_fixture_run(&f);
		pages++;
	} while (paged.next);
	cr_assert_eq(paged.n, 2 * OWNERS);
	cr_assert_eq(paged.objects, 2 * OWNERS);
	cr_assert(paged.in_order);
	cr_assert_eq(pages, 5);
}

/* One cache, whose last page is full. */
Test(orphan_pages, pages_of_one_cache)
{
	struct paged paged = {.in_order = true};

	leave_many();
	do {
		orphans_walk(f.pool, b->view.id, false, paged.next, take_page, &paged);
		pool_fixture_run(&f);
	} while (paged.next);
	cr_assert_eq(paged.n, OWNERS);
	cr_assert(paged.in_order);
}

Test(orphan_pages, freed_page_by_page)
{
	struct paged paged = {.next = 1};
	unsigned pages = 0;

	leave_many();
	for (; paged.next; pages++) {
		orphans_walk(f.pool, 0, true, 0, take_page, &paged);
		pool_fixture_run(&f);
		cr_assert_eq(paged.freed, paged.objects, "what is listed was freed, and no more");
	}
	cr_assert_eq(pages, 5);
	cr_assert_eq(paged.freed, 2 * OWNERS);
	cr_assert_eq(pool_fixture_count(&f, a).orphaned + pool_fixture_count(&f, b).orphaned, 0);
}
