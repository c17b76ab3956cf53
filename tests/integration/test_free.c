/* Frees that are refused: each with its sentence, once, and the object as it was. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <slabd/slabd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/attached.h"

static struct slabd_cache *cache, *other;

static char report[512];
static int marker;

static void on_report(const char *message, void *arg)
{
	cr_assert_eq(arg, &marker);
	reports++;
	snprintf(report, sizeof(report), "%s", message);
}

static void set_up(void)
{
	attached_start();
	cache = cache_of(slabd, "thing", 64, 0);
	other = cache_of(slabd, "other", 100, 0);
	slabd_set_error_handler(on_report, &marker);
}

TestSuite(free, .init = set_up, .fini = attached_stop);

/* One report since the last look, with exactly this sentence after the address. */
__attribute__((format(printf, 2, 3))) static void expect_report(const void *object,
								const char *format, ...)
{
	char text[512];
	va_list args;
	int n = snprintf(text, sizeof(text),
			 "slabd: cache \"thing\": free of %p refused: ", object);

	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	cr_assert_eq(reports, 1, "%u reports; expected: %s", reports, text);
	cr_assert_str_eq(report, text);
	cr_assert_str_eq(slabd_error(), text);
	reports = 0;
}

static void expect_refused(void *object, const char *sentence)
{
	errno = 4711;
	slabd_free(cache, object);
	cr_assert_eq(errno, 4711, "errno is kept");
	expect_report(object, "%s", sentence);
}

/* ---------------------------------------------------------------- fine */

Test(free, null)
{
	void *nothing[3] = {NULL, NULL, NULL};

	errno = 4711;
	slabd_free(cache, NULL);
	slabd_free_bulk(cache, 3, nothing);
	slabd_free_bulk(cache, 0, NULL);
	cr_assert_eq(errno, 4711);
	cr_assert_eq(reports, 0);
	slabd_free(cache, slabd_alloc(cache, 0));
	slabd_free(cache, NULL);
	cr_assert_eq(reports, 0);
}

Test(free, keeps_errno)
{
	static void *objects[2000];

	errno = 4711;
	for (unsigned round = 0; round < 3; round++) {
		cr_assert_eq(slabd_alloc_bulk(cache, 0, 2000, objects), 2000);
		errno = 4711;
		for (unsigned i = 0; i < 2000; i++)
			slabd_free(cache, objects[i]);
		cr_assert_eq(errno, 4711);
	}
	cr_assert_eq(reports, 0);
}

/* ---------------------------------------------------------------- pointers that are no objects */

Test(free, foreign_pointer)
{
	int on_stack;
	void *from_malloc = malloc(64);

	/* before the first alloc and after it: the slow and the fast path */
	for (unsigned round = 0; round < 2; round++) {
		expect_refused(&on_stack, "it lies outside the heap");
		expect_refused(from_malloc, "it lies outside the heap");
		expect_refused((void *)1, "it lies outside the heap");
		expect_refused((void *)UINTPTR_MAX, "it lies outside the heap");
		slabd_free(cache, slabd_alloc(cache, 0));
	}
	free(from_malloc);
}

Test(free, interior_pointer)
{
	char *object = slabd_alloc(cache, 0);

	object_fill(object, 64, 1);
	for (unsigned i = 1; i < 64; i++)
		expect_refused(object + i, "it is an interior pointer, no object's address");
	cr_assert(object_holds(object, 64, 1));
	slabd_free(cache, object);
	cr_assert_eq(reports, 0);
}

static void check_interior_pointers(uint32_t flags)
{
	static const size_t sizes[] = {16, 24, 48, 80, 200, 1000, 5000, 131072};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct slabd_cache *sized;
		char name[16], *object;

		snprintf(name, sizeof(name), "of%zu-%u", sizes[s], flags);
		sized = cache_of(slabd, name, sizes[s], flags);
		object = slabd_alloc(sized, 0);
		reports = 0;
		for (size_t i = 1; i < sizes[s]; i += 1 + sizes[s] / 997)
			slabd_free(sized, object + i);
		cr_assert_eq(reports, (sizes[s] - 2) / (1 + sizes[s] / 997) + 1);
		slabd_free(sized, object);
	}
	reports = 0;
}

