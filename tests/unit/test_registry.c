/* Caches by name: created, opened again, refused, destroyed, and gone with the last closer. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/clients.h"
#include "daemon/refill.h"
#include "tests/support/pool_suite.h"

static struct result result;

TestSuite(registry, .init = pool_suite_open, .fini = pool_suite_close);

static int create(uint32_t client, const char *name, uint32_t size, uint32_t flags,
		  struct cache **ret)
{
	const struct geometry_request request = {.object_size = size, .flags = flags};

	return registry_create(f.pool, client, f.sequence++, name, &request, ret, &result);
}

static void expect(int got, int status, const char *words)
{
	cr_assert_eq(got, status, "%d: %s", got, result.why);
	cr_assert_eq(result.status, status);
	cr_assert_not_null(strstr(result.why, words), "\"%s\" does not say %s", result.why, words);
}

Test(registry, create_and_find)
{
	struct cache *cache = pool_fixture_cache(&f, 0, "sessions", 100, 0), *found;

	cr_assert_eq(registry_by_name(f.pool, "sessions"), cache);
	cr_assert_null(registry_by_name(f.pool, "session"));
	cr_assert_eq(registry_find(f.pool, 0, cache->view.id, cache->serial, &found, &result), 0);
	cr_assert_eq(found, cache);
	cr_assert_eq(f.pool->caches_live, 1);
	cr_assert_eq(load_relaxed(&cache->view.desc->state), CACHE_LIVE);
	cr_assert_str_eq(cache->view.desc->name, "sessions");
	cr_assert_geq(depot_magazines(&cache->view), RACK_MAGAZINES);
}

Test(registry, opens_again_what_matches)
{
	uint32_t a = pool_fixture_attach(&f), b = pool_fixture_attach(&f);
	struct cache *first, *again;

	cr_assert_eq(create(a, "c", 100, 0, &first), 0);
	cr_assert_eq(create(b, "c", 100, 0, &again), 0);
	cr_assert_eq(first, again);
	cr_assert_eq(first->opens, 2);
	cr_assert_eq(create(b, "c", 100, 0, &again), 0);
	cr_assert_eq(first->opens, 2, "a client has it open once");
	cr_assert_eq(create(0, "c", 100, 0, &again), 0);
	cr_assert_eq(first->opens, 2, "an observer does not count");
	cr_assert_eq(f.pool->caches_live, 1);
}

Test(registry, refuses_another_shape)
{
	struct cache *cache;

	pool_fixture_cache(&f, 0, "c", 100, 0);
	expect(create(0, "c", 101, 0, &cache), -EINVAL, "object size 100");
	expect(create(0, "c", 100, GEOMETRY_RECLAIM, &cache), -EINVAL, "flags 0x1");
	cr_assert_eq(f.pool->caches_live, 1);
}

Test(registry, refuses_bad_names)
{
	const char *bad[] = {"",
			     "a b",
			     "a/b",
			     "\303\244",
			     "a\n",
			     "%s",
			     "1234567890123456789012345678901234567890123456789012345678901234"};
	struct cache *cache;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect(create(0, bad[i], 100, 0, &cache), -EINVAL, "63 characters");
	cr_assert_eq(create(0, "123456789012345678901234567890123456789012345678901234567890123",
			    100, 0, &cache),
		     0);
	cr_assert_eq(create(0, "A-z_0.9", 100, 0, &cache), 0);
	expect(create(0, "zero", 0, 0, &cache), -EINVAL, "131072");
	expect(create(0, "more", 131073, 0, &cache), -EINVAL, "131072");
	expect(create(0, "flags", 8, 0x10, &cache), -EINVAL, "0xf");
}

Test(registry, exclusive)
{
	const struct geometry_request request = {.object_size = 64, .flags = GEOMETRY_EXCLUSIVE};
	uint32_t a = pool_fixture_attach(&f), b = pool_fixture_attach(&f);
	struct cache *cache, *again;

	cr_assert_eq(registry_create(f.pool, a, 7, "c", &request, &cache, &result), 0);
	expect(registry_create(f.pool, b, 7, "c", &request, &again, &result), -EEXIST, "exists");
	expect(registry_create(f.pool, a, 8, "c", &request, &again, &result), -EEXIST, "exists");
	/* the worker died before it answered, and the client asks again */
	pool_fixture_restart(&f);
	cr_assert_eq(registry_create(f.pool, a, 7, "c", &request, &again, &result), 0);
	cr_assert_eq(again->opens, 1);
}

