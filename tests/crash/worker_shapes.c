#include "tests/crash/worker_shapes.h"

#include "daemon/clients.h"
#include "daemon/refill.h"

struct pool *pool;
struct cache *cache;
struct result result;
uint64_t slice = UINT64_MAX;

const struct geometry_request made = {.object_size = OBJECT_BYTES, .magazine = ROUNDS};

void run(void)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&pool->jobs))) {
		bool done = job->step(job, slice == UINT64_MAX ? slice : pool_now() + slice);

		TAILQ_REMOVE(&pool->jobs, job, link);
		if (done)
			job->finish(job);
		else
			TAILQ_INSERT_TAIL(&pool->jobs, job, link);
	}
}

void take_result(void *arg, const struct result *got)
{
	*(struct result *)arg = *got;
}

uint32_t client_id(void)
{
	return load_relaxed(&me->identity->client);
}

void work_on(int which)
{
	char why[WHY_BYTES] = "";

	if (pool_open(&pool, "live", &world.live.backing, why, sizeof(why)) < 0)
		die("victim: %s", why);
	cache = pool->caches[which + 1];
}

void work(void)
{
	work_on(PLAIN);
}

void client_of(int which)
{
	void *objects[7];

	if (slabd_attach(&me, "crash") < 0 ||
	    slabd_cache_open(me, cache_names[which], &my_cache) < 0)
		die("victim: %s", slabd_error());
	for (unsigned i = 0; i < 7; i++)
		objects[i] = slabd_alloc(my_cache, 0);
	for (unsigned i = 0; i < 4; i++)
		slabd_free(my_cache, objects[i]);
}

void plain_client(void)
{
	client_of(PLAIN);
	work();
}

void idle_client(void)
{
	if (slabd_attach(&me, "crash") < 0)
		die("victim: %s", slabd_error());
	work();
}

void fill_one(struct cache *c)
{
	store_relaxed(&c->view.desc->batch, 1 + 1);
	c->batch = 1;
	c->filled_at = pool_now() - 1000000000;
	refill_request(pool, c, 0, false, &result);
}

void plain_full(void)
{
	work();
	fill_one(cache);
	fill_one(cache);
}

void plain_threads(void)
{
	plain_client();
	clients_set_threads(pool, client_id(), RACK_MAGAZINES);
}

void made_cache(void)
{
	idle_client();
	if (registry_create(pool, client_id(), 1, MADE, &made, &cache, &result) < 0)
		die("victim: %s", result.why);
	refill_request(pool, cache, 1, false, &result);
}

void made_unlinked(void)
{
	made_cache();
	registry_destroy(pool, client_id(), 2, NULL, cache->view.id, cache->serial, take_result,
			 &result);
	run();
}

void made_reclaim(void)
{
	const struct slabd_cache_args args = {.size_of_args = sizeof(args),
					      .object_size = OBJECT_BYTES,
					      .flags = SLABD_RECLAIM,
					      .magazine = ROUNDS};

	if (slabd_attach(&me, "crash") < 0 || slabd_cache_create(me, MADE, &args, &my_cache) < 0 ||
	    !slabd_alloc(my_cache, 0))
		die("victim: %s", slabd_error());
	work();
	cache = pool->caches[MADE_ID];
}

void made_unlinked_held(void)
{
	slab_ref ref;

	made_reclaim();
	ref = object_of(&world.live, MADE_ID - 1, client_id(), 0);
	slabd_free(my_cache, ref_address(my_cache->view.heap, ref));
	registry_destroy(pool, client_id(), 2, NULL, cache->view.id, cache->serial, take_result,
			 &result);
	run();
	if (!cache->unlinked)
		die("victim: %s", result.why);
}
