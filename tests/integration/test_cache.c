/* Caches: what is refused and how, opening and closing, destroy, and how many there can be. */
#include <criterion/criterion.h>
#include <errno.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/attached.h"

TestSuite(cache, .init = attached_start, .fini = attached_stop);
TestSuite(many, .timeout = 100);

static int create(const char *name, size_t size, size_t align, uint32_t flags, uint32_t magazine)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args),
					.object_size = size,
					.align = align,
					.flags = flags,
					.magazine = magazine};
	struct slabd_cache *cache = (struct slabd_cache *)&args;
	int r = slabd_cache_create(slabd, name, &args, &cache);

	if (r < 0)
		cr_assert_null(cache);
	return r;
}

/* In a child: without what it inherited, as a stranger would. */
static struct slabd *attach_anew(void)
{
	slabd_detach(slabd);
	return attach_to(d.socket);
}

/* ---------------------------------------------------------------- refused */

Test(cache, wrong_size)
{
	cr_assert_eq(create("thing", 0, 0, 0, 0), -EINVAL);
	cr_assert(error_is("cache \"thing\": object size 0: must be 1 to 131072 bytes"));
	cr_assert_eq(create("thing", 131073, 0, 0, 0), -EINVAL);
	cr_assert(error_is("cache \"thing\": object size 131073: must be 1 to 131072 bytes"));
	cr_assert_eq(create("thing", SIZE_MAX, 0, 0, 0), -EINVAL);
	cr_assert(error_is("cache \"thing\": object size 18446744073709551615: must be 1 to 131072 "
			   "bytes"));
	cr_assert_eq(create("small", 1, 0, 0, 0), 0);
	cr_assert_eq(create("large", 131072, 0, 0, 0), 0);
}

Test(cache, wrong_align)
{
	cr_assert_eq(create("thing", 64, 3, 0, 0), -EINVAL);
	cr_assert(error_is(
		"cache \"thing\": align 3: must be a power of two up to 4096, or 0 for 8"));
	cr_assert_eq(create("thing", 64, 8192, 0, 0), -EINVAL);
	cr_assert(error_is(
		"cache \"thing\": align 8192: must be a power of two up to 4096, or 0 for 8"));
	cr_assert_eq(create("thing", 64, UINT64_C(1) << 33, 0, 0), -EINVAL);
	cr_assert(error_is(
		"cache \"thing\": align 8589934592: must be a power of two up to 4096, or 0 "
		"for 8"));
	cr_assert_eq(create("thing", 64, 4096, 0, 0), 0);
	cr_assert_eq(create("byte", 64, 1, 0, 0), 0);
}

Test(cache, wrong_flags)
{
	cr_assert_eq(create("thing", 64, 0, 0x10, 0), -EINVAL);
	cr_assert(error_is("cache \"thing\": flags 0x10, of which 0x10 is unknown"));
	cr_assert_eq(create("thing", 64, 0, 0x80000001u, 0), -EINVAL);
	cr_assert(error_is("cache \"thing\": flags 0x80000001, of which 0x80000000 is unknown"));
}

Test(cache, wrong_magazine)
{
	cr_assert_eq(create("thing", 64, 0, 0, UINT32_MAX), -EINVAL);
	cr_assert(strstr(slabd_error(), "cache \"thing\": magazine 4294967295: must be 1 to "),
		  "%s", slabd_error());
	cr_assert_eq(create("thing", 16, 0, 0, 1), -EINVAL);
	cr_assert(strstr(slabd_error(), "cache \"thing\": magazine 1: too few rounds for objects "
					"of 16 bytes in a heap of 64 MiB; at least "),
		  "%s", slabd_error());
	cr_assert_eq(create("thing", 4096, 0, 0, 2), 0);
}

Test(cache, wrong_name)
{
	char name[80];

	cr_assert_eq(create("", 64, 0, 0, 0), -EINVAL);
	cr_assert(error_is("cache name \"\": has 0 characters, must have 1 to 63"));
	cr_assert_eq(create(NULL, 64, 0, 0, 0), -EINVAL);
	cr_assert(error_is("cache name \"\": has 0 characters, must have 1 to 63"));
	memset(name, 'n', 64);
	name[64] = 0;
	cr_assert_eq(create(name, 64, 0, 0, 0), -EINVAL);
	cr_assert(error_is("cache name \"%s\": has 64 characters, must have 1 to 63", name));
	name[63] = 0;
	cr_assert_eq(create(name, 64, 0, 0, 0), 0);
	for (const char *const *bad =
		     (const char *const[]){"a b", "a/b", "\xc3\xa4", "a\n", "a#b", "a:b", NULL};
	     *bad; bad++) {
		cr_assert_eq(create(*bad, 64, 0, 0, 0), -EINVAL, "\"%s\"", *bad);
		cr_assert(error_is(
			"cache name \"%s\": must be 1 to 63 characters of A-Z a-z 0-9 _ . -",
			*bad));
	}
	cr_assert_eq(create("A-Za-z0-9_.-", 64, 0, 0, 0), 0);
}

