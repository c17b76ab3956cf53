/* slabctl set: what is answered, what is refused, and that a new worker knows it. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

static void set_up(void)
{
	ctl_slabd_start();
	cr_assert_eq(ctl("create", "a", "--size=64", NULL)->code, 0);
}

TestSuite(slabctl_set, .init = set_up, .fini = ctl_slabd_stop, .timeout = 100);

static json_int_t shown(const char *field)
{
	json_t *cache = ctl_json(ctl("cache", "a", "--json", NULL));
	json_int_t value = ctl_count(cache, field);

	json_decref(cache);
	return value;
}

Test(slabctl_set, says_what_was_and_what_is)
{
	json_t *set = ctl_json(ctl("set", "a", "surplus=20", "--json", NULL));

	ctl_fields(set, "name,key,value,before");
	cr_assert_str_eq(ctl_text(set, "key"), "surplus");
	cr_assert_eq(ctl_count(set, "value"), 20);
	cr_assert_eq(ctl_count(set, "before"), 8);
	json_decref(set);
	cr_assert_str_eq(ctl("set", "a", "batch=5", NULL)->out,
			 "cache \"a\": batch is now 5 (was 2)\n");
	cr_assert_eq(shown("surplus"), 20);
	cr_assert_not_null(strstr(ctl("cache", "a", NULL)->out, "surplus 20, batch 5"));
	cr_assert_str_eq(ctl("set", "a", "batch=default", NULL)->out,
			 "cache \"a\": batch is now 2 (was 5)\n");
}

Test(slabctl_set, holds_over_a_restart_of_the_worker)
{
	cr_assert_eq(ctl("set", "a", "surplus=20", NULL)->code, 0);
	ctl_daemon_kill_worker(&ctl_slabd);
	cr_assert_eq(shown("surplus"), 20);
	cr_assert_eq(shown("batch"), 2);
}

Test(slabctl_set, wrong)
{
	cr_assert(ctl_failed(ctl("set", NULL), 2, "wants NAME;", "slabctl set --help"));
	cr_assert(ctl_failed(ctl("set", "a", NULL), 2, "wants KEY=VALUE;", "slabctl set --help"));
	cr_assert(ctl_failed(ctl("set", "a", "surplus=1", "x", NULL), 2, "\"x\"",
			     "slabctl set --help"));
	cr_assert(ctl_failed(ctl("set", "a", "surplus", NULL), 2, "\"surplus\"", "KEY=NUMBER"));
	cr_assert(ctl_failed(ctl("set", "a", "=1", NULL), 2, "\"=1\"", "KEY=NUMBER"));
	cr_assert(ctl_failed(ctl("set", "a", "surplus=", NULL), 2, "surplus \"\"", "whole number"));
	cr_assert(ctl_failed(ctl("set", "a", "surplus=-1", NULL), 2, "surplus \"-1\"",
			     "whole number"));
	cr_assert(ctl_failed(ctl("set", "a", "surplus=65536", NULL), 1, "surplus 65536",
			     "0 to 65535"));
	cr_assert(ctl_failed(ctl("set", "a", "batch=0", NULL), 1, "batch 0", "1 to 64"));
	cr_assert(ctl_failed(ctl("set", "a", "colour=1", NULL), 1, "\"colour\"", "surplus, batch"));
	cr_assert(ctl_failed(ctl("set", "none", "batch=1", NULL), 3, "\"none\"", "slabctl caches"));
	cr_assert(ctl_failed(ctl("set", "a/b", "batch=1", NULL), 2, "\"a/b\"", "A-Z"));
}
