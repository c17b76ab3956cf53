/* One client process of the storm: draws an operation, does it, checks it, until it is killed or told
 * to stop. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/storm/storm.h"

#define HELD	    400u		/* objects of a cache that one client keeps at most */
#define HELD_BYTES  (UINT32_C(1) << 20) /* and bytes */
#define BULK_MOST   150u
#define PROBES	    12u /* places of the ring that a receiver looks at */
#define THREAD_MOST 24u
#define OWN_SIZE    48u

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

struct held {
	void *object;
	slabd_handle handle;
};

struct client {
	unsigned place;
	uint64_t me, seed;
	struct place *own;
	struct slabd *slabd;
	struct slabd_cache *caches[CACHES];
	struct held held[CACHES][HELD];
	unsigned n[CACHES];
};

static unsigned draw(struct client *c, unsigned below)
{
	return (unsigned)(next_random(&c->seed) % below);
}

static void count(struct client *c, enum count kind)
{
	_Atomic uint64_t *at = &c->own->counts[kind];

	/* of this place alone, but its next holder goes on with it */
	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static unsigned most(unsigned cache)
{
	unsigned n = HELD_BYTES / kinds[cache].size;

	return n < HELD ? n : HELD;
}

/* ---------------------------------------------------------------- attach */

static bool make_cache(struct client *c, unsigned i)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args),
					.object_size = kinds[i].size,
					.flags = kinds[i].flags};
	int r = slabd_cache_create(c->slabd, kinds[i].name, &args, &c->caches[i]);

	if (r < 0)
		storm_failed("create %s: %s", kinds[i].name, slabd_error());
	return r == 0;
}

static bool attach(struct client *c)
{
	if (slabd_attach(&c->slabd, slabd_under_test.socket) < 0) {
		storm_failed("attach: %s", slabd_error());
		return false;
	}
	memset(c->n, 0, sizeof(c->n));
	for (unsigned i = 0; i < CACHES; i++)
		if (!make_cache(c, i))
			return false;
	count(c, COUNT_ATTACHES);
	return true;
}

/* What it still holds is left behind. */
static bool attach_anew(struct client *c)
{
	ledger_leave(c->place);
	slabd_detach(c->slabd);
	if (!attach(c))
		return false;
	c->me = ledger_enter(c->place);
	return true;
}

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

static void take_new(struct client *c, unsigned cache, void *object)
{
	slabd_handle handle = slabd_handle_of(c->caches[cache], object);

	if (!handle) {
		storm_violated("%s: %p was just allocated and is no object: %s", kinds[cache].name,
			       object, slabd_error());
		return;
	}
	ledger_take(c->me, handle);
	keep(c, cache, object, handle);
	count(c, COUNT_ALLOCS);
}

static void no_object(struct client *c, unsigned cache, const char *what)
{
	if (errno == ENOMEM)
		count(c, COUNT_NO_MEMORY);
	else
		storm_failed("%s, %s: %s", what, kinds[cache].name, slabd_error());
}

static void alloc_one(struct client *c, unsigned cache)
{
	static const unsigned flags[] = {0, 0, 0, SLABD_ZERO, SLABD_NOWAIT};
	unsigned flag = flags[draw(c, 5)];
	void *object;

	if (c->n[cache] == most(cache))
		return;
	object = slabd_alloc(c->caches[cache], flag);
	if (!object) {
		no_object(c, cache, "alloc");
		return;
	}
	if (flag == SLABD_ZERO && !is_zero(object, kinds[cache].size))
		storm_violated("%s: SLABD_ZERO gave %p, which is not zero", kinds[cache].name,
			       object);
	take_new(c, cache, object);
}

