/* A client may write every byte of depot and heap, and punch holes in them.  Whatever it does: slabd
 * serves on, by the same worker, and tells what it saw (I-5).  Where a hole can't be filled again, which
 * takes an exhausted hugepage pool: test_hugepages.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/internal.h"
#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

static struct daemon_fixture d;
static pid_t worker;

static void set_up(void)
{
	daemon_start(&d, NULL);
	worker = daemon_worker(&d);
}

/* No audit: what it would find was written by the test.  slabd is there, and it ends in order. */
static void tear_down(void)
{
	MUST(daemon_worker(&d) == worker);
	MUST(daemon_stats(&d).worker_restarts == 0);
	daemon_stop(&d);
}

TestSuite(hostile, .init = set_up, .fini = tear_down, .timeout = 100);

static void ignore(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Has slabd look at everything: it answers, whatever it finds. */
static void ask_for_all(struct slabd *slabd, struct slabd_cache *cache)
{
	struct request refill = {.verb = REQUEST_REFILL,
				 .id = cache->view.id,
				 .serial = cache->serial,
				 .objects = 1000};
	struct request shrink = {
		.verb = REQUEST_SHRINK, .id = cache->view.id, .serial = cache->serial};
	uint64_t deadline = clock_deadline();
	struct answer answer;

	CHECK(attachment_lock(slabd, deadline) == 0);
	(void)attachment_call(slabd, &refill, &answer, deadline);
	(void)attachment_call(slabd, &shrink, &answer, deadline);
	(void)attachment_call(slabd, &refill, &answer, deadline);
	attachment_unlock(slabd);
}

/* A pool in use: magazines full and part full, slabs full and part full. */
static struct slabd_cache *make_traffic(struct slabd *slabd)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 100, SLABD_RECLAIM);
	static void *objects[20000];

	CHECK(slabd_alloc_bulk(cache, 0, 20000, objects) == 20000);
	for (unsigned i = 0; i < 20000; i += 3)
		slabd_free(cache, objects[i]);
	slabd_flush(slabd);
	return cache;
}

/* ---------------------------------------------------------------- wild writes */

struct wild {
	uint64_t seed;
	unsigned writes;
	bool depot, heap;
};

static void write_wildly(void *arg)
{
	const struct wild *wild = arg;
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = make_traffic(slabd);
	const struct segment *s = &slabd->segment;
	uint64_t state = wild->seed, used = daemon_stats(&d).heap_used_bytes + EXTENT_BYTES;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < wild->writes; i++) {
			uint64_t value = next_random(&state), at = next_random(&state);
			uint32_t *word;

			if (value % 3 ==
			    0) /* small numbers are likelier to be taken for something */
				value %= 300;
			if (wild->heap && (!wild->depot || i % 2))
				word = (uint32_t *)(void *)(s->heap + at % used / 4 * 4);
			else if (at % 4)
				word = (uint32_t *)(void *)(cache->view.racks +
							    at / 8 % 200000 / 4 * 4);
			else
				word = (uint32_t *)(void *)((char *)cache->view.control +
							    at / 8 % s->super->control_bytes / 4 *
								    4);
			*word = (uint32_t)value;
		}
		ask_for_all(slabd, cache);
	}
	/* its death is worked on from what it left */
}

static void expect_survival(const struct wild *wild)
{
	pid_t pid = child_start(write_wildly, (void *)(uintptr_t)wild);
	int code = child_join(pid);

	cr_assert_eq(code, 0, "seed %llu: %d", (unsigned long long)wild->seed, code);
	cr_assert_eq(daemon_worker(&d), worker, "seed %llu", (unsigned long long)wild->seed);
}

static bool nobody(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_stats(daemon).clients == 0;
}

Test(hostile, writes_to_the_depot)
{
	struct wild wild = {.seed = 4711, .writes = 300, .depot = true};

	expect_survival(&wild);
	DAEMON_UNTIL(&d, nobody, NULL);
}

Test(hostile, writes_to_the_heap)
{
	struct wild wild = {.seed = 4712, .writes = 3000, .heap = true};

	expect_survival(&wild);
	DAEMON_UNTIL(&d, nobody, NULL);
}