Test(registry, no_more_than_max_caches)
{
	struct cache *cache = NULL, *gone = NULL;
	char name[NAME_BYTES];

	for (int round = 0; round < 3; round++) {
		for (int i = round ? 7 : 0; i < 8; i++) {
			snprintf(name, sizeof(name), "c%d-%d", round, i);
			cr_assert_eq(create(0, name, 64, 0, &cache), 0, "%s", result.why);
			if (i == 3)
				gone = cache;
		}
		expect(create(0, "more", 64, 0, &cache), -ENOSPC, "8 of 8");
		cr_assert_not_null(strstr(result.why, "max-caches"));
		cr_assert_eq(pool_fixture_destroy(&f, 0, round ? cache : gone, NULL), 0);
		snprintf(name, sizeof(name), "c%d-7", round);
		cache = registry_by_name(f.pool, name);
		gone = cache;
	}
}

Test(registry, serials_are_never_used_again)
{
	uint64_t last = 0;

	for (int i = 0; i < 20; i++) {
		struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0), *found;
		uint32_t id = cache->view.id;
		uint64_t serial = cache->serial;

		cr_assert_gt(serial, last);
		expect(registry_find(f.pool, 0, id, last, &found, &result), -ESTALE, "destroyed");
		last = serial;
		cr_assert_eq(pool_fixture_destroy(&f, 0, cache, NULL), 0);
		expect(registry_find(f.pool, 0, id, serial, &found, &result), -ESTALE, "destroyed");
		expect(registry_open_cache(f.pool, 0, NULL, id, serial, &found, &result), -ESTALE,
		       "destroyed");
		if (i % 7 == 0)
			pool_fixture_restart(&f);
	}
}

Test(registry, open_and_close)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0), *found;

	expect(registry_find(f.pool, a, cache->view.id, cache->serial, &found, &result), -ENOENT,
	       "not opened");
	expect(registry_open_cache(f.pool, a, "d", 0, 0, &found, &result), -ENOENT, "slabctl");
	cr_assert_eq(registry_open_cache(f.pool, a, "c", 0, 0, &found, &result), 0);
	cr_assert_eq(found, cache);
	cr_assert_eq(registry_open_cache(f.pool, a, NULL, cache->view.id, cache->serial, &found,
					 &result),
		     0);
	cr_assert_eq(cache->opens, 1);
	cr_assert_eq(registry_close(f.pool, a, cache->view.id, cache->serial, &result), 0);
	cr_assert_eq(cache->opens, 0);
	expect(registry_close(f.pool, a, cache->view.id, cache->serial, &result), -ENOENT,
	       "not opened");
	pool_fixture_run(&f);
	cr_assert_eq(registry_by_name(f.pool, "c"), cache, "a named cache outlives its openers");
	expect(registry_find(f.pool, 0, 0, 1, &found, &result), -ESTALE, "id 0");
	expect(registry_find(f.pool, 0, UINT32_MAX, 1, &found, &result), -ESTALE, "destroyed");
}

Test(registry, destroy_by_name_for_an_observer)
{
	struct result got = {.status = 1};
	struct cache *cache = pool_fixture_cache(&f, 0, "c", 64, 0);

	cr_assert_eq(pool_fixture_destroy_name(&f, "c", &got), 0);
	cr_assert_null(registry_by_name(f.pool, "c"));
	cr_assert_null(f.pool->caches[1]);
	(void)cache;
	cr_assert_eq(pool_fixture_destroy_name(&f, "c", &got), -ENOENT);
	cr_assert_eq(f.pool->caches_live, 0);
}

