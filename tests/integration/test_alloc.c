/* Alloc: contents, alignment, flags, bulk, a full heap, and memory that goes back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/attached.h"

TestSuite(alloc, .init = attached_start, .fini = attached_stop, .timeout = 100);

/* ---------------------------------------------------------------- contents */

static const size_t sizes[] = {1,     2,     7,	    8,	   15,	   16,	   17,	  24,	 31,
			       32,    33,    48,    63,	   64,	   65,	   96,	  100,	 127,
			       128,   129,   255,   256,   257,	   500,	   1000,  1024,	 1500,
			       2048,  3000,  4095,  4096,  4097,   8192,   9000,  12000, 16384,
			       20000, 32768, 40000, 65536, 100000, 131071, 131072};

/* All objects of a round live at once, so that any two that overlap destroy each other's content. */
static void check_contents(uint32_t flags)
{
	enum { MOST = 2000, BYTES = 6 << 20 };
	static void *objects[MOST];

	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		size_t size = sizes[s], n = BYTES / size < MOST ? BYTES / size : MOST;
		struct slabd_cache *cache = cache_of(slabd, "thing", size, flags);

		for (unsigned round = 0; round < 2; round++) {
			for (size_t i = 0; i < n; i++) {
				objects[i] = slabd_alloc(cache, 0);
				cr_assert(objects[i], "size %zu: %s", size, slabd_error());
				cr_assert_eq((uintptr_t)objects[i] % 8, 0);
				object_fill(objects[i], size, i + s);
			}
			for (size_t i = 0; i < n; i++) {
				size_t k = (i * 7919 + round) % n;

				if (!objects[k])
					continue;
				cr_assert(object_holds(objects[k], size, k + s), "size %zu", size);
				slabd_free(cache, objects[k]);
				objects[k] = NULL;
			}
			for (size_t i = 0; i < n; i++) { /* where 7919 shares a factor with n */
				if (objects[i])
					cr_assert(object_holds(objects[i], size, i + s));
				slabd_free(cache, objects[i]);
			}
		}
		cr_assert_eq(daemon_audit(&d).live, 0);
		cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	}
}

Test(alloc, contents_of_all_sizes)
{
	check_contents(0);
}

/* Where the stride leaves room the tag lies right behind the last byte. */
Test(alloc, contents_with_tags_between)
{
	check_contents(SLABD_HWALIGN);
}

Test(alloc, alignment)
{
	for (size_t align = 1; align <= 4096; align *= 2) {
		struct slabd_cache_args args = {
			.size_of_args = sizeof(args), .object_size = 24, .align = align};
		struct slabd_cache *cache;

		cr_assert_eq(slabd_cache_create(slabd, "thing", &args, &cache), 0);
		for (unsigned i = 0; i < 300; i++) {
			void *object = slabd_alloc(cache, 0);

			cr_assert(object);
			cr_assert_eq((uintptr_t)object % align, 0, "align %zu", align);
		}
		slabd_cache_close(cache);
		slabd_detach(slabd); /* all orphans: another name next */
		slabd = attach_to(d.socket);
		cr_assert_eq(slabd_cache_open(slabd, "thing", &cache), 0);
		cr_assert_eq(slabd_cache_destroy(cache), -EBUSY);
		attached_stop();
		d = (struct daemon_fixture){0};
		attached_start();
	}
}

/* As the kernel's SLAB_HWCACHE_ALIGN: a line, or the half, the quarter of one that it fits. */
Test(alloc, hardware_alignment)
{
	static const size_t pairs[][2] = {{1, 8},   {8, 8},   {16, 16}, {17, 32},
					  {32, 32}, {33, 64}, {64, 64}, {100, 64}};

	for (size_t p = 0; p < sizeof(pairs) / sizeof(*pairs); p++) {
		struct slabd_cache *cache;
		char name[16];

		snprintf(name, sizeof(name), "thing%zu", pairs[p][0]);
		cache = cache_of(slabd, name, pairs[p][0], SLABD_HWALIGN | SLABD_RECLAIM);
		for (unsigned i = 0; i < 300; i++)
			cr_assert_eq((uintptr_t)slabd_alloc(cache, 0) % pairs[p][1], 0, "size %zu",
				     pairs[p][0]);
	}
}