Test(cache, wrong_arguments)
{
	struct slabd_cache_args args = {.object_size = 64};
	struct slabd_cache *cache;

	cr_assert_eq(slabd_cache_create(slabd, "thing", &args, &cache), -EINVAL);
	cr_assert(error_is("cache \"thing\": size_of_args is 0, must be sizeof(struct "
			   "slabd_cache_args), %zu",
			   sizeof(args)));
	args.size_of_args = sizeof(args);
	cr_assert_eq(slabd_cache_create(NULL, "thing", &args, &cache), -EINVAL);
	cr_assert_eq(slabd_cache_create(slabd, "thing", NULL, &cache), -EINVAL);
	cr_assert_eq(slabd_cache_create(slabd, "thing", &args, NULL), -EINVAL);
	cr_assert(error_is("slabd_cache_create: an argument is NULL"));
	cr_assert_eq(slabd_cache_open(NULL, "thing", &cache), -EINVAL);
	cr_assert_eq(slabd_cache_open(slabd, "thing", NULL), -EINVAL);
	cr_assert(error_is("slabd_cache_open: an argument is NULL"));
	cr_assert_eq(slabd_cache_destroy(NULL), -EINVAL);
	cr_assert(error_is("slabd_cache_destroy: the cache is NULL"));
	cr_assert_eq(slabd_cache_shrink(NULL), -EINVAL);
	cr_assert(error_is("slabd_cache_shrink: the cache is NULL"));
	slabd_cache_close(NULL);
}

/* ---------------------------------------------------------------- the same name */

Test(cache, same_name_other_geometry)
{
	const char *advice = "Open it as it is, or choose another name";

	cr_assert_eq(create("thing", 64, 16, SLABD_STRICT, 20), 0);
	cr_assert_eq(create("thing", 65, 16, SLABD_STRICT, 20), -EINVAL);
	cr_assert(error_is(
		"cache \"thing\" exists with object size 64, align 16, flags 0x2, magazine "
		"20; asked for size 65, align 16, flags 0x2, magazine 20. %s",
		advice));
	cr_assert_eq(create("thing", 64, 32, SLABD_STRICT, 20), -EINVAL);
	cr_assert(error_is(
		"cache \"thing\" exists with object size 64, align 16, flags 0x2, magazine "
		"20; asked for size 64, align 32, flags 0x2, magazine 20. %s",
		advice));
	cr_assert_eq(create("thing", 64, 16, 0, 20), -EINVAL);
	cr_assert(error_is(
		"cache \"thing\" exists with object size 64, align 16, flags 0x2, magazine "
		"20; asked for size 64, align 16, flags 0x0, magazine 20. %s",
		advice));
	cr_assert_eq(create("thing", 64, 16, SLABD_STRICT, 0), 0, "0: as it is");
}

Test(cache, same_name_same_geometry)
{
	struct slabd_cache *one = cache_of(slabd, "thing", 64, 0);
	struct slabd_cache_args args = {
		.size_of_args = sizeof(args), .object_size = 64, .align = 8};
	struct slabd_cache *two, *three;

	cr_assert_eq(slabd_cache_create(slabd, "thing", &args, &two), 0);
	cr_assert_eq(one, two, "8 is the default align");
	cr_assert_eq(slabd_cache_open(slabd, "thing", &three), 0);
	cr_assert_eq(one, three);
	cr_assert_eq(slabd_cache_size(one), 64);
	cr_assert_eq(daemon_stats(&d).caches, 1);
}

Test(cache, exclusive)
{
	struct daemon_cache seen;

	cr_assert_eq(create("thing", 64, 0, SLABD_EXCLUSIVE, 0), 0);
	cr_assert(daemon_cache(&d, "thing", &seen));
	cr_assert_eq(create("thing", 64, 0, SLABD_EXCLUSIVE, 0), -EEXIST);
	cr_assert(error_is("cache \"thing\" exists (id %u); without the exclusive flag it would be "
			   "opened",
			   seen.id));
	cr_assert_eq(create("thing", 64, 0, 0, 0), 0, "it is no property of the cache");
}

