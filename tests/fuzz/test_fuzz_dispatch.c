/* What clients say, wild: tens of thousands of requests go through daemon/session.c into dispatch*.c, in
 * every phase of a session, well-formed and as damaged bytes, and while the memory that their clients
 * share with slabd is written to or full of holes.  slabd neither crashes nor hangs over it, and:
 *
 *	- each request has the one answer that it is due, a refusal one with a sentence, and what may
 *	  not come now ends its connection and no other;
 *	- only the token of a client, from its own process and image, resumes it;
 *	- a neighbour's objects stay as they are, and it goes on;
 *	- when those who asked are gone, all that they had is back, and the audit finds nothing: objects,
 *	  descriptors, memory.
 *
 * The neighbour shares the segment with those who only talk.  Those who write to it or punch holes harm
 * all of their segment, so then he lives in another.
 *
 * $SLABD_FUZZ_ROUNDS: how many batches; $SLABD_TEST_SEED: which ones; $SLABD_FUZZ_VERBOSE: says each
 * request before it is sent. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/caller.h"
#include "tests/support/neighbour.h"
#include "tests/support/wild_request.h"
#include "tests/support/wire.h"

#define BATCHES	    30u
#define PACKETS	    500u /* of a batch */
#define SECONDS_MAX 25u	 /* of a batch: it hangs */
#define HEAP_BYTES  (8 * MIB)
#define UID_CLIENTS 6u

#define MUST(condition) CALLERS_MUST(&callers, condition)

static struct pool_fixture f, elsewhere;
static struct callers callers;
static uint64_t noticed;		      /* of the harm, by slabd */
static struct neighbour neighbour, bystander; /* the other one is in the segment that is harmed */

static uint32_t draw(uint32_t below)
{
	return pool_fixture_random(&f, below);
}

/* ---------------------------------------------------------------- a batch */

enum harm { NONE, BYTES, WRITES, HOLES };

/* What a hello may bring: a pidfd of its own or none at all, and more than one. */
static unsigned offer(int *fds)
{
	if (draw(6))
		return 0;
	fds[0] = draw(2) ? (int)syscall(SYS_pidfd_open, getpid(), 0)
			 : open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[1] = STDERR_FILENO;
	return draw(4) ? 1 : 2;
}

static void say_something(struct caller *caller, enum harm harm)
{
	static struct wild_request wild;
	static uint8_t bytes[WILD_BYTES_MAX];
	bool hello = caller->phase == SESSION_SILENT ? draw(16) > 0 : draw(64) == 0;
	unsigned nfds;
	int fds[2];
	size_t n;

	wild_request_make(&wild, &f, hello ? SLABD__REQUEST__VERB_HELLO : 0);
	if (wild.request.verb_case != SLABD__REQUEST__VERB_DOORBELL)
		wild.request.sequence = ++caller->sequence;
	if (!draw(64))
		wild.request.sequence = pool_fixture_evil(&f, wild.request.sequence);
	n = wild_request_pack(&wild, bytes);
	if (harm == BYTES && draw(2))
		n = wild_damage(&f, bytes, n);
	if (getenv("SLABD_FUZZ_VERBOSE"))
		fprintf(stderr, "batch %u, packet %u: peer %d, verb %d, %zu bytes\n", callers.batch,
			callers.packets, (int)(caller - callers.list), (int)wild.request.verb_case,
			n);
	nfds = hello ? offer(fds) : 0;
	caller_say(&callers, caller, bytes, n, fds, nfds);
	if (nfds)
		close(fds[0]);
}

static void tick(void *pool)
{
	pool_tick(pool);
}

static void step(enum harm harm)
{
	struct caller *caller = &callers.list[draw(CALLERS)];

	if (!caller_is_there(caller)) {
		caller_connect(&callers, caller);
		if (!draw(4))
			caller_disguise(caller, draw(2));
	}
	say_something(caller, harm);
	if (!draw(64))
		pool_guarded(f.pool, tick, f.pool);
	if (!draw(64))
		caller_hang_up(&callers, caller);
	else if (caller->phase == SESSION_SILENT || caller->n == CALLER_INFLIGHT || !draw(3))
		callers_settle(&callers);
}

/* ---------------------------------------------------------------- harm to shared memory */

