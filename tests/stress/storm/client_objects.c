/* A client's objects: allocated, signed, checked, passed from hand to hand, freed. */
#include <errno.h>
#include <string.h>

#include "tests/stress/storm/client.h"

#define BULK_MOST   150u
#define PROBES	    12u /* places of the ring that a receiver looks at */
#define BURST	    400u
#define BURST_BATCH 32u

/* ---------------------------------------------------------------- alloc and free */

static bool is_zero(const void *object, size_t size)
{
	const char *at = object;

	return at[0] == 0 && memcmp(at, at + 1, size - 1) == 0;
}

static void keep(struct client *c, unsigned cache, void *object, slabd_handle handle)
{
	content_sign(object, kinds[cache].size, handle, c->me);
	c->held[cache][c->n[cache]++] = (struct held){object, handle};
}

void client_keep_new(struct client *c, unsigned cache, void *object)
{
	slabd_handle handle = slabd_handle_of(client_cache(c, cache), object);

	if (!handle) {
		storm_violated("%s: %p was just allocated and is no object: %s", kinds[cache].name,
			       object, slabd_error());
		return;
	}
	ledger_take(c->me, handle);
	keep(c, cache, object, handle);
	client_count(c, COUNT_ALLOCS);
}

static void no_object(struct client *c, unsigned cache, const char *what)
{
	if (errno == ENOMEM)
		client_count(c, COUNT_NO_MEMORY);
	else
		storm_failed("%s, %s: %s", what, kinds[cache].name, slabd_error());
}

void client_alloc(struct client *c, unsigned cache)
{
	static const unsigned flags[] = {0, 0, 0, SLABD_ZERO, SLABD_NOWAIT};
	unsigned flag = flags[client_draw(c, 5)];
	void *object;

	if (c->n[cache] == client_most(cache))
		return;
	object = slabd_alloc(client_cache(c, cache), flag);
	if (!object) {
		no_object(c, cache, "alloc");
		return;
	}
	if (flag == SLABD_ZERO && !is_zero(object, kinds[cache].size))
		storm_violated("%s: SLABD_ZERO gave %p, which is not zero", kinds[cache].name,
			       object);
	client_keep_new(c, cache, object);
}