Test(cache, open_missing)
{
	struct slabd_cache *cache = (struct slabd_cache *)&d;

	cr_assert_eq(slabd_cache_open(slabd, "thing", &cache), -ENOENT);
	cr_assert_null(cache);
	cr_assert(error_is(
		"cache \"thing\": there is none; see slabctl caches, or make it with: slabctl "
		"create thing --size BYTES"));
	cr_assert_eq(slabd_cache_open(slabd, "", &cache), -EINVAL);
	cr_assert(error_is("cache name \"\": has 0 characters, must have 1 to 63"));
}

/* ---------------------------------------------------------------- opens are counted */

Test(cache, opens_are_counted)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0), *again;
	struct daemon_cache seen;
	void *object;

	cr_assert_eq(slabd_cache_open(slabd, "thing", &again), 0);
	slabd_cache_close(again);
	cr_assert(daemon_cache(&d, "thing", &seen));
	cr_assert_eq(seen.clients, 1);
	object = slabd_alloc(cache, 0);
	cr_assert(object);
	slabd_free(cache, object);
	cr_assert_gt(daemon_cache(&d, "thing", &seen) ? seen.in_magazines : 0, 0);
	slabd_cache_close(cache);
	cr_assert(daemon_cache(&d, "thing", &seen), "it outlives its openers");
	cr_assert_eq(seen.clients, 0);
	cr_assert_eq(slabd_cache_open(slabd, "thing", &cache), 0);
	object = slabd_alloc(cache, 0);
	cr_assert(object);
	slabd_free(cache, object);
}

/* A cache that one closes while objects of it live: they live on, and it can be opened again. */
Test(cache, objects_outlive_the_close)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0);
	void *object = slabd_alloc(cache, SLABD_ZERO);
	slabd_handle handle = slabd_handle_of(cache, object);
	struct daemon_cache seen;

	object_fill(object, 64, 3);
	slabd_cache_close(cache);
	cr_assert(daemon_cache(&d, "thing", &seen));
	cr_assert_eq(seen.live, 1);
	cr_assert_eq(seen.orphaned, 0);
	cr_assert_eq(slabd_cache_open(slabd, "thing", &cache), 0);
	cr_assert_eq(slabd_get(cache, handle), object);
	cr_assert(object_holds(object, 64, 3));
	slabd_free(cache, object);
}

/* What a client left in a cache that it closed is swept with the rest when it goes. */
Test(cache, closed_caches_are_swept_too)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, SLABD_RECLAIM);
	struct daemon_audit audit;

	cr_assert(slabd_alloc(cache, 0));
	slabd_cache_close(cache);
	slabd_detach(slabd);
	audit = daemon_audit(&d);
	cr_assert_eq(audit.live, 0);
	cr_assert_eq(audit.orphaned, 0);
	slabd = attach_to(d.socket);
}

/* ---------------------------------------------------------------- destroy */

Test(cache, destroy)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0), *again;
	struct daemon_cache first, second;
	void *object = slabd_alloc(cache, 0);

	cr_assert(daemon_cache(&d, "thing", &first));
	slabd_free(cache, object);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	cr_assert_not(daemon_cache(&d, "thing", &second));
	cr_assert_eq(daemon_stats(&d).caches, 0);
	cr_assert_eq(slabd_cache_open(slabd, "thing", &again), -ENOENT);
	cache = cache_of(slabd, "thing", 128, SLABD_STRICT);
	cr_assert(daemon_cache(&d, "thing", &second), "the name is free at once");
	cr_assert_neq(first.serial, second.serial);
	object = slabd_alloc(cache, 0);
	cr_assert(object);
	slabd_free(cache, object);
}

Test(cache, destroy_busy)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0);
	void *objects[3];
	struct daemon_cache before, after;

	for (unsigned i = 0; i < 3; i++) {
		objects[i] = slabd_alloc(cache, 0);
		object_fill(objects[i], 64, i);
	}
	cr_assert(daemon_cache(&d, "thing", &before));
	cr_assert_eq(slabd_cache_destroy(cache), -EBUSY);
	cr_assert(error_is(
		"cache \"thing\": 3 objects are live or orphaned; free them first (slabctl "
		"clients and slabctl orphans show whose they are)"));
	cr_assert(daemon_cache(&d, "thing", &after), "untouched");
	cr_assert_eq(before.serial, after.serial);
	cr_assert_eq(after.live, 3);
	cr_assert_eq(after.clients, 1);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert(object_holds(objects[i], 64, i));
		slabd_free(cache, objects[i]);
	}
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
}