/* Of each object size: nothing but the bases of objects is an object. */
Test(free, interior_pointers_of_all_sizes)
{
	check_interior_pointers(0);
	check_interior_pointers(SLABD_HWALIGN);
}

/* A slab's tail: past the last object lie the tags. */
Test(free, tail_of_a_slab)
{
	char *object = slabd_alloc(cache, 0);
	uintptr_t slab = (uintptr_t)object & ~(uintptr_t)65535;

	expect_refused((void *)(slab + 65536 - 64), // NOLINT: an address, no object
		       "it is an interior pointer, no object's address");
	expect_refused((void *)(slab + 65536 - 4), // NOLINT
		       "it is an interior pointer, no object's address");
	slabd_free(cache, object);
}

Test(free, where_nothing_is)
{
	char *object = slabd_alloc(cache, 0);
	uintptr_t heap = (uintptr_t)object & ~((UINT64_C(64) << 20) - 1);

	expect_refused((void *)heap, "it lies in the heap, where no cache has memory"); // NOLINT
	expect_refused((void *)(heap + (60 << 20)),					// NOLINT
		       "it lies in the heap, where no cache has memory");
	slabd_free(cache, object);
}

Test(free, object_of_another_cache)
{
	void *object = slabd_alloc(other, 0);

	object_fill(object, 100, 2);
	expect_refused(object, "it lies in cache \"other\"");
	slabd_free(cache, slabd_alloc(cache, 0));
	expect_refused(object, "it lies in cache \"other\"");
	cr_assert(object_holds(object, 100, 2));
	cr_assert_eq(daemon_audit(&d).live, 1);
	slabd_free(other, object);
	cr_assert_eq(reports, 0);
}

/* ---------------------------------------------------------------- twice */

static unsigned generation_of(slabd_handle handle)
{
	return (unsigned)(handle >> 32) & 0xffff;
}

Test(free, twice)
{
	void *object = slabd_alloc(cache, 0);
	unsigned next = (generation_of(slabd_handle_of(cache, object)) + 1) & 0xffff;
	char text[128];

	slabd_free(cache, object);
	snprintf(text, sizeof(text), "double free: it is free, owner none, generation %u", next);
	expect_refused(object, text);
	expect_refused(object, text);
	slabd_flush(slabd);
	expect_refused(object, text);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* An object that was never handed out is as free. */
Test(free, never_allocated)
{
	char *object = slabd_alloc(cache, 0);
	uintptr_t slab = (uintptr_t)object & ~(uintptr_t)65535;
	uintptr_t other_one = slab + ((uintptr_t)object - slab < 64 * 400 ? 64 * 900 : 0);

	slabd_free(cache, (void *)other_one); // NOLINT: an address
	cr_assert_eq(reports, 1);
	cr_assert(strstr(report, "refused: double free: it is free, owner none, generation "), "%s",
		  report);
	reports = 0;
	slabd_free(cache, object);
	cr_assert_eq(reports, 0);
}

Test(free, twice_after_its_magazine_moved)
{
	static void *objects[5000];

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 5000, objects), 5000);
	slabd_free_bulk(cache, 5000, objects);
	cr_assert_eq(reports, 0);
	slabd_free_bulk(cache, 5000, objects);
	cr_assert_eq(reports, 5000);
	cr_assert_eq(slabd_cache_shrink(cache), 0);
	reports = 0;
	slabd_free(cache, objects[0]);
	cr_assert_eq(reports, 1);
	cr_assert(strstr(report, "it lies in the heap, where no cache has memory"), "%s", report);
	reports = 0;
}

struct given {
	void *object;
	char text[256];
	unsigned times;
};

static void on_child_report(const char *message, void *arg)
{
	struct given *given = arg;

	given->times++;
	snprintf(given->text, sizeof(given->text), "%s", message);
}

static void free_given(void *arg)
{
	struct given *given = arg;

	/* attached from here on: else the free may have to wait for that on a busy machine */
	slabd_free(cache, slabd_alloc(cache, 0));
	slabd_free(cache, given->object);
	CHECK(given->times == 0);
}