void client_alloc_bulk(struct client *c, unsigned cache)
{
	unsigned n = client_draw(c, BULK_MOST) + 1, room = client_most(cache) - c->n[cache];
	void *objects[BULK_MOST];

	if (n > room)
		n = room;
	if (!n)
		return;
	if (slabd_alloc_bulk(client_cache(c, cache), 0, n, objects) != n) {
		no_object(c, cache, "bulk alloc");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		client_keep_new(c, cache, objects[i]);
}

/* Out of the list, its content and its ledger entry checked and cleared. */
static void *release_any(struct client *c, unsigned cache)
{
	unsigned i = client_draw(c, c->n[cache]);
	struct held held = c->held[cache][i];

	c->held[cache][i] = c->held[cache][--c->n[cache]];
	content_check(held.object, kinds[cache].size, held.handle, c->me, "before a free");
	ledger_give(c->me, held.handle);
	client_count(c, COUNT_FREES);
	return held.object;
}

void client_free(struct client *c, unsigned cache)
{
	if (c->n[cache])
		slabd_free(client_cache(c, cache), release_any(c, cache));
}

void client_free_bulk(struct client *c, unsigned cache)
{
	unsigned n = client_draw(c, BULK_MOST) + 1;
	void *objects[BULK_MOST];

	if (n > c->n[cache])
		n = c->n[cache];
	for (unsigned i = 0; i < n; i++)
		objects[i] = release_any(c, cache);
	slabd_free_bulk(client_cache(c, cache), n, objects);
}

void client_look(struct client *c, unsigned cache)
{
	const struct held *held;

	if (!c->n[cache])
		return;
	held = &c->held[cache][client_draw(c, c->n[cache])];
	if (slabd_get(client_cache(c, cache), held->handle) != held->object ||
	    slabd_handle_of(client_cache(c, cache), held->object) != held->handle)
		storm_violated("%s: %016llx, which is mine, is not there: %s", kinds[cache].name,
			       (unsigned long long)held->handle, slabd_error());
	content_check(held->object, kinds[cache].size, held->handle, c->me, "while held");
}

/* Nothing but allocs and frees, so that many kills fall into them. */
static bool burst_turn(struct client *c, struct slabd_cache *cache, unsigned n, unsigned way)
{
	void *objects[BURST_BATCH];

	if (way == 0) {
		n = slabd_alloc_bulk(cache, 0, n, objects) == n ? n : 0;
	} else {
		for (unsigned i = 0; i < n; i++)
			if (!(objects[i] = slabd_alloc(cache, 0)))
				n = i;
	}
	for (unsigned i = 0; i < n; i++)
		*(volatile uint64_t *)objects[i] = c->me << 8 | i;
	for (unsigned i = 0; i < n; i++)
		if (*(volatile uint64_t *)objects[i] != (c->me << 8 | i))
			storm_violated("in a burst: %p is another's too", objects[i]);
	if (way == 0)
		slabd_free_bulk(cache, n, objects);
	for (unsigned i = 0; way && i < n; i++)
		if (way == 1)
			slabd_free(cache, objects[i]);
		else if (slabd_free_handle(cache, slabd_handle_of(cache, objects[i])) < 0)
			storm_violated("in a burst: %s", slabd_error());
	return n;
}

void client_burst(struct client *c, unsigned cache)
{
	unsigned way = client_draw(c, 3), n = client_draw(c, BURST_BATCH) + 1;

	for (unsigned i = 0; i < BURST; i += n)
		if (!burst_turn(c, client_cache(c, cache), n, way)) {
			no_object(c, cache, "a burst");
			return;
		}
}

/* ---------------------------------------------------------------- from hand to hand */

void client_pass(struct client *c, unsigned cache)
{
	_Atomic uint64_t *at = &storm->ring[cache][client_draw(c, RING)];
	struct held held;
	uint64_t none = 0;
	unsigned i;

	if (!c->n[cache])
		return;
	i = client_draw(c, c->n[cache]);
	held = c->held[cache][i];
	ledger_send(c->me, held.handle);
	if (!atomic_compare_exchange_strong(at, &none, held.handle)) {
		ledger_unsend(c->me, held.handle);
		return;
	}
	c->held[cache][i] = c->held[cache][--c->n[cache]];
	client_count(c, COUNT_PASSED);
}

static slabd_handle receive(struct client *c, unsigned cache)
{
	unsigned i = client_draw(c, RING);
	slabd_handle handle = 0;

	for (unsigned probe = 0; probe < PROBES && !handle; probe++, i = (i + 1) % RING)
		if (storm->ring[cache][i])
			handle = atomic_exchange(&storm->ring[cache][i], 0);
	return handle;
}

/* A slab that went to another cache meanwhile makes the handle an invalid one. */
static void came_too_late(struct client *c, unsigned cache, const struct intent *intent, int error)
{
	if (error != ESTALE && error != EINVAL)
		storm_failed("%s, %016llx: %s", kinds[cache].name,
			     (unsigned long long)intent->handle, slabd_error());
	ledger_late(intent);
	client_count(c, COUNT_LATE);
}

void client_adopt_handle(struct client *c, unsigned cache, slabd_handle handle)
{
	struct intent intent = ledger_intend(c->me, handle);
	void *object = slabd_adopt(client_cache(c, cache), handle);

	if (!object) {
		came_too_late(c, cache, &intent, errno);
		return;
	}
	ledger_adopted(&intent);
	content_check(object, kinds[cache].size, handle, intent.sender, "after an adopt");
	keep(c, cache, object, handle);
	client_count(c, COUNT_ADOPTED);
}

void client_adopt(struct client *c, unsigned cache)
{
	slabd_handle handle;

	if (c->n[cache] == client_most(cache))
		client_free(c, cache);
	handle = receive(c, cache);
	if (handle)
		client_adopt_handle(c, cache, handle);
}

/* The cache's root is one more place for an object in flight: ours goes in, whose was there is ours. */
void client_root(struct client *c, unsigned cache)
{
	struct slabd_cache *at = client_cache(c, cache);
	slabd_handle was = slabd_root(at);
	struct held held;
	unsigned i;

	if (!c->n[cache])
		return;
	i = client_draw(c, c->n[cache]);
	held = c->held[cache][i];
	ledger_send(c->me, held.handle);
	if (!slabd_set_root(at, was, held.handle)) {
		ledger_unsend(c->me, held.handle);
		return;
	}
	c->held[cache][i] = c->held[cache][--c->n[cache]];
	client_count(c, COUNT_PASSED);
	if (was)
		client_adopt_handle(c, cache, was);
}

void client_free_by_handle(struct client *c, unsigned cache)
{
	slabd_handle handle = receive(c, cache);
	struct intent intent;
	int r;

	if (!handle)
		return;
	intent = ledger_intend(c->me, handle);
	r = slabd_free_handle(client_cache(c, cache), handle);
	if (r < 0) {
		came_too_late(c, cache, &intent, -r);
		return;
	}
	ledger_freed(&intent);
	client_count(c, COUNT_FREED_BY_HANDLE);
}