static void leave_one(void *arg)
{
	const uint32_t *flags = arg;
	struct slabd *mine = attach_anew();
	struct slabd_cache *cache = cache_of(mine, "thing", 64, *flags);

	CHECK(slabd_alloc(cache, 0));
}

/* Orphans count as live. */
Test(cache, destroy_with_orphans)
{
	uint32_t flags = 0;
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, flags);
	struct daemon_audit audit;

	cr_assert_eq(child_run(leave_one, &flags), 0);
	audit = daemon_audit(&d);
	cr_assert_eq(audit.live + audit.orphaned, 1);
	cr_assert_eq(slabd_cache_destroy(cache), -EBUSY);
	cr_assert(error_is(
		"cache \"thing\": 1 objects are live or orphaned; free them first (slabctl "
		"clients and slabctl orphans show whose they are)"));
}

Test(cache, destroy_own_in_reclaim)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, SLABD_RECLAIM);
	void *object = NULL;

	for (unsigned i = 0; i < 1000; i++)
		object = slabd_alloc(cache, 0);
	cr_assert(object);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	cr_assert_eq(daemon_audit(&d).objects, 0);
}

struct meeting {
	struct baton to_child, to_parent;
	uint32_t flags;
};

static void hold_one(void *arg)
{
	struct meeting *meeting = arg;
	struct slabd *mine = attach_anew();
	struct slabd_cache *cache = cache_of(mine, "thing", 64, meeting->flags);
	void *object = slabd_alloc(cache, 0);

	CHECK(object);
	baton_pass(meeting->to_parent, slabd_handle_of(cache, object));
	baton_take(meeting->to_child);
	slabd_free(cache, object);
	slabd_detach(mine);
}

/* Another's objects stand in the way even in a RECLAIM cache. */
Test(cache, destroy_others_in_reclaim)
{
	struct meeting meeting = {baton_make(), baton_make(), SLABD_RECLAIM};
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, SLABD_RECLAIM);
	pid_t pid = child_start(hold_one, &meeting);

	baton_take(meeting.to_parent);
	cr_assert(slabd_alloc(cache, 0));
	cr_assert_eq(slabd_cache_destroy(cache), -EBUSY);
	cr_assert(error_is(
		"cache \"thing\": 1 objects are live or orphaned; free them first (slabctl "
		"clients and slabctl orphans show whose they are)"));
	baton_pass(meeting.to_child, 1);
	cr_assert_eq(child_join(pid), 0);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
}

/* Says when it has the cache, works on when told. */
static void use_after_destroy(void *arg)
{
	struct meeting *meeting = arg;
	struct slabd *mine = attach_anew();
	struct slabd_cache *cache = cache_of(mine, "thing", 64, 0), *other;
	void *objects[500];

	baton_pass(meeting->to_parent, 1);
	baton_take(meeting->to_child);
	for (unsigned i = 0; i < 500; i++) {
		objects[i] = slabd_alloc(cache, 0);
		CHECK(objects[i]);
		object_fill(objects[i], 64, i);
	}
	CHECK(slabd_cache_open(mine, "thing", &other) == 0 && other != cache);
	CHECK(slabd_cache_size(other) == 32 && slabd_cache_size(cache) == 64);
	for (unsigned i = 0; i < 500; i++) {
		CHECK(object_holds(objects[i], 64, i));
		slabd_free(cache, objects[i]);
	}
	baton_pass(meeting->to_parent, 1);
	baton_take(meeting->to_child);
	slabd_cache_close(cache);
	baton_pass(meeting->to_parent, 1);
	baton_take(meeting->to_child);
	slabd_detach(mine);
}

static bool has_no_slabs(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_audit(daemon).objects == 0;
}

/* Destroys what a child has open, and makes another of the name; the child has worked on, and waits. */
static struct slabd_cache *destroy_in_use(struct meeting *meeting, pid_t *pid)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0);

	*meeting = (struct meeting){baton_make(), baton_make(), 0};
	*pid = child_start(use_after_destroy, meeting);
	baton_take(meeting->to_parent);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	cache = cache_of(slabd, "thing", 32, 0);
	baton_pass(meeting->to_child, 1);
	baton_take(meeting->to_parent);
	return cache;
}

