#include "tests/support/traffic.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/support/child.h"
#include "tests/support/clock.h"

#define OBJECTS	    512
#define MORE	    700 /* at once: more than two magazines hold, so that slabd is asked */
#define PATIENCE_MS 30000

struct traffic_page {
	_Atomic uint64_t rounds;
	_Atomic int stop;
	char failure[600];
};

struct client {
	struct traffic_page *page;
	const char *address;
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *objects[OBJECTS];
	uint64_t seeds[OBJECTS], seed;
};

/* ---------------------------------------------------------------- the client */

static void __attribute__((noreturn)) fail(struct client *c, const char *what)
{
	snprintf(c->page->failure, sizeof(c->page->failure), "%s, round %llu: %s", what,
		 (unsigned long long)c->page->rounds, slabd_error());
	_exit(1);
}

static void on_refused(const char *message, void *arg)
{
	struct client *c = arg;

	fail(c, message);
}

static void replace(struct client *c, unsigned i)
{
	void *object = slabd_alloc(c->cache, 0);

	if (!object)
		fail(c, "alloc");
	if (c->objects[i]) {
		slabd_handle handle = slabd_handle_of(c->cache, c->objects[i]);

		if (!object_holds(c->objects[i], TRAFFIC_BYTES, c->seeds[i]))
			fail(c, "an object's content changed");
		if (slabd_get(c->cache, handle) != c->objects[i])
			fail(c, "get");
		if (slabd_adopt(c->cache, handle) != c->objects[i])
			fail(c, "adopt");
		slabd_free(c->cache, c->objects[i]);
	}
	c->objects[i] = object;
	c->seeds[i] = ++c->seed;
	object_fill(object, TRAFFIC_BYTES, c->seed);
}

static void one_round(struct client *c)
{
	static void *more[MORE];
	struct slabd_cache *again;

	for (unsigned i = 0; i < OBJECTS; i++)
		replace(c, (i * 37) % OBJECTS);
	if (slabd_alloc_bulk(c->cache, SLABD_ZERO, MORE, more) != MORE)
		fail(c, "bulk alloc");
	slabd_free_bulk(c->cache, MORE, more);
	if (slabd_cache_open(c->slabd, TRAFFIC_CACHE, &again) < 0)
		fail(c, "open");
	if (again != c->cache)
		fail(c, "another cache has the name");
	slabd_cache_close(again);
	if (slabd_cache_shrink(c->cache) < 0)
		fail(c, "shrink");
}

static void be_client(void *arg)
{
	struct client *c = arg;

	slabd_set_error_handler(on_refused, c);
	c->slabd = attach_to(c->address);
	c->cache = cache_of(c->slabd, TRAFFIC_CACHE, TRAFFIC_BYTES, 0);
	while (!c->page->stop) {
		one_round(c);
		c->page->rounds++;
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		slabd_free(c->cache, c->objects[i]);
	slabd_cache_close(c->cache);
	slabd_detach(c->slabd);
}

/* ---------------------------------------------------------------- whoever watches it */

static void __attribute__((noreturn)) failed(const struct traffic *t, const char *why)
{
	fprintf(stderr, "traffic: %s: %s\n", why, t->page->failure);
	abort();
}

void traffic_expect(const struct traffic *t)
{
	uint64_t from = t->page->rounds, until = now_ms() + PATIENCE_MS;

	/* the round that runs now may have asked before */
	while (t->page->rounds < from + 2) {
		if (waitpid(t->pid, NULL, WNOHANG) == t->pid)
			failed(t, "the client ended");
		if (now_ms() > until)
			failed(t, "the client stands still");
		sched_yield();
	}
}

void traffic_start(struct traffic *t, const char *address)
{
	static struct client c;

	t->page = mmap(NULL, sizeof(*t->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (t->page == MAP_FAILED)
		abort();
	c = (struct client){.page = t->page, .address = address};
	t->pid = child_start(be_client, &c);
	traffic_expect(t);
}

void traffic_stop(struct traffic *t)
{
	int code;

	t->page->stop = 1;
	code = child_join(t->pid);
	if (code != 0)
		failed(t, "the client ended with an error");
	munmap(t->page, sizeof(*t->page));
}
