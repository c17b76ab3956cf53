/* slabctl top: frames for programs, and the terminal with its keys, sizes, and a slabd that goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define ROW_FIELDS                                                                        \
	"name,id,object_size,stride,slab_bytes,slabs,objects,live,orphaned,in_magazines," \
	"in_slabs,magazine,clients,flags,bytes,allocs,frees,refills,allocs_per_s,"        \
	"frees_per_s,waits_per_s"

static struct ctl_follow top;

static void set_up(void)
{
	ctl_slabd_start();
	setenv("TERM", "xterm", 1);
	setenv("LC_ALL", "C", 1);
	unsetenv("NO_COLOR");
	unsetenv("COLUMNS");
	unsetenv("LINES");
	cr_assert_eq(ctl("create", "zebras", "--size=64", NULL)->code, 0);
	cr_assert_eq(ctl("create", "apes", "--size=4096", NULL)->code, 0);
}

TestSuite(slabctl_top, .init = set_up, .fini = ctl_slabd_stop, .timeout = 100);

static unsigned count(const char *text, const char *wanted)
{
	unsigned n = 0;

	while ((text = strstr(text, wanted))) {
		text++;
		n++;
	}
	return n;
}

/* ---------------------------------------------------------------- batch mode */

Test(slabctl_top, batch)
{
	const struct ctl_run *run = ctl("top", "-b", "-n", "3", "-d", "0.1", NULL);

	cr_assert_eq(run->code, 0, "%s", run->error);
	cr_assert_eq(count(run->out, " USE "), 3, "%s", run->out);
	cr_assert_eq(count(run->out, " zebras\n"), 3);
	cr_assert_eq(count(run->out, "Sorted by objects\n"), 3);
	cr_assert_null(strchr(run->out, '\033'));
	cr_assert_null(strstr(run->out, "orphaned"));
}

Test(slabctl_top, sorts_as_slabtop)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 64};
	static const char *const letters[] = {"a", "b", "c", "l", "n", "o",
					      "p", "s", "u", "k", "r", "w"};
	struct slabd_cache *cache;
	const struct ctl_run *run;
	struct slabd *pool;
	void *object;

	cr_assert_eq(slabd_attach(&pool, NULL), 0);
	cr_assert_eq(slabd_cache_create(pool, "zebras", &args, &cache), 0);
	object = slabd_alloc(cache, 0);
	cr_assert_not_null(object);
	for (unsigned i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
		bool apes_first = strchr("ns", *letters[i]);

		run = ctl("top", "-b", "-n1", "-s", letters[i], NULL);
		cr_assert_eq(run->code, 0, "%s", run->error);
		if (!strchr("pw", *letters[i])) /* both the same there */
			cr_assert_eq(strstr(run->out, " apes\n") < strstr(run->out, " zebras\n"),
				     apes_first, "%s: %s", letters[i], run->out);
	}
	cr_assert_eq(ctl("top", "-s", "v", NULL)->code, 2);
	cr_assert_eq(ctl("top", "-s", "", NULL)->code, 2);
	run = ctl("top", "-s", "name", NULL);
	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->error, "sort \"name\""));
	slabd_free(cache, object);
	slabd_detach(pool);
}

Test(slabctl_top, json)
{
	json_t *frame = ctl_json(ctl("top", "--json", "-n1", NULL)), *row;

	ctl_fields(frame, "time,span_ms,clients,caches");
	row = json_array_get(json_object_get(frame, "caches"), 0);
	ctl_fields(row, ROW_FIELDS);
	cr_assert_eq(json_array_size(json_object_get(frame, "caches")), 2);
	json_decref(frame);
}

Test(slabctl_top, batch_goes_on_while_slabd_is_away)
{
	const struct ctl_run *run;

	setenv("SLABD_TIMEOUT_MS", "1000", 1);
	run = ctl_while_frozen(&ctl_slabd, "zebras", "top", "-b", "-n2", "-d2", NULL);
	cr_assert_eq(run->code, 8);
	cr_assert_not_null(strstr(run->error, "going on"), "%s", run->error);
	unsetenv("SLABD_TIMEOUT_MS");
}

Test(slabctl_top, wants_a_terminal_or_batch_mode)
{
	const struct ctl_run *run = ctl("top", NULL);

	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->error, "slabctl top -b"));
	setenv("TERM", "dumb", 1);
	run = ctl_on_terminal(NULL, "top", NULL);
	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->out, "slabctl top -b"), "%s", run->out);
	setenv("TERM", "no-such-terminal", 1);
	cr_assert_eq(ctl_on_terminal(NULL, "top", NULL)->code, 2);
	unsetenv("TERM");
	cr_assert_eq(ctl_on_terminal(NULL, "top", NULL)->code, 2);
}

