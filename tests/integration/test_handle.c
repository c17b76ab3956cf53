/* Handles: get, adopt, free by handle; stale, forged and foreign ones. */
#include <criterion/criterion.h>
#include <errno.h>
#include <slabd/slabd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/attached.h"

static struct slabd_cache *cache, *other;

static void set_up(void)
{
	attached_start();
	cache = cache_of(slabd, "thing", 64, 0);
	other = cache_of(slabd, "other", 64, 0);
}

TestSuite(handle, .init = set_up, .fini = attached_stop);

static unsigned generation_of(slabd_handle handle)
{
	return (unsigned)(handle >> 32) & 0xffff;
}

/* get, adopt and free_handle refuse it alike. */
__attribute__((format(printf, 3, 4))) static void expect_refused(slabd_handle handle, int error,
								 const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	errno = 0;
	cr_assert_null(slabd_get(cache, handle));
	cr_assert_eq(errno, error);
	cr_assert_str_eq(slabd_error(), text);
	errno = 0;
	cr_assert_null(slabd_adopt(cache, handle));
	cr_assert_eq(errno, error);
	cr_assert_str_eq(slabd_error(), text);
	cr_assert_eq(slabd_free_handle(cache, handle), -error);
	cr_assert_str_eq(slabd_error(), text);
	cr_assert_eq(reports, 0, "the return value alone");
}

static void expect_no_handle(slabd_handle handle)
{
	expect_refused(handle, EINVAL, "cache \"thing\": %016llx is no handle of it",
		       (unsigned long long)handle);
}

static void expect_stale(slabd_handle handle, unsigned now)
{
	expect_refused(handle, ESTALE,
		       "cache \"thing\": the object of handle %016llx was freed; its generation "
		       "is %u now",
		       (unsigned long long)handle, now & 0xffff);
}

/* ---------------------------------------------------------------- the way round */

Test(handle, there_and_back)
{
	static void *objects[3000];
	static slabd_handle handles[3000];

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 3000, objects), 3000);
	for (unsigned i = 0; i < 3000; i++) {
		handles[i] = slabd_handle_of(cache, objects[i]);
		cr_assert_neq(handles[i], 0);
		cr_assert_eq(slabd_get(cache, handles[i]), objects[i]);
	}
	for (unsigned i = 0; i < 3000; i += 2)
		slabd_free(cache, objects[i]);
	for (unsigned i = 0; i < 3000; i++)
		cr_assert_eq(slabd_get(cache, handles[i]), i % 2 ? objects[i] : NULL);
	for (unsigned i = 1; i < 3000; i += 2)
		cr_assert_eq(slabd_free_handle(cache, handles[i]), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	for (unsigned i = 0; i < 3000; i++)
		cr_assert_null(slabd_get(cache, handles[i]));
}

Test(handle, of_what_is_no_object)
{
	char *object = slabd_alloc(cache, 0);
	void *foreign = slabd_alloc(other, 0);
	int on_stack;

	cr_assert_eq(slabd_handle_of(cache, NULL), 0);
	for (void *const *p = (void *const[]){&on_stack, object + 16, object + 1, foreign, NULL};
	     *p; p++) {
		errno = 0;
		cr_assert_eq(slabd_handle_of(cache, *p), 0);
		cr_assert_eq(errno, EINVAL);
		cr_assert(error_is("cache \"thing\": %p is no object of it", *p));
	}
	slabd_free(cache, object);
	errno = 0;
	cr_assert_eq(slabd_handle_of(cache, object), 0);
	cr_assert_eq(errno, ESTALE);
	cr_assert(error_is("cache \"thing\": the object at %p was freed", (void *)object));
	slabd_free(other, foreign);
	cr_assert_eq(reports, 0);
}

/* ---------------------------------------------------------------- refused */

Test(handle, zero)
{
	expect_no_handle(0);
	slabd_free(cache, slabd_alloc(cache, 0));
	expect_no_handle(0);
}

Test(handle, stale)
{
	void *object = slabd_alloc(cache, 0);
	slabd_handle handle = slabd_handle_of(cache, object);

	slabd_free(cache, object);
	expect_stale(handle, generation_of(handle) + 1);
	cr_assert_eq(slabd_alloc(cache, 0), object, "the same again");
	expect_stale(handle, generation_of(handle) + 1);
	cr_assert_eq(slabd_handle_of(cache, object),
		     handle + (generation_of(handle) == 0xffff ? -(UINT64_C(0xffff) << 32)
							       : UINT64_C(1) << 32));
	slabd_free(cache, object);
}

