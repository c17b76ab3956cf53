/* Caches come and go, as victims: create, open, close, destroy. */
#include "tests/crash/worker_shapes.h"

#include <string.h>

#include "daemon/clients.h"
#include "daemon/refill.h"
#include "daemon/release.h"

static const struct geometry_request made_anew = {
	.object_size = OBJECT_BYTES, .magazine = ROUNDS, .flags = GEOMETRY_EXCLUSIVE};

static void do_create(void)
{
	struct cache *ret;

	registry_create(pool, client_id(), SEQUENCE, MADE, &made_anew, &ret, &result);
}

static bool create_again(struct pool *p, uint32_t client, char *why)
{
	struct result got;
	struct cache *ret;

	if (registry_create(p, client, SEQUENCE, MADE, &made_anew, &ret, &got) == 0)
		return true;
	snprintf(why, WHY, "the request is repeated, and not recognised: %.200s", got.why);
	return false;
}

/* All the ways to be refused. */
static void do_create_badly(void)
{
	static const struct geometry_request none = {0}, other = {.object_size = 64};
	struct cache *ret;

	registry_create(pool, client_id(), SEQUENCE, "no name!", &made, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, MADE, &none, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "plain", &other, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "plain", &made_anew, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "", &made, &ret, &result);
	registry_create(pool, client_id(), SEQUENCE, "plain", &made, &ret, &result);
	registry_open_cache(pool, client_id(), "none", 0, 0, &ret, &result);
	registry_open_cache(pool, client_id(), NULL, 1, 1000, &ret, &result);
	registry_find(pool, client_id(), 2, 1000, &ret, &result);
	registry_find(pool, client_id(), 99, 1, &ret, &result);
	registry_find(pool, client_id(), 0, 1, &ret, &result);
	registry_find(pool, client_id(), 2, pool->caches[2]->serial, &ret, &result);
	registry_close(pool, client_id(), 2, pool->caches[2]->serial, &result);
}

static void do_create_one_too_many(void)
{
	struct cache *ret;

	registry_create(pool, 0, 1, MADE, &made, &ret, &result);
	registry_create(pool, 0, 1, "more", &made, &ret, &result);
}

/* Caches come and go, with names of every length that the hash knows how to end. */
static void do_create_many(void)
{
	static const char name[] = "a-name-of-many";
	struct cache *ret;

	for (unsigned i = sizeof(name) - 2; i < sizeof(name); i--) {
		registry_create(pool, 0, 1, name + i, &made, &ret, &result);
		registry_destroy(pool, 0, 0, name + i, 0, 0, take_result, &result);
		run();
	}
}

static void client_depot_full(void)
{
	idle_client();
	memset(pool->depot_used, 0xff, (pool->segment.super->depot_pages / 64 + 1) * 8);
}

static void do_create_without_memory(void)
{
	lies.calloc = 1;
	do_create();
}

static void do_open(void)
{
	struct cache *ret;

	registry_open_cache(pool, client_id(), "strict", 0, 0, &ret, &result);
	registry_open_cache(pool, client_id(), NULL, ret->view.id, ret->serial, &ret, &result);
	registry_by_name(pool, "reclaim");
}

static void do_close(void)
{
	registry_close(pool, client_id(), cache->view.id, cache->serial, &result);
}

static void made_two_racks(void)
{
	made_cache();
	clients_set_threads(pool, client_id(), RACK_MAGAZINES);
	refill_racks(cache);
}

static void destroy_made(void)
{
	registry_destroy(pool, client_id(), SEQUENCE, NULL, cache->view.id, cache->serial,
			 take_result, &result);
	run();
}

static bool destroy_again(struct pool *p, uint32_t client, char *why)
{
	struct cache *there = p->caches[MADE_ID];
	struct result got = {.status = 1};

	if (!there)
		return true;
	registry_destroy(p, client, SEQUENCE, NULL, MADE_ID, there->serial, take_result, &got);
	run_jobs(p);
	if (got.status == 0)
		return true;
	snprintf(why, WHY, "the request is repeated, and refused: %.200s", got.why);
	return false;
}