/* The tags at the end of one of its slabs; NULL: it has none. */
static char *some_tags(const struct cache *cache, uint32_t *size)
{
	uint32_t units = (uint32_t)(f.pool->segment.heap_bytes >> UNIT_SHIFT), first = draw(units);
	const struct geometry *g = &cache->view.geometry;

	*size = (uint32_t)(geometry_slab_bytes(g) - g->tag_offset);
	*size = *size < 256 ? *size : 256;
	for (uint32_t i = 0; i < units; i++) {
		uint32_t unit = (first + i) % units;

		if (load_relaxed(&f.pool->segment.slab_table[unit]) == cache->view.word)
			return f.pool->segment.heap + ((uint64_t)unit << UNIT_SHIFT) +
			       g->tag_offset;
	}
	return NULL;
}

/* Some of what is in use of this cache, in depot or heap. */
static char *somewhere(const struct cache *cache, uint32_t *size)
{
	const struct superblock *super = f.pool->segment.super;
	uint32_t page = load_relaxed(&cache->view.rack_table[0]), kind = draw(4);
	char *tags = kind == 0 ? some_tags(cache, size) : NULL;

	if (tags)
		return tags;
	if (kind == 1 || !page) {
		*size = 1024;
		return (char *)cache->view.control;
	}
	*size = 32; /* owner, count, and the first rounds */
	return f.pool->segment.depot + super->racks + (page - 1ull) * PAGE_BYTES +
	       (uint64_t)cache->view.geometry.magazine_bytes * draw(8);
}

static void write_wildly(void)
{
	uint32_t any = 1 + draw(f.pool->segment.max_caches), size;
	const struct cache *cache = f.pool->caches[draw(2) ? any : bystander.fake.cache];
	uint64_t now;
	char *at;

	if (!cache)
		return;
	at = somewhere(cache, &size);
	at += draw(size / 4 - 1) * 4;
	memcpy(&now, at, sizeof(now));
	now = pool_fixture_evil(&f, now);
	memcpy(at, &now, draw(2) ? 4 : 8);
}

static void punch(void)
{
	const struct segment *segment = &f.pool->segment;
	uint64_t controls = segment->super->racks / PAGE_BYTES;
	uint64_t page = draw((uint32_t)controls + 64);

	if (draw(2))
		pool_fixture_hole(segment->depot + page * PAGE_BYTES, PAGE_BYTES);
	else
		pool_fixture_hole(segment->heap + EXTENT_BYTES + page * PAGE_BYTES, PAGE_BYTES);
}

static void do_harm(enum harm harm)
{
	if (harm == WRITES)
		for (unsigned i = draw(8); i; i--)
			write_wildly();
	else if (!draw(64))
		punch();
}

/* ---------------------------------------------------------------- afterwards */

static unsigned count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_SLACK 8192u
size_t __sanitizer_get_current_allocated_bytes(void); /* not every gcc comes with its header */
#else
#define MEMORY_SLACK 262144u /* mallinfo counts what malloc keeps at hand for each size */
#endif