/* ---------------------------------------------------------------- flags */

Test(alloc, zero)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 100, 0);
	static const char zeros[100];
	void *objects[500];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 500; i++) {
			objects[i] = slabd_alloc(cache, SLABD_ZERO);
			cr_assert_eq(memcmp(objects[i], zeros, 100), 0);
			memset(objects[i], 0xaa, 100);
		}
		for (unsigned i = 0; i < 500; i++)
			slabd_free(cache, objects[i]);
		cr_assert_eq(slabd_alloc_bulk(cache, SLABD_ZERO, 500, objects), 500);
		for (unsigned i = 0; i < 500; i++) {
			cr_assert_eq(memcmp(objects[i], zeros, 100), 0);
			memset(objects[i], 0xaa, 100);
		}
		slabd_free_bulk(cache, 500, objects);
	}
}

/* It zeroes the object and nothing beyond it. */
Test(alloc, zero_knows_the_size)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 16, 0);
	void *a = slabd_alloc(cache, 0), *b = slabd_alloc(cache, 0), *c = slabd_alloc(cache, 0);

	object_fill(a, 16, 1);
	object_fill(c, 16, 3);
	slabd_free(cache, b);
	cr_assert_eq(slabd_alloc(cache, SLABD_ZERO), b);
	cr_assert(object_holds(a, 16, 1));
	cr_assert(object_holds(c, 16, 3));
	slabd_free(cache, a);
	slabd_free(cache, b);
	slabd_free(cache, c);
}

Test(alloc, unknown_flags)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 16, 0);
	void *objects[4];

	errno = 0;
	cr_assert_null(slabd_alloc(cache, 0x4));
	cr_assert_eq(errno, EINVAL);
	cr_assert_str_eq(slabd_error(),
			 "cache \"thing\": alloc flags 0x4, of which 0x4 is unknown");
	errno = 0;
	cr_assert_eq(slabd_alloc_bulk(cache, 0x81, 4, objects), 0);
	cr_assert_eq(errno, EINVAL);
	cr_assert_str_eq(slabd_error(),
			 "cache \"thing\": alloc flags 0x81, of which 0x80 is unknown");
}

struct nowait {
	struct slabd_cache *cache;
	void *object;
};

static bool nowait_works(const struct daemon_fixture *daemon, const void *arg)
{
	struct nowait *nowait = (struct nowait *)(uintptr_t)arg;

	(void)daemon_stats(daemon);
	nowait->object = slabd_alloc(nowait->cache, SLABD_NOWAIT);
	return nowait->object;
}

/* A dry depot: NULL and ENOMEM at once, a doorbell, and soon it works. */
Test(alloc, nowait)
{
	struct nowait nowait = {cache_of(slabd, "thing", 64, 0), NULL};

	errno = 0;
	cr_assert_null(slabd_alloc(nowait.cache, SLABD_NOWAIT));
	cr_assert_eq(errno, ENOMEM);
	cr_assert_str_eq(slabd_error(), "cache \"thing\": the depot is dry, and NOWAIT does not "
					"wait for slabd");
	DAEMON_UNTIL(&d, nowait_works, &nowait);
	slabd_free(nowait.cache, nowait.object);
}

/* Whoever allocates less than a depot between two breaths of slabd never sees it dry. */
Test(alloc, nowait_steadily)
{
	struct nowait nowait = {cache_of(slabd, "thing", 64, 0), NULL};
	static void *objects[20000];
	unsigned dry = 0;

	slabd_free(nowait.cache, slabd_alloc(nowait.cache, 0));
	for (unsigned i = 0; i < 20000; i++) {
		objects[i] = slabd_alloc(nowait.cache, SLABD_NOWAIT);
		if (!objects[i]) {
			cr_assert_eq(errno, ENOMEM);
			dry++;
			DAEMON_UNTIL(&d, nowait_works, &nowait);
			objects[i] = nowait.object;
		}
		if (i % 50 == 0)
			(void)daemon_stats(&d);
	}
	cr_assert_eq(dry, 0, "it was dry %u times", dry);
	slabd_free_bulk(nowait.cache, 20000, objects);
}