static void free_given_in_vain(void *arg)
{
	struct given *given = arg;

	slabd_set_error_handler(on_child_report, given);
	slabd_free(cache, given->object);
	CHECK(given->times == 1);
	CHECK(strstr(given->text, "refused: double free: it is free, owner none"));
}

/* Another process frees it; then we do, then it does. */
Test(free, twice_from_another_process)
{
	struct given given = {.object = slabd_alloc(cache, 0)};
	unsigned next = (generation_of(slabd_handle_of(cache, given.object)) + 1) & 0xffff;
	char text[128];

	cr_assert_eq(child_run(free_given, &given), 0);
	snprintf(text, sizeof(text), "double free: it is free, owner none, generation %u", next);
	expect_refused(given.object, text);
	cr_assert_eq(child_run(free_given_in_vain, &given), 0);
	cr_assert_eq(reports, 0, "our handler hears nothing of it");
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* The same where every free is a CAS. */
Test(free, twice_strict)
{
	struct given given;
	char text[128];
	unsigned next;

	cr_assert_eq(slabd_cache_destroy(cache), 0);
	cache = cache_of(slabd, "thing", 64, SLABD_STRICT);
	given = (struct given){.object = slabd_alloc(cache, 0)};
	next = (generation_of(slabd_handle_of(cache, given.object)) + 1) & 0xffff;
	slabd_free(cache, given.object);
	snprintf(text, sizeof(text), "double free: it is free, owner none, generation %u", next);
	expect_refused(given.object, text);
	cr_assert_eq(child_run(free_given_in_vain, &given), 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

/* ---------------------------------------------------------------- who is told */

/* Runs body in a child with stderr in a file: its exit code. */
static int run_captured(void (*body)(void *arg), void *arg, char *text, size_t bytes)
{
	int saved, file = open(d.directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), code;
	ssize_t n;

	cr_assert_geq(file, 0);
	fflush(NULL);
	saved = dup(2);
	dup2(file, 2);
	code = child_run(body, arg);
	dup2(saved, 2);
	close(saved);
	n = pread(file, text, bytes - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	close(file);
	return code;
}

static void free_by_default_handler(void *arg)
{
	slabd_set_error_handler(NULL, NULL);
	slabd_free(cache, arg);
}

static void free_and_abort(void *arg)
{
	const struct rlimit none = {0};

	setrlimit(RLIMIT_CORE, &none);
	setenv("SLABD_ABORT", "1", 1);
	free_by_default_handler(arg);
}

Test(free, default_handler)
{
	static const char tail[] = "refused: double free: it is free, owner none, generation ";
	void *object = slabd_alloc(cache, 0);
	char text[1024], start[128];

	slabd_free(cache, object);
	cr_assert_eq(run_captured(free_by_default_handler, object, text, sizeof(text)), 0);
	snprintf(start, sizeof(start), "slabd: cache \"thing\": free of %p %s", object, tail);
	cr_assert_eq(strncmp(text, start, strlen(start)), 0, "%s", text);
	cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line: %s", text);
}

Test(free, abort_if_wanted)
{
	void *object = slabd_alloc(cache, 0);
	char text[1024];

	slabd_free(cache, object);
	cr_assert_eq(run_captured(free_and_abort, object, text, sizeof(text)), 128 + 6);
	cr_assert(strstr(text, "refused: double free"), "%s", text);
	cr_assert_eq(daemon_audit(&d).live, 0);
}

static void handler_that_calls(const char *message, void *arg)
{
	void *object = slabd_alloc(cache, 0);

	(void)message;
	(void)arg;
	reports++;
	slabd_free(cache, object);
	slabd_flush(slabd);
}

Test(free, handler_may_call_slabd)
{
	void *objects[4];
	int on_stack;

	cr_assert_eq(slabd_alloc_bulk(cache, 0, 3, objects), 3);
	objects[3] = objects[2];
	objects[2] = &on_stack;
	slabd_set_error_handler(handler_that_calls, NULL);
	slabd_free_bulk(cache, 4, objects);
	cr_assert_eq(reports, 1);
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_eq(daemon_audit(&d).in_magazines > 0, true);
}