/* ---------------------------------------------------------------- on a terminal */

Test(slabctl_top, keys)
{
	ctl_follow_on_terminal(&top, 24, 80, "top", "-d", "60", NULL);
	ctl_follow_until(&top, "zebras");
	cr_assert_not_null(strstr(top.out, "Sorted by objects"));
	ctl_follow_type(&top, "N"); /* either case */
	ctl_follow_until(&top, "name");
	ctl_follow_type(&top, "u");
	ctl_follow_until(&top, "use");
	ctl_follow_type(&top, "?");
	ctl_follow_until(&top, "q ends; sort");
	cr_assert_eq(ctl("create", "later", "--size=64", NULL)->code, 0);
	ctl_follow_type(&top, " "); /* anew, without waiting for a minute */
	ctl_follow_until(&top, "later");
	ctl_follow_type(&top, "\033[B\033[6~Q");
	cr_assert_eq(ctl_follow_end(&top), 0);
}

Test(slabctl_top, ends_after_so_many_frames)
{
	ctl_follow_on_terminal(&top, 24, 80, "top", "-d", "0.1", "-n", "3", NULL);
	cr_assert_eq(ctl_follow_end(&top), 0);
	cr_assert_not_null(strstr(top.out, "zebras"));
}

Test(slabctl_top, narrow_and_then_wide)
{
	ctl_follow_on_terminal(&top, 8, 40, "top", "-d", "60", NULL);
	ctl_follow_until(&top, "zebras");
	cr_assert_not_null(strstr(top.out, "  USE NAME"), "%s", top.out);
	cr_assert_null(strstr(top.out, "OBJ/SLAB"));
	ctl_follow_resize(&top, 24, 100);
	ctl_follow_until(&top, "OBJ/SLAB");
	ctl_follow_resize(&top, 2, 5);
	ctl_follow_resize(&top, 24, 100);
	ctl_follow_type(&top, "q");
	cr_assert_eq(ctl_follow_end(&top), 0);
}

/* An orphan's row is coloured, unless nobody wants colour. */
static void leave_an_orphan(void)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 64};
	struct slabd_cache *cache;
	struct slabd *pool;

	cr_assert_eq(slabd_attach(&pool, NULL), 0);
	cr_assert_eq(slabd_cache_create(pool, "zebras", &args, &cache), 0);
	cr_assert_not_null(slabd_alloc(cache, 0));
	slabd_detach(pool);
}

Test(slabctl_top, colour)
{
	leave_an_orphan();
	ctl_follow_on_terminal(&top, 24, 80, "top", "-n1", NULL);
	cr_assert_eq(ctl_follow_end(&top), 0);
	cr_assert_not_null(strstr(top.out, "\033[33m"));
	cr_assert_not_null(strstr(top.out, ", orphaned 1"));
	setenv("NO_COLOR", "1", 1);
	ctl_follow_on_terminal(&top, 24, 80, "top", "-n1", NULL);
	cr_assert_eq(ctl_follow_end(&top), 0);
	cr_assert_not_null(strstr(top.out, "zebras"));
	for (unsigned i = 30; i < 50; i++) {
		char colour[16];

		snprintf(colour, sizeof(colour), "\033[%um", i);
		cr_assert(i == 39 || !strstr(top.out, colour), "%u", i);
	}
}

Test(slabctl_top, slabd_goes_and_comes_back)
{
	ctl_follow_on_terminal(&top, 24, 80, "top", "-d", "0.1", NULL);
	ctl_follow_until(&top, "zebras");
	ctl_slabd_stop();
	ctl_follow_until(&top, "no slabd at");
	ctl_slabd_start();
	cr_assert_eq(ctl("create", "newcomers", "--size=64", NULL)->code, 0);
	ctl_follow_until(&top, "newcomers");
	ctl_follow_type(&top, "q");
	cr_assert_eq(ctl_follow_end(&top), 0);
}

Test(slabctl_top, slabd_is_stopped)
{
	ctl_follow_on_terminal(&top, 24, 80, "top", "-d", "0.1", NULL);
	ctl_follow_until(&top, "zebras");
	ctl_daemon_freeze(&ctl_slabd, true);
	ctl_follow_until(&top, "no answer from slabd for");
	ctl_follow_type(&top, "q"); /* at once, not after the ten seconds of a timeout */
	cr_assert_eq(ctl_follow_end(&top), 0);
	ctl_daemon_freeze(&ctl_slabd, false);
}