Test(cache, others_go_on_after_destroy)
{
	struct meeting meeting;
	pid_t pid;
	struct slabd_cache *cache = destroy_in_use(&meeting, &pid);

	cr_assert_gt(daemon_audit(&d).objects, 0, "the memory goes with the last closer");
	baton_pass(meeting.to_child, 1);
	baton_take(meeting.to_parent);
	DAEMON_UNTIL(&d, has_no_slabs, NULL);
	baton_pass(meeting.to_child, 1);
	cr_assert_eq(child_join(pid), 0);
	slabd_cache_close(cache);
}

/* The last closer may be a client that dies. */
Test(cache, memory_goes_with_the_last_to_die)
{
	struct meeting meeting;
	pid_t pid;
	struct slabd_cache *cache = destroy_in_use(&meeting, &pid);

	child_kill(pid);
	DAEMON_UNTIL(&d, has_no_slabs, NULL);
	slabd_cache_close(cache);
}

/* ---------------------------------------------------------------- root */

Test(cache, root)
{
	struct slabd_cache *cache = cache_of(slabd, "thing", 64, 0), *again;
	slabd_handle handle;
	void *object;

	cr_assert_eq(slabd_root(cache), 0);
	object = slabd_alloc(cache, 0);
	handle = slabd_handle_of(cache, object);
	cr_assert(slabd_set_root(cache, 0, handle));
	cr_assert_not(slabd_set_root(cache, 0, handle + 1));
	cr_assert_eq(slabd_root(cache), handle);
	slabd_cache_close(cache);
	cr_assert_eq(slabd_cache_open(slabd, "thing", &again), 0);
	cr_assert_eq(slabd_root(again), handle, "it lies in the segment");
	cr_assert(slabd_set_root(again, handle, 0));
	slabd_free(again, object);
	/* a new cache of the name has none, even on the id of the old one */
	cr_assert(slabd_set_root(again, 0, handle));
	cr_assert_eq(slabd_cache_destroy(again), 0, "%s", slabd_error());
	for (unsigned i = 0; i < daemon_stats(&d).max_caches + 1; i++) {
		cache = cache_of(slabd, "thing", 64, 0);
		cr_assert_eq(slabd_root(cache), 0);
		cr_assert(slabd_set_root(cache, 0, 1));
		cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	}
}

/* ---------------------------------------------------------------- many */

static void make_many(unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		struct slabd_cache *cache;

		snprintf(name, sizeof(name), "c%u", i);
		cache = cache_of(slabd, name, 16 + i % 1000, 0);
		if (i % 500 == 0) {
			void *object = slabd_alloc(cache, 0);

			cr_assert(object, "%s", slabd_error());
			slabd_free(cache, object);
		}
	}
}

Test(many, one_over_the_limit)
{
	attached_start();
	make_many(1024);
	cr_assert_eq(create("one-more", 64, 0, 0, 0), -ENOSPC);
	cr_assert(error_is(
		"cache \"one-more\": 1024 of 1024 caches exist; raise max-caches or destroy "
		"one (slabctl caches)"));
	cr_assert_eq(create("c7", 23, 0, 0, 0), 0, "one that exists is opened");
	attached_stop();
}

Test(many, ten_thousand)
{
	struct slabd_cache *cache;
	void *object;

	daemon_start(&d, "--set", "max-caches=10000", NULL);
	slabd = attach_to(d.socket);
	make_many(10000);
	cr_assert_eq(daemon_stats(&d).caches, 10000);
	cr_assert_eq(create("one-more", 64, 0, 0, 0), -ENOSPC);
	cr_assert_eq(slabd_cache_open(slabd, "c9999", &cache), 0);
	object = slabd_alloc(cache, 0);
	cr_assert(object, "%s", slabd_error());
	slabd_free(cache, object);
	slabd_cache_close(cache);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	cr_assert_eq(create("one-more", 64, 0, 0, 0), 0, "%s", slabd_error());
	attached_stop();
}

/* The place of one that is destroyed can be had at once, although its memory goes back in slices. */
Test(many, place_of_a_destroyed_one)
{
	struct slabd_cache *cache;
	void *object;

	daemon_start(&d, "--set", "max-caches=1", NULL);
	slabd = attach_to(d.socket);
	for (unsigned i = 0; i < 50; i++) {
		cache = cache_of(slabd, "thing", 4096, SLABD_RECLAIM);
		for (unsigned k = 0; k < 3000; k++)
			object = slabd_alloc(cache, 0);
		cr_assert(object, "%s", slabd_error());
		cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	}
	slabd_detach(slabd);
	cr_assert_eq(daemon_audit(&d).objects, 0);
	daemon_stop(&d);
}