/* ---------------------------------------------------------------- bulk */

Test(alloc, bulk_of_many_sizes)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 48, 0);
	static void *objects[5000];

	for (size_t n = 0; n <= 5000; n = n * 3 + 1) {
		cr_assert_eq(slabd_alloc_bulk(cache, 0, n, objects), n, "%s", slabd_error());
		for (size_t i = 0; i < n; i++)
			object_fill(objects[i], 48, i);
		for (size_t i = 0; i < n; i++)
			cr_assert(object_holds(objects[i], 48, i));
		cr_assert_eq(daemon_audit(&d).live, n);
		slabd_free_bulk(cache, n, objects);
		cr_assert_eq(daemon_audit(&d).live, 0);
	}
}

/* More than there is: 0, and nothing leaks. */
Test(alloc, bulk_that_fails_half_way)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 65536, 0);
	static void *objects[4096];
	void *object;

	errno = 0;
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 4096, objects), 0);
	cr_assert_eq(errno, ENOMEM);
	cr_assert_eq(reports, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	object = slabd_alloc(cache, 0);
	cr_assert(object);
	slabd_free(cache, object);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 500, objects), 500);
	slabd_free_bulk(cache, 500, objects);
	errno = 0;
	cr_assert_eq(slabd_alloc_bulk(cache, 0, SIZE_MAX / 16, objects), 0, "hopeless");
	cr_assert_eq(errno, ENOMEM);
}

Test(alloc, bulk_nowait)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0);
	static void *objects[100000];

	pid_t worker = daemon_worker(&d);

	slabd_free(cache, slabd_alloc(cache, 0));
	/* which would fill in faster than we take out */
	cr_assert_eq(kill(worker, SIGSTOP), 0);
	errno = 0;
	cr_assert_eq(slabd_alloc_bulk(cache, SLABD_NOWAIT, 100000, objects), 0);
	cr_assert_eq(errno, ENOMEM);
	cr_assert_eq(kill(worker, SIGCONT), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* Bad entries are refused, one report each, and the rest is freed. */
Test(alloc, bulk_free_with_bad_entries)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0);
	void *objects[300], *all[310];
	int on_stack;

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 300, objects), 300);
	memcpy(all, objects, sizeof(objects));
	all[300] = NULL;
	all[301] = &on_stack;
	all[302] = (char *)objects[4] + 16;
	all[303] = objects[7];
	all[304] = NULL;
	all[305] = objects[299];
	all[0] = objects[5]; /* so objects[5] stands there twice, objects[0] not at all */
	slabd_free_bulk(cache, 306, all);
	cr_assert_eq(reports, 5, "%u reports", reports);
	cr_assert_eq(daemon_audit(&d).live, 1);
	slabd_free(cache, objects[0]);
	cr_assert_eq(reports, 5);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* ---------------------------------------------------------------- the full heap */

/* All that there is. */
static size_t take_all(struct slabd_cache *cache, void **objects, size_t room)
{
	size_t n = 0;

	while ((objects[n] = slabd_alloc(cache, 0))) {
		n++;
		cr_assert_lt(n, room);
	}
	cr_assert_eq(errno, ENOMEM, "%s", slabd_error());
	return n;
}

#define ROOM 70000
static void *objects_of_all[ROOM];