/* All 64 bits count. */
Test(handle, any_bit_turned)
{
	void *object = slabd_alloc(cache, 0);
	slabd_handle handle = slabd_handle_of(cache, object);

	for (unsigned bit = 0; bit < 64; bit++) {
		slabd_handle forged = handle ^ UINT64_C(1) << bit;

		errno = 0;
		cr_assert_null(slabd_get(cache, forged), "bit %u", bit);
		cr_assert(errno == EINVAL || errno == ESTALE, "bit %u: %d", bit, errno);
		cr_assert_null(slabd_adopt(cache, forged), "bit %u", bit);
		cr_assert_lt(slabd_free_handle(cache, forged), 0, "bit %u", bit);
	}
	cr_assert_eq(slabd_get(cache, handle), object);
	cr_assert_eq(slabd_free_handle(cache, handle), 0);
	expect_stale(handle, generation_of(handle) + 1);
}

Test(handle, forged)
{
	uint64_t x = 88172645463325252u;
	void *object = slabd_alloc(cache, 0);

	for (unsigned i = 0; i < 200000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		cr_assert_null(slabd_get(cache, x));
	}
	expect_no_handle(UINT64_MAX);
	slabd_free(cache, object);
}

Test(handle, of_another_cache)
{
	void *object = slabd_alloc(other, 0);
	slabd_handle handle = slabd_handle_of(other, object);

	expect_no_handle(handle);
	cr_assert_eq(slabd_get(other, handle), object);
	slabd_free(other, object);
	expect_no_handle(handle);
}

/* A handle of a cache that is gone names nothing in the next one of that name. */
Test(handle, of_a_destroyed_cache)
{
	void *object = slabd_alloc(cache, 0);
	slabd_handle handle = slabd_handle_of(cache, object);

	slabd_free(cache, object);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	cache = cache_of(slabd, "thing", 64, 0);
	(void)slabd_alloc(cache, 0);
	cr_assert_null(slabd_get(cache, handle));
	cr_assert(errno == EINVAL || errno == ESTALE);
}

/* A stale handle passes after an exact multiple of 65,536 frees, and after no other number. */
Test(handle, generation_wraps)
{
	void *object = slabd_alloc(cache, 0);
	slabd_handle handle = slabd_handle_of(cache, object);

	for (unsigned i = 1; i <= 65536; i++) {
		slabd_free(cache, object);
		cr_assert_eq(slabd_alloc(cache, 0), object);
		cr_assert_eq(slabd_get(cache, handle), i == 65536 ? object : NULL, "%u", i);
	}
	slabd_free(cache, object);
	expect_stale(handle, generation_of(handle) + 1);
}

/* ---------------------------------------------------------------- adopt */

struct passing {
	struct baton to_child, to_parent;
};

/* Allocates one and gives it away; frees it in vain if it is told to. */
static void give_one(void *arg)
{
	struct passing *passing = arg;
	void *object = slabd_alloc(cache, 0);

	CHECK(object);
	object_fill(object, 64, 9);
	baton_pass(passing->to_parent, slabd_handle_of(cache, object));
	baton_take(passing->to_child);
}