/* To its end: the last closer gives the memory back. */
static void destroy_and_close(void)
{
	uint64_t serial = cache->serial;

	destroy_made();
	registry_close(pool, client_id(), MADE_ID, serial, &result);
	run();
}

static void close_unlinked(void)
{
	do_close();
	run();
}

static void close_unlinked_in_slices(void)
{
	slice = 500000;
	close_unlinked();
}

static void destroy_in_slices(void)
{
	slice = 0;
	destroy_made();
}

/* Twice at once: the second finds it gone, or another of that id. */
static void destroy_twice(void)
{
	struct cache *ret;

	registry_destroy(pool, client_id(), SEQUENCE, NULL, cache->view.id, cache->serial,
			 take_result, &result);
	registry_destroy(pool, client_id(), SEQUENCE + 1, NULL, cache->view.id, cache->serial,
			 take_result, &result);
	registry_close(pool, client_id(), cache->view.id, cache->serial, &result);
	run();
	registry_create(pool, client_id(), SEQUENCE + 2, MADE, &made, &ret, &result);
}

/* One asks, and while its objects are counted the cache is gone. */
static void destroy_too_late(void)
{
	struct job *first;

	registry_destroy(pool, 0, 0, MADE, 0, 0, take_result, &result);
	registry_destroy(pool, 0, 0, MADE, 0, 0, take_result, &result);
	registry_close(pool, client_id(), cache->view.id, cache->serial, &result);
	first = TAILQ_FIRST(&pool->jobs);
	TAILQ_REMOVE(&pool->jobs, first, link);
	first->step(first, UINT64_MAX);
	first->finish(first);
	release_one_now(pool);
	run();
}

static void destroy_by_name(void)
{
	registry_destroy(pool, 0, 0, MADE, 0, 0, take_result, &result);
	registry_destroy(pool, 0, 0, "none", 0, 0, take_result, &result);
	lies.calloc = 1;
	registry_destroy(pool, 0, 0, "plain", 0, 0, take_result, &result);
	registry_destroy(pool, 0, 0, "plain", 0, 0, NULL, NULL);
	run();
}

/* Both ids are taken, one by a cache whose release is queued. */
static void made_releasing(void)
{
	made_unlinked();
	do_close();
}

static void do_create_in_its_place(void)
{
	struct cache *ret;

	registry_create(pool, client_id(), SEQUENCE, "next", &made, &ret, &result);
}

const struct crash_case cache_cases[] = {
	CASE("create", PLAIN, idle_client, do_create, .again = create_again),
	CASE("create, refused", PLAIN, idle_client, do_create_badly),
	CASE("create, one too many", PLAIN, work, do_create_one_too_many),
	CASE("create, many", PLAIN, work, do_create_many),
	CASE("create, no room for a rack", PLAIN, client_depot_full, do_create),
	CASE("create, no memory", PLAIN, idle_client, do_create_without_memory),
	CASE("create, in the place of another", PLAIN, made_releasing, do_create_in_its_place),
	CASE("open", PLAIN, idle_client, do_open),
	CASE("close", PLAIN, plain_client, do_close),
	CASE("close, the last of an unlinked one", PLAIN, made_unlinked, close_unlinked),
	CASE("close, the last, in slices", PLAIN, made_unlinked, close_unlinked_in_slices),
	CASE("destroy", PLAIN, made_cache, destroy_made, .again = destroy_again),
	CASE("destroy, reclaim", PLAIN, made_reclaim, destroy_made, .again = destroy_again),
	CASE("destroy, to its end", PLAIN, made_two_racks, destroy_and_close),
	CASE("destroy, by name", PLAIN, made_cache, destroy_by_name),
	CASE("destroy, in slices", PLAIN, made_cache, destroy_in_slices, .again = destroy_again),
	CASE("destroy, twice", PLAIN, made_cache, destroy_twice),
	CASE("destroy, too late", PLAIN, made_cache, destroy_too_late),
	CASE("destroy, unlinked", PLAIN, made_unlinked, destroy_made),
};
const unsigned cache_cases_n = sizeof(cache_cases) / sizeof(*cache_cases);