Test(alloc, full_heap)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 1000, 0);
	size_t first;

	first = take_all(cache, objects_of_all, ROOM);
	cr_assert_str_eq(slabd_error(),
			 "cache \"thing\": no memory: 62 of 62 MiB of the heap are in use; free "
			 "objects, shrink other caches (slabctl shrink --all), or start slabd with "
			 "a larger --size");
	cr_assert_gt(first, 55000);
	for (size_t i = 0; i < first; i++)
		memcpy(objects_of_all[i], &i, sizeof(i));
	for (size_t i = 0; i < first; i++)
		cr_assert_eq(memcmp(objects_of_all[i], &i, sizeof(i)), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < first; i++)
			slabd_free(cache, objects_of_all[round % 2 ? i : first - 1 - i]);
		cr_assert_eq(daemon_audit(&d).live, 0);
		cr_assert_eq(take_all(cache, objects_of_all, ROOM), first,
			     "what was freed can be had again");
	}
	slabd_free_bulk(cache, first, objects_of_all);
}

/* One that was freed serves the next alloc, whichever magazine it is in. */
Test(alloc, full_heap_and_one_freed)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 131072, 0);
	size_t n = take_all(cache, objects_of_all, ROOM);

	for (size_t i = 0; i < n; i++) {
		slabd_free(cache, objects_of_all[i]);
		objects_of_all[i] = slabd_alloc(cache, 0);
		cr_assert(objects_of_all[i], "%s", slabd_error());
		cr_assert_null(slabd_alloc(cache, 0));
	}
	slabd_free_bulk(cache, n, objects_of_all);
}

/* After a shrink another cache gets the space. */
Test(alloc, space_goes_to_another_cache)
{
	struct slabd_cache *one = cache_of(slabd, "one", 1000, 0);
	struct slabd_cache *two = cache_of(slabd, "two", 3000, 0);
	size_t of_one, of_two;

	of_two = take_all(two, objects_of_all, ROOM);
	slabd_free_bulk(two, of_two, objects_of_all);
	cr_assert_eq(slabd_cache_shrink(two), 0, "%s", slabd_error());
	of_one = take_all(one, objects_of_all, ROOM);
	cr_assert_null(slabd_alloc(two, 0), "the heap is full");
	slabd_free_bulk(one, of_one, objects_of_all);
	cr_assert_eq(slabd_cache_shrink(one), 0, "%s", slabd_error());
	cr_assert_eq(take_all(two, objects_of_all, ROOM), of_two);
	slabd_free_bulk(two, of_two, objects_of_all);
}

/* What nobody uses goes back to the system: as the system counts it. */
Test(alloc, memory_goes_back)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0);
	uint64_t before = daemon_stats(&d).memory_bytes, full;
	static void *many[200000];

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 200000, many), 200000);
	full = daemon_stats(&d).memory_bytes;
	cr_assert_geq(full - before, 64u * 200000);
	for (size_t i = 0; i < 200000; i++)
		slabd_free(cache, many[i * 77773 % 200000]);
	cr_assert_eq(slabd_cache_shrink(cache), 0, "%s", slabd_error());
	cr_assert_eq(daemon_stats(&d).heap_used_bytes, 0);
	cr_assert_leq(daemon_stats(&d).memory_bytes, before + (2 << 20), "%llu of %llu",
		      (unsigned long long)(daemon_stats(&d).memory_bytes - before),
		      (unsigned long long)(full - before));
}

/* ---------------------------------------------------------------- passed between processes */

struct passing {
	struct baton go, done;
	slabd_handle handles[1000];
};

static void free_them(void *arg)
{
	struct passing *passing = arg;
	struct slabd_cache *cache;

	CHECK(slabd_cache_open(slabd, "thing", &cache) == 0);
	for (unsigned i = 0; i < 1000; i++) {
		void *object = slabd_get(cache, passing->handles[i]);

		CHECK(object && object_holds(object, 200, i));
		slabd_free(cache, object);
	}
}

Test(alloc, freed_by_another_process)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 200, 0);
	struct passing passing = {0};

	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			void *object = slabd_alloc(cache, 0);

			object_fill(object, 200, i);
			passing.handles[i] = slabd_handle_of(cache, object);
		}
		cr_assert_eq(child_run(free_them, &passing), 0);
		cr_assert_eq(daemon_audit(&d).live, 0);
	}
}
