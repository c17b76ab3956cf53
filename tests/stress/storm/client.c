/* One client process of the storm: draws an operation, does it, checks it, until it is killed or told
 * to stop. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/stress/storm/client.h"

const struct kind kinds[CACHES] = {
	{"plain-16", 16, 0},
	{"plain-192", 192, SLABD_HWALIGN},
	{"plain-3000", 3000, 0},
	{"reclaim-64", 64, SLABD_RECLAIM},
	{"reclaim-1000", 1000, SLABD_RECLAIM},
	{"reclaim-40000", 40000, SLABD_RECLAIM},
	{"strict-64", 64, SLABD_STRICT},
	{"strict-reclaim-256", 256, SLABD_STRICT | SLABD_RECLAIM},
};

unsigned client_draw(struct client *c, unsigned below)
{
	return (unsigned)(next_random(&c->seed) % below);
}

void client_count(struct client *c, enum count kind)
{
	_Atomic uint64_t *at = &c->own->counts[kind];

	/* of this place alone, but its next holder goes on with it */
	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

unsigned client_most(unsigned cache)
{
	unsigned n = HELD_BYTES / kinds[cache].size;

	return n < HELD ? n : HELD;
}

/* ---------------------------------------------------------------- attach */

struct slabd_cache *client_cache(struct client *c, unsigned i)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args),
					.object_size = kinds[i].size,
					.flags = kinds[i].flags};

	if (c->caches[i])
		return c->caches[i];
	if (slabd_cache_create(c->slabd, kinds[i].name, &args, &c->caches[i]) == 0)
		return c->caches[i];
	storm_failed("create %s: %s", kinds[i].name, slabd_error());
	_exit(1);
}

static void attach(struct client *c)
{
	if (slabd_attach(&c->slabd, slabd_under_test.socket) < 0) {
		storm_failed("attach: %s", slabd_error());
		_exit(1);
	}
	memset(c->n, 0, sizeof(c->n));
	memset(c->caches, 0, sizeof(c->caches));
	c->me = ledger_enter(c->place);
	client_count(c, COUNT_ATTACHES);
}

void client_attach_anew(struct client *c, unsigned cache)
{
	(void)cache;
	ledger_leave(c->place);
	slabd_detach(c->slabd);
	attach(c);
}

/* ---------------------------------------------------------------- the storm */

static const struct operation {
	void (*run)(struct client *c, unsigned cache);
	unsigned weight;
} operations[] = {
	{client_alloc, 3000},	     {client_free, 2000},     {client_pass, 1200},
	{client_adopt, 1200},	     {client_root, 300},      {client_free_by_handle, 500},
	{client_alloc_bulk, 400},    {client_free_bulk, 500}, {client_look, 300},
	{client_burst, 600},	     {client_flush, 80},      {client_shrink, 20},
	{client_open_and_close, 20}, {client_reopen, 10},     {client_own_cache, 40},
	{client_thread, 20},	     {client_fork, 8},	      {client_attach_anew, 3},
};

#define OPERATIONS (sizeof(operations) / sizeof(*operations))

static void one_operation(struct client *c)
{
	static unsigned total;
	const struct operation *operation = operations;
	unsigned at;

	if (!total)
		for (size_t i = 0; i < OPERATIONS; i++)
			total += operations[i].weight;
	for (at = client_draw(c, total); at >= operation->weight; operation++)
		at -= operation->weight;
	operation->run(c, client_draw(c, CACHES));
}

static void on_refused(const char *message, void *arg)
{
	(void)arg;
	storm_violated("refused: %s", message);
}

/* The storm is over: an end by exit, by detach, or by both with all freed before. */
static void finish(struct client *c)
{
	unsigned way = client_draw(c, 3);

	for (unsigned i = 0; way && i < CACHES; i++)
		while (c->n[i])
			client_free(c, i);
	ledger_leave(c->place);
	if (way == 2)
		slabd_detach(c->slabd);
}

void client_run(unsigned place, uint64_t seed)
{
	static struct client c;

	c.place = place;
	c.seed = seed;
	c.own = &storm->places[place];
	slabd_set_error_handler(on_refused, NULL);
	attach(&c);
	c.own->works = true;
	while (!storm->stop && !storm->broken) {
		c.own->call_began = now_ns() / 1000000;
		one_operation(&c);
		c.own->call_began = 0;
	}
	if (!storm->broken)
		finish(&c);
}

/* ---------------------------------------------------------------- after the storm */

static void drain_cache(struct client *c, unsigned cache)
{
	slabd_handle handle = slabd_root(client_cache(c, cache));

	if (handle && slabd_set_root(client_cache(c, cache), handle, 0))
		client_adopt_handle(c, cache, handle);
	for (unsigned i = 0; i < RING; i++) {
		handle = atomic_exchange(&storm->ring[cache][i], 0);
		if (handle)
			client_adopt_handle(c, cache, handle);
	}
	while (c->n[cache])
		client_free(c, cache);
}

void client_drain(void)
{
	static struct client c = {.place = PROCESSES_MAX - 1}; /* which is nobody's */

	c.own = &storm->places[c.place];
	slabd_set_error_handler(on_refused, NULL);
	attach(&c);
	for (unsigned cache = 0; cache < CACHES; cache++)
		drain_cache(&c, cache);
	ledger_leave(c.place);
	slabd_detach(c.slabd);
}