/* Many short lives, each with another damage, until the segment takes no more. */
Test(hostile, many_seeds)
{
	for (unsigned i = 0; i < 40; i++) {
		struct wild wild = {.seed = 1000003 * i + 1,
				    .writes = 1 + i % 7 * 20,
				    .depot = i % 3 < 2,
				    .heap = i % 3};

		expect_survival(&wild);
		DAEMON_UNTIL(&d, nobody, NULL);
		daemon_stop(&d);
		d = (struct daemon_fixture){0};
		set_up();
	}
}

/* ---------------------------------------------------------------- holes */

static void punch(void *arg)
{
	const struct wild *wild = arg;
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = make_traffic(slabd);
	const struct segment *s = &slabd->segment;

	if (wild->heap)
		CHECK(madvise(s->heap, s->heap_bytes, MADV_REMOVE) == 0);
	if (wild->depot)
		CHECK(madvise(s->depot, s->depot_bytes, MADV_REMOVE) == 0);
	for (unsigned i = 0; i < 5; i++)
		ask_for_all(slabd, cache);
}

Test(hostile, holes)
{
	for (unsigned i = 1; i < 4; i++) {
		struct wild wild = {.depot = i & 1, .heap = i & 2};

		cr_assert_eq(child_run(punch, &wild), 0);
		cr_assert_eq(daemon_worker(&d), worker);
		DAEMON_UNTIL(&d, nobody, NULL);
		daemon_stop(&d);
		d = (struct daemon_fixture){0};
		set_up();
	}
}

/* ---------------------------------------------------------------- what it can't write */

static void write_to_the_catalog(void *arg)
{
	struct slabd *slabd = attach_to(d.socket);

	(void)arg;
	CHECK(mprotect(slabd->segment.catalog, 4096, PROT_READ | PROT_WRITE) < 0);
	CHECK(errno == EACCES);
	signal(SIGSEGV, SIG_DFL);
	*(volatile char *)slabd->segment.catalog = 1;
}

Test(hostile, catalog_is_read_only)
{
	cr_assert_eq(child_run(write_to_the_catalog, NULL), 128 + SIGSEGV);
	DAEMON_UNTIL(&d, nobody, NULL);
	daemon_audit(&d);
}

/* ---------------------------------------------------------------- a library that meets damage */

static void raise_counts(const struct slabd_cache *cache)
{
	for (uint32_t i = 0; i < depot_magazines(&cache->view); i++) {
		struct magazine *magazine = depot_magazine(&cache->view, i);

		if (magazine && owner_state(load_relaxed(&magazine->owner)) == MAGAZINE_FULL)
			store_relaxed(&magazine->count, 60000);
	}
}

static void raise_counts_and_ask(void *arg)
{
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = make_traffic(slabd);

	(void)arg;
	raise_counts(cache);
	ask_for_all(slabd, cache);
}

/* What slabd meets it names, once. */
Test(hostile, damage_is_told)
{
	cr_assert_eq(child_run(raise_counts_and_ask, NULL), 0);
	DAEMON_UNTIL(&d, nobody, NULL);
	cr_assert(daemon_logged(&d,
				"warning: segment main: a magazine's count was over its capacity; "
				"one of its clients writes where it should not. See slabctl "
				"audit\n"));
}

/* A magazine's count, written by somebody else, leads this client nowhere. */
static void use_damaged(void *arg)
{
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = make_traffic(slabd);

	(void)arg;
	slabd_set_error_handler(ignore, NULL);
	setenv("SLABD_TIMEOUT_MS", "200", 1);
	raise_counts(cache);
	for (unsigned i = 0; i < 100; i++) {
		void *object = slabd_alloc(cache, 0);

		if (!object)
			break;
		CHECK((char *)object >= cache->view.heap &&
		      (char *)object < cache->view.heap + cache->view.heap_bytes);
		slabd_free(cache, object);
	}
}

Test(hostile, counts_over_capacity)
{
	cr_assert_eq(child_run(use_damaged, NULL), 0);
	DAEMON_UNTIL(&d, nobody, NULL);
}