Test(registry, destroy_is_busy_while_objects_live)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0);
	struct result why;
	slab_ref refs[3];
	struct fake fake;

	fake_init(&fake, &f, a, cache);
	fake_alloc_many(&fake, refs, 3);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, &why), -EBUSY);
	cr_assert_not_null(strstr(why.why, "3 objects"), "%s", why.why);
	cr_assert_eq(registry_by_name(f.pool, "c"), cache);
	pool_fixture_audit(&f);
	fake_free_many(&fake, refs, 3);
	fake_flush(&fake);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, &why), 0);
	cr_assert_null(registry_by_name(f.pool, "c"));
}

Test(registry, destroy_is_busy_while_orphans_are)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0);
	struct fake fake;

	fake_init(&fake, &f, a, cache);
	cr_assert_neq(fake_alloc(&fake), REF_NONE);
	pool_fixture_kill(&f, a);
	cr_assert(clients_is_tomb(f.pool, a));
	cr_assert_eq(pool_fixture_destroy(&f, 0, cache, NULL), -EBUSY);
	pool_fixture_audit(&f);
}

/* Unless they are the caller's in a RECLAIM cache. */
Test(registry, destroy_of_ones_own_in_a_reclaim_cache)
{
	uint32_t a = pool_fixture_attach(&f), b = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, GEOMETRY_RECLAIM);
	struct fake mine, theirs;
	slab_ref ref;

	pool_fixture_cache(&f, b, "c", 64, GEOMETRY_RECLAIM);
	fake_init(&mine, &f, a, cache);
	fake_init(&theirs, &f, b, cache);
	cr_assert_neq(fake_alloc(&mine), REF_NONE);
	ref = fake_alloc(&theirs);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, NULL), -EBUSY);
	cr_assert(fake_free(&theirs, ref));
	fake_flush(&theirs);
	fake_flush(&mine);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, NULL), 0);
	cr_assert_eq(cache->opens, 2, "as unlink");
}

Test(registry, unlinked_lives_until_the_last_closer)
{
	uint32_t a = pool_fixture_attach(&f), b = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0), *other, *found;
	uint64_t serial = cache->serial;
	uint32_t id = cache->view.id;
	struct fake fake;
	slab_ref ref;

	pool_fixture_cache(&f, b, "c", 64, 0);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, NULL), 0);
	cr_assert_eq(registry_close(f.pool, a, id, serial, &result), 0);
	pool_fixture_run(&f);
	/* the name is free at once; the other goes on, over a restart too */
	other = pool_fixture_cache(&f, a, "c", 1000, 0);
	cr_assert_neq(other->view.id, id);
	pool_fixture_restart(&f);
	cr_assert_eq(registry_find(f.pool, b, id, serial, &cache, &result), 0);
	cr_assert_neq(registry_by_name(f.pool, "c"), cache);
	fake_init(&fake, &f, b, cache);
	ref = fake_alloc(&fake);
	cr_assert_neq(ref, REF_NONE);
	cr_assert(fake_free(&fake, ref));
	fake_flush(&fake);
	pool_fixture_audit(&f);
	cr_assert_eq(pool_fixture_destroy(&f, b, cache, NULL), 0, "it has lost its name already");
	cr_assert_eq(registry_close(f.pool, b, id, serial, &result), 0);
	pool_fixture_run(&f);
	expect(registry_find(f.pool, 0, id, serial, &found, &result), -ESTALE, "destroyed");
	cr_assert_eq(load_relaxed(&f.pool->segment.descriptors[id].state), CACHE_FREE);
	cr_assert_not_null(registry_by_name(f.pool, "c"));
}

/* Whoever lost the answer repeats the request. */
Test(registry, destroy_repeated_after_a_restart)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0);
	uint64_t sequence = f.sequence;

	cr_assert_eq(pool_fixture_destroy(&f, a, cache, NULL), 0);
	pool_fixture_restart(&f);
	f.sequence = sequence;
	cr_assert_eq(pool_fixture_destroy(&f, a, f.pool->caches[1], NULL), 0);
}

