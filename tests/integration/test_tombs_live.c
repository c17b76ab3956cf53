/* More dead owners of orphans than there are client ids: attaching goes on. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>
#include <stdio.h>

#include "tests/support/attached.h"
#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define DEATHS 24u

static struct slabd_cache *cache;

static void set_up(void)
{
	daemon_start(&d, "--set", "max-clients=4", NULL);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "left", 64, 0);
	MUST(setenv("SLABD_ADDRESS", d.socket, 1) == 0);
}

TestSuite(tombs_live, .init = set_up, .fini = attached_stop, .timeout = 100);

/* In a child: dies with three objects, the first of which the cache's root names. */
static void leave_three(void *arg)
{
	struct slabd *mine;
	struct slabd_cache *left;
	void *object;

	(void)arg;
	slabd_detach(slabd);
	CHECK(slabd_attach(&mine, d.socket) == 0);
	CHECK(slabd_cache_open(mine, "left", &left) == 0);
	object = slabd_alloc(left, 0);
	CHECK(object && slabd_alloc(left, 0) && slabd_alloc(left, 0));
	CHECK(slabd_set_root(left, slabd_root(left), slabd_handle_of(left, object)));
}

static bool all_dead(const struct daemon_fixture *daemon, const void *arg)
{
	return daemon_audit(daemon).orphaned == *(const unsigned *)arg;
}

static void many_deaths(slabd_handle *handles)
{
	for (unsigned i = 0; i < DEATHS; i++) {
		cr_assert_eq(child_run(leave_three, NULL), 0, "death %u", i);
		handles[i] = slabd_root(cache);
	}
	DAEMON_UNTIL(&d, all_dead, &(unsigned){3 * DEATHS});
}

/* What slabctl says: so many owners, of which at most two are known by pid and name. */
static void expect_orphans(unsigned owners, unsigned objects)
{
	json_t *list = ctl_json(ctl("orphans", "--json", NULL)), *row;
	unsigned seen_owners = 0, seen_objects = 0, unknown = 0;
	size_t i;

	json_array_foreach(list, i, row)
	{
		bool known = ctl_count(row, "owner_pid") != 0;

		cr_assert_eq(known, ctl_count(row, "owners") == 1);
		cr_assert_eq(known, *ctl_text(row, "owner_comm") != 0);
		unknown += !known;
		seen_owners += (unsigned)ctl_count(row, "owners");
		seen_objects += (unsigned)ctl_count(row, "objects");
	}
	cr_assert_eq(unknown, 1);
	cr_assert_leq(json_array_size(list), 3);
	cr_assert_eq(seen_owners, owners);
	cr_assert_eq(seen_objects, objects);
	json_decref(list);
}

Test(tombs_live, attaching_goes_on)
{
	slabd_handle handles[DEATHS];

	many_deaths(handles);
	expect_orphans(DEATHS, 3 * DEATHS);
	cr_assert_not_null(strstr(ctl("orphans", NULL)->out, "unknown, "));
	/* a handle is as good after the fold, for adopting and for freeing */
	for (unsigned i = 0; i < DEATHS; i++)
		if (i % 2) {
			void *object = slabd_adopt(cache, handles[i]);

			cr_assert_not_null(object);
			slabd_free(cache, object);
		} else {
			cr_assert_eq(slabd_free_handle(cache, handles[i]), 0);
		}
	expect_orphans(DEATHS, 2 * DEATHS);
	cr_assert_eq(ctl("orphans", "left", "--free", "--yes", NULL)->code, 0);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	slabd_flush(slabd);
}

Test(tombs_live, a_new_worker_knows_them)
{
	slabd_handle handles[DEATHS];

	many_deaths(handles);
	daemon_kill_worker(&d);
	expect_orphans(DEATHS, 3 * DEATHS);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(child_run(leave_three, NULL), 0);
	DAEMON_UNTIL(&d, all_dead, &(unsigned){3 * DEATHS + 9});
	expect_orphans(DEATHS + 3, 3 * DEATHS + 9);
}
