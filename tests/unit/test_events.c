/* The ring of events: numbers over restarts, what falls out of it, limits that come near. */
#include <criterion/criterion.h>
#include <string.h>

#include "daemon/events.h"
#include "tests/support/pool_suite.h"

TestSuite(events, .init = pool_suite_open, .fini = pool_suite_close);

/* How many events of this kind there are after a number; the last of them in *last. */
static unsigned count(enum event_kind kind, uint64_t after, struct happening *last)
{
	const struct happening *event;
	uint64_t lost;
	unsigned n = 0;

	while ((event = events_after(f.pool, after, &lost))) {
		cr_assert_gt(event->sequence, after);
		after = event->sequence;
		if (event->kind != kind)
			continue;
		n++;
		if (last)
			*last = *event;
	}
	return n;
}

Test(events, of_a_client_and_a_cache)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 100, 0);
	struct happening event;
	struct fake fake;

	fake_init(&fake, &f, client, cache);
	cr_assert_neq(fake_alloc(&fake), REF_NONE);
	cr_assert_eq(count(EVENT_CLIENT_ATTACHED, 0, &event), 1);
	cr_assert_eq(event.client, client);
	cr_assert_eq(event.pid, clients_record(f.pool, client)->pid);
	cr_assert_eq(count(EVENT_CACHE_CREATED, 0, &event), 1);
	cr_assert_str_eq(event.cache, "c");
	pool_fixture_kill(&f, client);
	cr_assert_eq(count(EVENT_CLIENT_DIED, 0, &event), 1);
	cr_assert_eq(count(EVENT_CLIENT_RECLAIMED, 0, &event), 1);
	cr_assert_eq(event.magazines, 1);
	cr_assert_eq(event.orphans, 1);
	cr_assert_gt(event.objects, 0);
	cr_assert_gt(event.time_ms, UINT64_C(1000000000000));
	cr_assert_not_null(strstr(event.text, "1 are orphans"));
}

Test(events, the_oldest_fall_out)
{
	static const struct happening damage = {.kind = EVENT_DAMAGE};
	const struct happening *event;
	uint64_t first = f.pool->events->first, lost;

	for (unsigned i = 0; i < EVENTS_MAX + 10; i++)
		events_add(f.pool, &damage, "number %u", i);
	event = events_after(f.pool, 0, &lost);
	cr_assert_eq(lost, 10);
	cr_assert_eq(event->sequence, first + 10);
	cr_assert_str_eq(event->text, "number 10");
	event = events_after(f.pool, first + 10, &lost);
	cr_assert_eq(lost, 0);
	cr_assert_str_eq(event->text, "number 11");
	cr_assert_null(events_after(f.pool, first + EVENTS_MAX + 9, &lost));
	cr_assert_null(events_after(f.pool, UINT64_MAX - 1, &lost));
	cr_assert_eq(lost, 0);
	cr_assert_eq(count(EVENT_DAMAGE, 0, NULL), EVENTS_MAX);
}

Test(events, numbers_grow_over_a_restart)
{
	uint64_t before = f.pool->events->next;

	pool_fixture_cache(&f, 0, "a", 100, 0);
	pool_fixture_restart(&f);
	cr_assert_gt(f.pool->events->first, before);
	cr_assert_eq(count(EVENT_CACHE_CREATED, 0, NULL), 0);
	pool_fixture_cache(&f, 0, "b", 100, 0);
	cr_assert_eq(count(EVENT_CACHE_CREATED, before, NULL), 1);
}

Test(events, a_limit_is_near_once)
{
	char name[2] = "a";
	struct happening event;

	for (unsigned i = 0; i < 7; i++, name[0]++) /* of 8: 87% */
		pool_fixture_cache(&f, 0, name, 100, 0);
	events_tick(f.pool);
	cr_assert_eq(count(EVENT_LIMIT_NEAR, 0, NULL), 0);
	pool_fixture_cache(&f, 0, name, 100, 0);
	events_tick(f.pool);
	events_tick(f.pool);
	cr_assert_eq(count(EVENT_LIMIT_NEAR, 0, &event), 1);
	cr_assert_not_null(strstr(event.text, "8 of 8"));
	for (unsigned i = 0; i < 3; i++) {
		struct result result;

		name[0] = (char)('a' + i);
		cr_assert_eq(pool_fixture_destroy_name(&f, name, &result), 0);
	}
	events_tick(f.pool);
	for (unsigned i = 0; i < 3; i++) {
		name[0] = (char)('a' + i);
		pool_fixture_cache(&f, 0, name, 100, 0);
	}
	events_tick(f.pool);
	cr_assert_eq(count(EVENT_LIMIT_NEAR, 0, NULL), 2);
}

Test(events, the_heap_is_nearly_full)
{
	uint32_t client = pool_fixture_attach(&f);
	struct cache *cache = pool_fixture_cache(&f, client, "c", 100000, 0);
	static slab_ref refs[1000];
	struct happening event;
	struct fake fake;
	uint32_t n;

	fake_init(&fake, &f, client, cache);
	n = fake_alloc_many(&fake, refs, 1000);
	cr_assert_lt(n, 1000);
	events_tick(f.pool);
	cr_assert_eq(count(EVENT_LIMIT_NEAR, 0, &event), 1);
	cr_assert_not_null(strstr(event.text, "heap: 14 of 14 MiB"), "%s", event.text);
	fake_free_many(&fake, refs, n);
	fake_flush(&fake);
}