Test(handle, adopt_own)
{
	void *object = slabd_alloc(cache, 0);
	slabd_handle handle = slabd_handle_of(cache, object);

	cr_assert_eq(slabd_adopt(cache, handle), object);
	cr_assert_eq(slabd_handle_of(cache, object), handle, "no new generation");
	slabd_free(cache, object);
	cr_assert_eq(reports, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* What was adopted outlives its first owner. */
Test(handle, adopt_from_the_living)
{
	struct passing passing = {baton_make(), baton_make()};
	struct daemon_client mine, childs;
	pid_t pid = child_start(give_one, &passing);
	slabd_handle handle = baton_take(passing.to_parent);
	void *object;

	cr_assert(daemon_client(&d, pid, &childs));
	cr_assert_eq(childs.live, 1);
	object = slabd_adopt(cache, handle);
	cr_assert(object, "%s", slabd_error());
	cr_assert(object_holds(object, 64, 9));
	cr_assert(daemon_client(&d, pid, &childs));
	cr_assert_eq(childs.live, 0);
	cr_assert(daemon_client(&d, getpid(), &mine));
	cr_assert_eq(mine.live, 1);
	child_kill(pid);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	cr_assert(object_holds(object, 64, 9));
	slabd_free(cache, object);
	cr_assert_eq(reports, 0);
}

static bool one_orphan(const struct daemon_fixture *daemon, const void *arg)
{
	(void)arg;
	return daemon_audit(daemon).orphaned == 1;
}

Test(handle, adopt_an_orphan)
{
	struct passing passing = {baton_make(), baton_make()};
	pid_t pid = child_start(give_one, &passing);
	slabd_handle handle = baton_take(passing.to_parent);
	void *object;

	child_kill(pid);
	DAEMON_UNTIL(&d, one_orphan, NULL);
	object = slabd_adopt(cache, handle);
	cr_assert(object, "%s", slabd_error());
	cr_assert(object_holds(object, 64, 9));
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	cr_assert_eq(daemon_audit(&d).live, 1);
	slabd_free(cache, object);
}

/* Anyone may free an orphan, by handle or by pointer. */
Test(handle, free_an_orphan)
{
	for (unsigned i = 0; i < 2; i++) {
		struct passing passing = {baton_make(), baton_make()};
		pid_t pid = child_start(give_one, &passing);
		slabd_handle handle = baton_take(passing.to_parent);

		child_kill(pid);
		DAEMON_UNTIL(&d, one_orphan, NULL);
		if (i)
			cr_assert_eq(slabd_free_handle(cache, handle), 0);
		else
			slabd_free(cache, slabd_get(cache, handle));
		cr_assert_eq(reports, 0);
		cr_assert_eq(daemon_audit(&d).orphaned, 0);
		expect_stale(handle, generation_of(handle) + 1);
	}
}

/* One that was reclaimed on the way is ESTALE, and never somebody else's new object. */
Test(handle, adopt_after_reclaim)
{
	struct passing passing = {baton_make(), baton_make()};
	slabd_handle handle;
	pid_t pid;

	cr_assert_eq(slabd_cache_destroy(cache), 0);
	cache = cache_of(slabd, "thing", 64, SLABD_RECLAIM);
	pid = child_start(give_one, &passing);
	handle = baton_take(passing.to_parent);
	cr_assert(slabd_get(cache, handle));
	child_kill(pid);
	daemon_expect_log(&d, "died");
	while (slabd_get(cache, handle))
		(void)daemon_stats(&d);
	for (unsigned i = 0; i < 5000; i++) /* it is handed out again, too */
		cr_assert(slabd_alloc(cache, 0));
	cr_assert_null(slabd_adopt(cache, handle));
	cr_assert_eq(errno, ESTALE);
	cr_assert_eq(slabd_free_handle(cache, handle), -ESTALE);
}

/* ---------------------------------------------------------------- free by handle */

Test(handle, free_twice)
{
	slabd_handle handle = slabd_handle_of(cache, slabd_alloc(cache, 0));

	cr_assert_eq(slabd_free_handle(cache, handle), 0);
	expect_stale(handle, generation_of(handle) + 1);
	cr_assert_eq(slabd_free_handle(cache, handle), -ESTALE);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* By handle into full and empty magazines, in a thread that has not freed yet. */
Test(handle, free_many)
{
	static void *objects[10000];

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 10000, objects), 10000);
	for (unsigned i = 0; i < 10000; i++)
		cr_assert_eq(slabd_free_handle(cache, slabd_handle_of(cache, objects[i])), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 10000, objects), 10000);
	slabd_free_bulk(cache, 10000, objects);
}

static void free_root(void *arg)
{
	slabd_handle handle = slabd_root(cache);

	(void)arg;
	CHECK(slabd_free_handle(cache, handle) == 0);
	CHECK(slabd_set_root(cache, handle, 0));
	/* on a busy machine the free may wait for the child to be attached, which this ensures */
	slabd_free(cache, slabd_alloc(cache, 0));
}

/* Strangers find their first object by the root. */
Test(handle, by_root)
{
	void *object = slabd_alloc(cache, 0);

	cr_assert(slabd_set_root(cache, 0, slabd_handle_of(cache, object)));
	cr_assert_eq(child_run(free_root, NULL), 0);
	cr_assert_eq(slabd_root(cache), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}