/* Bytes that malloc has given out. */
static size_t count_memory(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

/* What the operator, who is the first, is answered. */
static int operate(Slabd__Request__VerbCase verb, void *body)
{
	struct caller *operator= callers.list;
	Slabd__Request request = SLABD__REQUEST__INIT;
	uint8_t bytes[256];

	request.verb_case = verb;
	request.hello = body; /* the union of all verbs' pointers */
	request.sequence = ++operator->sequence;
	callers.heard.status = 1;
	caller_say(&callers, operator, bytes, slabd__request__pack(&request, bytes), NULL, 0);
	callers_settle(&callers);
	return callers.heard.status;
}

static void destroy_all(void)
{
	Slabd__CacheDestroy destroy = SLABD__CACHE_DESTROY__INIT;

	for (uint32_t id = 1; id <= f.pool->segment.max_caches; id++) {
		struct cache *cache = f.pool->caches[id];

		if (!cache || cache->unlinked || cache->serial == neighbour.serial)
			continue;
		destroy.name = cache->view.desc->name;
		MUST(operate(SLABD__REQUEST__VERB_CACHE_DESTROY, &destroy) == 0);
	}
}

/* An operator puts everything in order, and all of it works. */
static void put_in_order(void)
{
	Slabd__Hello hello;
	Slabd__Orphans orphans = SLABD__ORPHANS__INIT;
	Slabd__CacheShrink shrink = SLABD__CACHE_SHRINK__INIT;
	Slabd__Audit audit = SLABD__AUDIT__INIT;

	wire_hello(&hello);
	orphans.free = shrink.all = true;
	caller_connect(&callers, callers.list);
	MUST(operate(SLABD__REQUEST__VERB_HELLO, &hello) == 0);
	do
		MUST(operate(SLABD__REQUEST__VERB_ORPHANS, &orphans) == 0);
	while (callers.heard.next);
	destroy_all();
	MUST(operate(SLABD__REQUEST__VERB_CACHE_SHRINK, &shrink) == 0);
	MUST(operate(SLABD__REQUEST__VERB_AUDIT, &audit) == 0 && callers.heard.balanced);
	caller_hang_up(&callers, callers.list);
}

static void leave_all(void)
{
	callers_settle(&callers);
	for (unsigned i = 0; i < CALLERS; i++)
		if (caller_is_there(&callers.list[i]))
			caller_hang_up(&callers, &callers.list[i]);
	front_kill(callers.front, neighbour.f == &f ? neighbour.client : 0);
}

/* The first batches warm up: what is made once is there after them. */
static void expect_no_leak(unsigned fds, bool of_memory)
{
	static size_t memory;

	MUST(count_fds() == fds);
	if (callers.batch < 2)
		memory = count_memory();
	MUST(!of_memory || count_memory() < memory + MEMORY_SLACK);
}

static void expect_quiet(void)
{
	const char *complaint = neighbour_complaint(&neighbour);

	cr_assert_null(complaint, "batch %u: the neighbour: %s", callers.batch, complaint);
	pool_fixture_audit(neighbour.f);
}

/* ---------------------------------------------------------------- the tests */

static void set_up(void)
{
	pool_fixture_open(&f, HEAP_BYTES);
	callers_open(&callers, &f, UID_CLIENTS);
	prctl(PR_SET_NAME, "\x1b[2J\n%n\xff\xc0");
}

static void tear_down(void)
{
	fprintf(stderr,
		"%u batches, %u packets: %u done, %u refused with a sentence, %u ended their "
		"connection, %u need no answer\n",
		callers.batch, callers.packets, callers.fine, callers.refused, callers.ended,
		callers.silent);
	if (noticed)
		fprintf(stderr, "%llu damaged words were noticed\n", (unsigned long long)noticed);
	cr_assert_gt(callers.fine, callers.packets / 20);
	cr_assert_gt(callers.refused, callers.packets / 20);
	callers_close(&callers);
	pool_fixture_close(&f);
	alarm(0);
}

TestSuite(fuzz_dispatch, .init = set_up, .fini = tear_down, .timeout = 100);

static unsigned batches(void)
{
	const char *given = getenv("SLABD_FUZZ_ROUNDS");

	return given ? (unsigned)strtoul(given, NULL, 0) : BATCHES;
}

static void begin_batch(uint64_t seed)
{
	alarm(SECONDS_MAX);
	f.seed = (seed + callers.batch) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* They only talk: nobody else notices. */
static void talk(enum harm harm)
{
	unsigned fds = count_fds();
	uint64_t seed = f.seed;

	callers.alloc = true;
	neighbour_move_in(&neighbour, &f);
	for (; callers.batch < batches(); callers.batch++) {
		begin_batch(seed);
		for (unsigned i = 0; i < PACKETS; i++)
			step(harm);
		leave_all();
		put_in_order();
		expect_quiet();
		expect_no_leak(fds, true);
	}
}

/* They harm the memory of their segment: another one does not notice. */
static void harm_all(enum harm harm)
{
	uint64_t seed = f.seed;
	unsigned fds;

	pool_fixture_open(&elsewhere, HEAP_BYTES);
	neighbour_move_in(&neighbour, &elsewhere);
	fds = count_fds();
	for (; callers.batch < batches(); callers.batch++) {
		begin_batch(seed);
		neighbour_move_in(&bystander, &f);
		for (unsigned i = 0; i < PACKETS; i++) {
			callers.alloc = i < PACKETS / 4; /* whoever does, trusts the memory */
			if (!callers.alloc)
				do_harm(harm);
			step(harm);
		}
		leave_all();
		noticed += f.pool->damage;
		expect_quiet();
		callers_close(&callers);
		pool_fixture_renew(&f);
		callers_open(&callers, &f, UID_CLIENTS);
		expect_no_leak(fds, harm != HOLES); /* what a call held that met one is lost */
	}
	pool_fixture_close(&elsewhere);
}

Test(fuzz_dispatch, requests)
{
	talk(NONE);
}

Test(fuzz_dispatch, damaged_bytes)
{
	talk(BYTES);
}

Test(fuzz_dispatch, damaged_memory)
{
	harm_all(WRITES);
}

Test(fuzz_dispatch, holes)
{
	harm_all(HOLES);
}