static void alloc_bulk(struct client *c, unsigned cache)
{
	unsigned n = draw(c, BULK_MOST) + 1, room = most(cache) - c->n[cache];
	void *objects[BULK_MOST];

	if (n > room)
		n = room;
	if (!n)
		return;
	if (slabd_alloc_bulk(c->caches[cache], 0, n, objects) != n) {
		no_object(c, cache, "bulk alloc");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		take_new(c, cache, objects[i]);
}

/* Out of the list, its content and its ledger entry checked and cleared. */
static void *release_any(struct client *c, unsigned cache)
{
	unsigned i = draw(c, c->n[cache]);
	struct held held = c->held[cache][i];

	c->held[cache][i] = c->held[cache][--c->n[cache]];
	content_check(held.object, kinds[cache].size, held.handle, c->me, "before a free");
	ledger_give(c->me, held.handle);
	count(c, COUNT_FREES);
	return held.object;
}

static void free_one(struct client *c, unsigned cache)
{
	if (c->n[cache])
		slabd_free(c->caches[cache], release_any(c, cache));
}

static void free_bulk(struct client *c, unsigned cache)
{
	unsigned n = draw(c, BULK_MOST) + 1;
	void *objects[BULK_MOST];

	if (n > c->n[cache])
		n = c->n[cache];
	for (unsigned i = 0; i < n; i++)
		objects[i] = release_any(c, cache);
	slabd_free_bulk(c->caches[cache], n, objects);
}

static void look_at_own(struct client *c, unsigned cache)
{
	const struct held *held;

	if (!c->n[cache])
		return;
	held = &c->held[cache][draw(c, c->n[cache])];
	if (slabd_get(c->caches[cache], held->handle) != held->object ||
	    slabd_handle_of(c->caches[cache], held->object) != held->handle)
		storm_violated("%s: %016llx, which is mine, is not there: %s", kinds[cache].name,
			       (unsigned long long)held->handle, slabd_error());
	content_check(held->object, kinds[cache].size, held->handle, c->me, "while held");
}

/* ---------------------------------------------------------------- from hand to hand */

static void pass(struct client *c, unsigned cache)
{
	_Atomic uint64_t *at = &storm->ring[cache][draw(c, RING)];
	struct held held;
	uint64_t none = 0;
	unsigned i;

	if (!c->n[cache])
		return;
	i = draw(c, c->n[cache]);
	held = c->held[cache][i];
	ledger_send(c->me, held.handle);
	if (!atomic_compare_exchange_strong(at, &none, held.handle)) {
		ledger_unsend(c->me, held.handle);
		return;
	}
	c->held[cache][i] = c->held[cache][--c->n[cache]];
	count(c, COUNT_PASSED);
}

static slabd_handle receive(struct client *c, unsigned cache)
{
	unsigned i = draw(c, RING);
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
	count(c, COUNT_LATE);
}

static void adopt_one(struct client *c, unsigned cache, slabd_handle handle)
{
	struct intent intent = ledger_intend(c->me, handle);
	void *object = slabd_adopt(c->caches[cache], handle);

	if (!object) {
		came_too_late(c, cache, &intent, errno);
		return;
	}
	ledger_adopted(&intent);
	content_check(object, kinds[cache].size, handle, intent.sender, "after an adopt");
	keep(c, cache, object, handle);
	count(c, COUNT_ADOPTED);
}

static void adopt(struct client *c, unsigned cache)
{
	slabd_handle handle;

	if (c->n[cache] == most(cache))
		free_one(c, cache);
	handle = receive(c, cache);
	if (handle)
		adopt_one(c, cache, handle);
}

static void free_by_handle(struct client *c, unsigned cache)
{
	slabd_handle handle = receive(c, cache);
	struct intent intent;
	int r;

	if (!handle)
		return;
	intent = ledger_intend(c->me, handle);
	r = slabd_free_handle(c->caches[cache], handle);
	if (r < 0) {
		came_too_late(c, cache, &intent, -r);
		return;
	}
	ledger_freed(&intent);
	count(c, COUNT_FREED_BY_HANDLE);
}

/* ---------------------------------------------------------------- what asks slabd */

static void flush(struct client *c, unsigned cache)
{
	(void)cache;
	slabd_flush(c->slabd);
}

static void shrink(struct client *c, unsigned cache)
{
	if (slabd_cache_shrink(c->caches[cache]) < 0)
		storm_failed("shrink %s: %s", kinds[cache].name, slabd_error());
	count(c, COUNT_SHRINKS);
}

static void open_and_close(struct client *c, unsigned cache)
{
	struct slabd_cache *again;

	if (slabd_cache_open(c->slabd, kinds[cache].name, &again) < 0) {
		storm_failed("open %s: %s", kinds[cache].name, slabd_error());
		return;
	}
	if (again != c->caches[cache])
		storm_violated("open %s: another cache has the name", kinds[cache].name);
	slabd_cache_close(again);
}

/* All the way: the last close here, and an open; the objects stay ours. */
static void reopen(struct client *c, unsigned cache)
{
	slabd_cache_close(c->caches[cache]);
	if (slabd_cache_open(c->slabd, kinds[cache].name, &c->caches[cache]) < 0) {
		storm_failed("open %s: %s", kinds[cache].name, slabd_error());
		_exit(1);
	}
}

/* A cache of this place's own is made, used, and destroyed; a predecessor's objects may be in it. */
static void own_cache(struct client *c, unsigned unused)
{
	struct slabd_cache_args args = {
		.size_of_args = sizeof(args), .object_size = OWN_SIZE, .flags = SLABD_RECLAIM};
	struct slabd_cache *cache;
	char name[32];
	int r;

	(void)unused;
	snprintf(name, sizeof(name), "own-%u", c->place);
	if (slabd_cache_create(c->slabd, name, &args, &cache) < 0) {
		storm_failed("create %s: %s", name, slabd_error());
		return;
	}
	for (unsigned i = draw(c, 40); i; i--) {
		void *object = slabd_alloc(cache, 0);

		if (!object && errno != ENOMEM)
			storm_failed("alloc, %s: %s", name, slabd_error());
		if (draw(c, 2))
			slabd_free(cache, object);
	}
	r = slabd_cache_destroy(cache);
	if (r == -EBUSY) {
		count(c, COUNT_BUSY);
		slabd_cache_close(cache);
	} else if (r < 0) {
		storm_failed("destroy %s: %s", name, slabd_error());
	} else {
		count(c, COUNT_CACHES);
	}
}

/* ---------------------------------------------------------------- threads and children */

struct thread_job {
	struct slabd_cache *cache;
	void *objects[THREAD_MOST];
	unsigned n;
	bool failed;
	char error[200];
};

/* Every third object it frees itself, and its magazines at its end. */
static void *thread_run(void *arg)
{
	struct thread_job *job = arg;
	unsigned n = 0;

	for (unsigned i = 0; i < job->n; i++) {
		void *object = slabd_alloc(job->cache, 0);

		if (!object) {
			job->failed = errno != ENOMEM;
			snprintf(job->error, sizeof(job->error), "%s", slabd_error());
			break;
		}
		if (i % 3 == 2)
			slabd_free(job->cache, object);
		else
			job->objects[n++] = object;
	}
	job->n = n;
	return NULL;
}

static void thread(struct client *c, unsigned cache)
{
	struct thread_job job = {.cache = c->caches[cache], .n = draw(c, THREAD_MOST)};
	unsigned room = most(cache) - c->n[cache];
	pthread_t thread;

	if (job.n > room)
		job.n = room;
	if (pthread_create(&thread, NULL, thread_run, &job) != 0)
		return;
	pthread_join(thread, NULL);
	if (job.failed)
		storm_failed("alloc in a thread, %s: %s", kinds[cache].name, job.error);
	for (unsigned i = 0; i < job.n; i++)
		take_new(c, cache, job.objects[i]);
	count(c, COUNT_THREADS);
}

/* A client of its own, without a word to anyone; what it does not free is left to the sweep.  It does
 * not write into the ledger. */
static void __attribute__((noreturn)) child_run(struct client *c, unsigned cache)
{
	void *objects[THREAD_MOST];
	slabd_handle handles[THREAD_MOST];
	unsigned n = draw(c, THREAD_MOST);
	uint64_t me = UINT64_C(1) << 39 | c->place;

	for (unsigned i = 0; i < n; i++) {
		objects[i] = slabd_alloc(c->caches[cache], 0);
		if (!objects[i] && errno != ENOMEM)
			storm_failed("alloc in a forked child, %s: %s", kinds[cache].name,
				     slabd_error());
		if (!objects[i])
			_exit(0);
		handles[i] = slabd_handle_of(c->caches[cache], objects[i]);
		content_sign(objects[i], kinds[cache].size, handles[i], me);
	}
	for (unsigned i = 0; i < n; i++) {
		content_check(objects[i], kinds[cache].size, handles[i], me, "in a forked child");
		if (i % 3)
			slabd_free(c->caches[cache], objects[i]);
	}
	_exit(0);
}

static void fork_child(struct client *c, unsigned cache)
{
	pid_t self = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(0);
		child_run(c, cache);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	count(c, COUNT_FORKS);
}

/* ---------------------------------------------------------------- the storm */

static const struct operation {
	void (*run)(struct client *c, unsigned cache);
	unsigned weight;
} operations[] = {
	{alloc_one, 3000},     {free_one, 2000},  {pass, 1200},		{adopt, 1200},
	{free_by_handle, 500}, {alloc_bulk, 400}, {free_bulk, 500},	{look_at_own, 300},
	{flush, 80},	       {shrink, 20},	  {open_and_close, 20}, {reopen, 10},
	{own_cache, 40},       {thread, 20},	  {fork_child, 8},
};

#define OPERATIONS   (sizeof(operations) / sizeof(*operations))
#define ATTACH_EVERY 5000u

static void one_operation(struct client *c)
{
	static unsigned total;
	const struct operation *operation = operations;
	unsigned at;

	if (!total)
		for (size_t i = 0; i < OPERATIONS; i++)
			total += operations[i].weight;
	for (at = draw(c, total); at >= operation->weight; operation++)
		at -= operation->weight;
	operation->run(c, draw(c, CACHES));
}

static void on_refused(const char *message, void *arg)
{
	(void)arg;
	storm_violated("refused: %s", message);
}

/* The storm is over: an end by exit, by detach, or by both with all freed before. */
static void finish(struct client *c)
{
	unsigned way = draw(c, 3);

	for (unsigned i = 0; way && i < CACHES; i++)
		while (c->n[i])
			free_one(c, i);
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
	if (!attach(&c))
		_exit(1);
	c.me = ledger_enter(place);
	while (!storm->stop && !storm->broken) {
		c.own->call_began = now_ns() / 1000000;
		if (draw(&c, ATTACH_EVERY) == 0 && !attach_anew(&c))
			_exit(1);
		one_operation(&c);
		c.own->call_began = 0;
	}
	if (!storm->broken)
		finish(&c);
}

/* ---------------------------------------------------------------- after the storm */

void client_drain(void)
{
	static struct client c = {.place = PROCESSES_MAX - 1}; /* which is nobody's */

	c.own = &storm->places[c.place];
	slabd_set_error_handler(on_refused, NULL);
	if (!attach(&c))
		_exit(1);
	c.me = ledger_enter(c.place);
	for (unsigned cache = 0; cache < CACHES; cache++)
		for (unsigned i = 0; i < RING; i++) {
			slabd_handle handle = atomic_exchange(&storm->ring[cache][i], 0);

			if (handle)
				adopt_one(&c, cache, handle);
			while (c.n[cache])
				free_one(&c, cache);
		}
	ledger_leave(c.place);
	slabd_detach(c.slabd);
}