Test(registry, released_memory_is_given_back)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0);
	uint64_t depot = backing_bytes(f.backing.depot), heap;
	struct fake fake;
	slab_ref refs[2000];

	fake_init(&fake, &f, a, cache);
	cr_assert_eq(fake_alloc_many(&fake, refs, 2000), 2000);
	fake_free_many(&fake, refs, 2000);
	fake_flush(&fake);
	heap = backing_bytes(f.backing.heap);
	cr_assert_geq(heap, 2 * MIB);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, NULL), 0);
	cr_assert_eq(registry_close(f.pool, a, cache->view.id, cache->serial, &result), 0);
	pool_fixture_run(&f);
	cr_assert_null(f.pool->caches[1]);
	cr_assert_leq(backing_bytes(f.backing.depot), depot);
	pool_fixture_shrink(&f, NULL);
	cr_assert_eq(backing_bytes(f.backing.heap), 0);
	for (uint64_t i = 0; i < f.pool->segment.super->depot_pages / 64 + 1; i++)
		cr_assert_eq(f.pool->depot_used[i], 0);
}

Test(registry, a_restart_in_mid_release_goes_on)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0);
	struct fake fake;
	slab_ref ref;

	fake_init(&fake, &f, a, cache);
	ref = fake_alloc(&fake);
	fake_free(&fake, ref);
	fake_flush(&fake);
	cr_assert_eq(pool_fixture_destroy(&f, a, cache, NULL), 0);
	cr_assert_eq(registry_close(f.pool, a, cache->view.id, cache->serial, &result), 0);
	pool_fixture_restart(&f); /* the job was queued, no more */
	pool_tick(f.pool);
	pool_fixture_run(&f);
	cr_assert_eq(load_relaxed(&f.pool->segment.descriptors[1].state), CACHE_FREE);
	cr_assert_null(f.pool->caches[1]);
}

Test(registry, close_all_at_death)
{
	uint32_t a = pool_fixture_attach(&f);
	struct cache *one = pool_fixture_cache(&f, a, "one", 64, 0);
	struct cache *two = pool_fixture_cache(&f, a, "two", 64, 0);

	cr_assert_eq(pool_fixture_destroy(&f, a, two, NULL), 0);
	pool_fixture_kill(&f, a);
	cr_assert_eq(one->opens, 0);
	cr_assert_null(f.pool->caches[2], "its last closer died");
	cr_assert_eq(registry_by_name(f.pool, "one"), one);
}

Test(registry, threads_of_those_who_have_it_open)
{
	uint32_t a = pool_fixture_attach(&f), b = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, a, "c", 64, 0);

	cr_assert_eq(registry_threads(cache), 1);
	clients_set_threads(f.pool, a, 5);
	clients_set_threads(f.pool, b, 7);
	cr_assert_eq(registry_threads(cache), 5);
	pool_fixture_cache(&f, b, "c", 64, 0);
	cr_assert_eq(registry_threads(cache), 12);
	clients_set_threads(f.pool, b, UINT32_MAX);
	cr_assert_eq(registry_threads(cache), 5 + CLIENT_THREADS_MAX);
	pool_fixture_kill(&f, b);
	cr_assert_eq(registry_threads(cache), 5);
	registry_close(f.pool, a, cache->view.id, cache->serial, &result);
	cr_assert_eq(registry_threads(cache), 0);
}

Test(registry, next_ever_finds_all)
{
	uint32_t a = pool_fixture_attach(&f), next = 1, seen = 0;
	struct cache *cache;
	char name[8];

	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		cache = pool_fixture_cache(&f, i % 2 ? a : 0, name, 64, 0);
		if (i == 3)
			registry_close(f.pool, a, cache->view.id, cache->serial, &result);
	}
	while ((cache = registry_next_ever(f.pool, a, &next)))
		seen |= 1u << cache->view.id;
	cr_assert_eq(seen, 1u << 2 | 1u << 4 | 1u << 6 | 1u << 8, "closed ones too: 0x%x", seen);
}
