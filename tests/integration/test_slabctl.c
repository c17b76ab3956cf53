/* Each verb of slabctl against a real slabd: exit code, text, and the JSON fields that are promised. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "proto/version.h"
#include "shm/geometry.h"
#include "shm/tag.h"
#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define CACHE_FIELDS                                                                      \
	"name,id,object_size,stride,slab_bytes,slabs,objects,live,orphaned,in_magazines," \
	"in_slabs,magazine,clients,flags,bytes,allocs,frees,refills"

TestSuite(slabctl, .init = ctl_slabd_start, .fini = ctl_slabd_stop, .timeout = 100);

static void assert_balanced(void)
{
	json_t *audit = ctl_json(ctl("audit", "--json", NULL));

	cr_assert(json_is_true(json_object_get(audit, "balanced")));
	json_decref(audit);
}

/* ---------------------------------------------------------------- a client in this process */

static struct slabd *attach(void)
{
	struct slabd *pool;

	cr_assert_eq(slabd_attach(&pool, NULL), 0, "%s", slabd_error());
	return pool;
}

static struct slabd_cache *make_cache(struct slabd *pool, const char *name, size_t size)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = size};
	struct slabd_cache *cache;

	cr_assert_eq(slabd_cache_create(pool, name, &args, &cache), 0, "%s", slabd_error());
	return cache;
}

static void *need_object(struct slabd_cache *cache)
{
	void *object = slabd_alloc(cache, SLABD_ZERO);

	cr_assert_not_null(object, "%s", slabd_error());
	return object;
}

/* A child that is a client with live objects; it says so with a byte, and then lives until its stdin
 * ends (stays), or dies at once.  No assertion in it: it speaks by its exit code. */
static pid_t spawn_client(const char *name, unsigned objects, bool stays, int *leash)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 100};
	int ready[2], hold[2];
	struct slabd_cache *cache;
	struct slabd *pool;
	char byte;
	pid_t pid;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(hold, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		if (slabd_attach(&pool, NULL) < 0 ||
		    slabd_cache_create(pool, name, &args, &cache) < 0)
			_exit(1);
		for (unsigned i = 0; i < objects; i++)
			if (!slabd_alloc(cache, 0))
				_exit(2);
		if (write(ready[1], "x", 1) != 1)
			_exit(3);
		_exit(stays && read(hold[0], &byte, 1) < 0 ? 4 : 0);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the child did not become a client");
	close(ready[0]);
	close(hold[0]);
	*leash = hold[1];
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---------------------------------------------------------------- reports */

Test(slabctl, ping)
{
	const struct ctl_run *run = ctl("ping", NULL);
	json_t *pong;

	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->out, ctl_slabd.socket));
	cr_assert_str_empty(run->error);
	pong = ctl_json(ctl("ping", "--wait=1", "--json", NULL));
	cr_assert_str_eq(ctl_text(pong, "version"), SLABD_VERSION_STRING);
	json_decref(pong);
}

Test(slabctl, status)
{
	json_t *status = ctl_json(ctl("status", "--json", NULL));
	const struct ctl_run *run;

	ctl_fields(status, "version,address,backing,heap_bytes,heap_used_bytes,memory_bytes,caches,"
			   "clients,worker_restarts,refills,refill_wait_us_p99");
	cr_assert_str_eq(ctl_text(status, "version"), SLABD_VERSION_STRING);
	cr_assert_str_eq(ctl_text(status, "address"), ctl_slabd.socket);
	cr_assert_str_eq(ctl_text(status, "backing"), "pages");
	cr_assert_eq(ctl_count(status, "heap_bytes"), 64 << 20);
	cr_assert_eq(ctl_count(status, "caches"), 0);
	cr_assert_eq(ctl_count(status, "worker_restarts"), 0);
	json_decref(status);

	run = ctl("status", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->out, "64.0 MiB"));
	cr_assert_not_null(strstr(run->out, "4 KiB pages"));
}

Test(slabctl, caches_counts_what_a_client_holds)
{
	struct slabd *pool = attach();
	struct slabd_cache *cache = make_cache(pool, "sessions", 192);
	void *objects[3];
	json_t *caches, *row;

	for (unsigned i = 0; i < 3; i++)
		objects[i] = need_object(cache);
	caches = ctl_json(ctl("caches", "--json", NULL));
	cr_assert_eq(json_array_size(caches), 1);
	row = json_array_get(caches, 0);
	ctl_fields(row, CACHE_FIELDS);
	cr_assert_str_eq(ctl_text(row, "name"), "sessions");
	cr_assert_eq(ctl_count(row, "object_size"), 192);
	cr_assert_eq(ctl_count(row, "stride"), 192);
	cr_assert_eq(ctl_count(row, "live"), 3);
	cr_assert_eq(ctl_count(row, "clients"), 1);
	cr_assert_eq(ctl_count(row, "flags"), 0);
	cr_assert_eq(ctl_count(row, "objects"),
		     ctl_count(row, "live") + ctl_count(row, "in_magazines") +
			     ctl_count(row, "in_slabs") + ctl_count(row, "orphaned"));
	cr_assert_eq(ctl_count(row, "bytes"),
		     ctl_count(row, "slabs") * ctl_count(row, "slab_bytes"));
	json_decref(caches);

	cr_assert_not_null(strstr(ctl("caches", NULL)->out, "sessions"));
	slabd_free_bulk(cache, 3, objects);
	slabd_cache_close(cache);
	slabd_detach(pool);
	assert_balanced();
}

Test(slabctl, cache_shows_a_map_of_its_slabs)
{
	struct slabd *pool = attach();
	struct slabd_cache *cache = make_cache(pool, "pages", 8192);
	static void *objects[900];
	const struct ctl_run *run;
	json_t *row;
	size_t slabs;

	/* 128 slabs of 64 KiB and more: two lines of the map at least */
	for (unsigned i = 0; i < 900; i++)
		objects[i] = need_object(cache);
	row = ctl_json(ctl("cache", "pages", "--json", NULL));
	ctl_fields(row, CACHE_FIELDS ",slab_map,surplus,batch");
	slabs = (size_t)ctl_count(row, "slabs");
	cr_assert_eq(strlen(ctl_text(row, "slab_map")), slabs);
	cr_assert_eq(strspn(ctl_text(row, "slab_map"), ".123456789#"), slabs);
	cr_assert_eq(ctl_count(row, "live"), 900);
	json_decref(row);

	run = ctl("cache", "pages", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->out, "900 live"));
	cr_assert_not_null(strstr(run->out, "\n          ################################"
					    "################################\n"));
	slabd_free_bulk(cache, 900, objects);
	slabd_cache_close(cache);
	slabd_detach(pool);
	assert_balanced();
}

Test(slabctl, clients)
{
	int leash;
	pid_t pid = spawn_client("things", 5, true, &leash);
	json_t *clients = ctl_json(ctl("clients", "--json", NULL)), *row;
	const struct ctl_run *run;
	char text[16];

	cr_assert_eq(json_array_size(clients), 1);
	row = json_array_get(clients, 0);
	ctl_fields(row, "id,pid,uid,comm,threads,live,in_magazines,refills");
	cr_assert_eq(ctl_count(row, "pid"), pid);
	cr_assert_eq(ctl_count(row, "uid"), geteuid());
	cr_assert_eq(ctl_count(row, "threads"), 1);
	cr_assert_eq(ctl_count(row, "live"), 5);
	cr_assert_str_eq(ctl_text(row, "comm"), "test_slabctl");
	json_decref(clients);

	run = ctl("clients", NULL);
	snprintf(text, sizeof(text), " %d ", pid);
	cr_assert_not_null(strstr(run->out, text));
	cr_assert_not_null(strstr(run->out, "attached"));
	close(leash);
	cr_assert_eq(wait_for(pid), 0);
}

Test(slabctl, empty_lists)
{
	const struct ctl_run *run = ctl("caches", "--json", NULL);

	cr_assert_eq(run->code, 0);
	cr_assert_str_eq(run->out, "[]\n");
	cr_assert_str_eq(ctl("clients", "--json", NULL)->out, "[]\n");
	cr_assert_str_eq(ctl("orphans", "--json", NULL)->out, "[]\n");
	run = ctl("caches", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_str_empty(run->out);
	cr_assert_not_null(strstr(run->error, "slabctl create"));
}

/* ---------------------------------------------------------------- caches made and gone */

Test(slabctl, create_with_every_option)
{
	json_t *row =
		ctl_json(ctl("create", "--json", "full", "--size=1K", "--align", "256", "--flags",
			     "reclaim,strict", "--hwalign", "--magazine=50", "--exclusive", NULL));

	ctl_fields(row, "name,id");
	json_decref(row);
	row = ctl_json(ctl("--json", "cache", "full", NULL));
	cr_assert_eq(ctl_count(row, "object_size"), 1024);
	cr_assert_eq(ctl_count(row, "stride"), 1024);
	cr_assert_eq(ctl_count(row, "flags"), 7);
	cr_assert_eq(ctl_count(row, "magazine"), 50);
	cr_assert_eq(ctl_count(row, "clients"), 0);
	json_decref(row);
	cr_assert_not_null(strstr(ctl("caches", NULL)->out, "reclaim,strict,hwalign"));
}

Test(slabctl, create_again)
{
	const struct ctl_run *run;

	cr_assert_eq(ctl("create", "a", "--size", "64", NULL)->code, 0);
	cr_assert_eq(ctl("create", "a", "--size", "64", NULL)->code, 0);
	run = ctl("create", "a", "--size", "64", "--exclusive", NULL);
	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->error, "\"a\" exists"));
	run = ctl("create", "a", "--size", "65", NULL);
	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->error, "64"));
	cr_assert_not_null(strstr(run->error, "65"));
}

Test(slabctl, destroy)
{
	json_t *gone;

	cr_assert_eq(ctl("create", "a", "--size", "64", NULL)->code, 0);
	gone = ctl_json(ctl("destroy", "a", "--yes", "--json", NULL));
	cr_assert_str_eq(ctl_text(gone, "name"), "a");
	json_decref(gone);
	cr_assert_eq(ctl("destroy", "a", "--yes", NULL)->code, 3);
	cr_assert_eq(ctl("cache", "a", NULL)->code, 3);
	cr_assert_eq(ctl("create", "a", "--size", "128", NULL)->code, 0);
}

Test(slabctl, destroy_refuses_while_objects_are_live)
{
	struct slabd *pool = attach();
	struct slabd_cache *cache = make_cache(pool, "busy", 64);
	void *object = need_object(cache);
	const struct ctl_run *run = ctl("destroy", "busy", "--yes", NULL);

	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->error, "\"busy\": 1 objects are live"));
	cr_assert_eq(ctl("cache", "busy", NULL)->code, 0);
	slabd_free(cache, object);
	slabd_detach(pool);
	assert_balanced();
}

Test(slabctl, destroy_asks_on_a_terminal_and_wants_yes_elsewhere)
{
	const struct ctl_run *run;

	cr_assert_eq(ctl("create", "a", "--size", "64", NULL)->code, 0);
	run = ctl("destroy", "a", NULL);
	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->error, "slabctl destroy a --yes"));
	run = ctl_on_terminal("n\n", "destroy", "a", NULL);
	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->out, "Destroy cache \"a\" (0 objects live)?"));
	cr_assert_not_null(strstr(run->out, "nothing was done"));
	cr_assert_eq(ctl("cache", "a", NULL)->code, 0);
	cr_assert_eq(ctl_on_terminal("\n", "destroy", "a", NULL)->code, 1);
	cr_assert_eq(ctl_on_terminal("y\n", "destroy", "a", NULL)->code, 0);
	cr_assert_eq(ctl("cache", "a", NULL)->code, 3);
	cr_assert_eq(ctl_on_terminal(NULL, "destroy", "a", NULL)->code, 3);
}

Test(slabctl, shrink_gives_back_what_is_free)
{
	struct slabd *pool = attach();
	struct slabd_cache *cache = make_cache(pool, "a", 8192);
	static void *objects[900];
	json_t *given;

	for (unsigned i = 0; i < 900; i++)
		objects[i] = need_object(cache);
	slabd_free_bulk(cache, 900, objects);
	slabd_cache_close(cache);
	slabd_detach(pool);
	given = ctl_json(ctl("shrink", "a", "--json", NULL));
	ctl_fields(given, "bytes");
	cr_assert_gt(ctl_count(given, "bytes"), 0);
	json_decref(given);
	given = ctl_json(ctl("cache", "a", "--json", NULL));
	cr_assert_eq(ctl_count(given, "slabs"), 0);
	cr_assert_str_eq(ctl_text(given, "slab_map"), "");
	json_decref(given);
	cr_assert_not_null(strstr(ctl("shrink", "--all", NULL)->out, "given back"));
	cr_assert_eq(ctl("shrink", "none", NULL)->code, 3);
	assert_balanced();
}

/* ---------------------------------------------------------------- audit, orphans, evict */

Test(slabctl, audit_balances)
{
	struct slabd *pool = attach();
	struct slabd_cache *cache = make_cache(pool, "a", 64);
	void *object = need_object(cache);
	json_t *audit = ctl_json(ctl("audit", "--json", NULL)), *row;

	ctl_fields(audit, "balanced,caches");
	cr_assert(json_is_true(json_object_get(audit, "balanced")));
	row = json_array_get(json_object_get(audit, "caches"), 0);
	ctl_fields(row, "name,objects,in_slabs,in_magazines,live,orphaned,freeing,lost,doubled");
	cr_assert_eq(ctl_count(row, "live"), 1);
	cr_assert_eq(ctl_count(row, "objects"),
		     ctl_count(row, "in_slabs") + ctl_count(row, "in_magazines") + 1);
	json_decref(audit);
	cr_assert_not_null(strstr(ctl("audit", NULL)->out, "balanced"));
	slabd_free(cache, object);
	slabd_detach(pool);
	assert_balanced();
}

/* A writer that damages its object's tag: the object is in no magazine, yet says so. */
Test(slabctl, audit_finds_damage)
{
	struct geometry_request request = {.object_size = 64};
	struct slabd *pool = attach();
	struct slabd_cache *cache = make_cache(pool, "hurt", 64);
	struct geometry g;
	char *object = need_object(cache), *slab, why[256];
	const struct ctl_run *run;
	slab_tag *tag;

	cr_assert_eq(geometry_make(&g, &request, HEAP_BYTES_MIN, UINT32_MAX, why, sizeof(why)), 0);
	slab = (char *)((uintptr_t)object & ~(uintptr_t)(geometry_slab_bytes(&g) - 1));
	tag = (slab_tag *)(slab + g.tag_offset +
			   ((size_t)(object - slab) >> REF_SHIFT >> g.tag_shift) * sizeof(*tag));
	store_relaxed(tag, tag_make(0, TAG_CIRC, 1));
	run = ctl("audit", NULL);
	cr_assert_eq(run->code, 6, "%d: %s%s", run->code, run->out, run->error);
	cr_assert_not_null(strstr(run->out, "not balanced"));
	cr_assert_not_null(strstr(run->error, "1 objects lost, 0 doubled"));
	run = ctl("audit", "--json", NULL);
	cr_assert_eq(run->code, 6);
	cr_assert_not_null(strstr(run->out, "\"balanced\": false"));
	slabd_detach(pool);
}

/* What slabd says of orphans once it has learnt of a death. */
static json_t *wait_for_orphans(void)
{
	for (unsigned tries = 0; tries < 5000; tries++) {
		json_t *orphans = ctl_json(ctl("orphans", "--json", NULL));

		if (json_array_size(orphans) > 0)
			return orphans;
		json_decref(orphans);
	}
	cr_assert_fail("no orphans");
	return NULL;
}

Test(slabctl, orphans)
{
	int leash;
	pid_t pid = spawn_client("left", 7, false, &leash);
	const struct ctl_run *run;
	json_t *orphans, *row;
	char text[32];

	cr_assert_eq(wait_for(pid), 0);
	close(leash);
	orphans = wait_for_orphans();
	cr_assert_eq(json_array_size(orphans), 1);
	row = json_array_get(orphans, 0);
	ctl_fields(row, "cache,owner_pid,owner_comm,owners,objects,bytes");
	cr_assert_str_eq(ctl_text(row, "cache"), "left");
	cr_assert_eq(ctl_count(row, "owner_pid"), pid);
	cr_assert_str_eq(ctl_text(row, "owner_comm"), "test_slabctl");
	cr_assert_eq(ctl_count(row, "owners"), 1);
	cr_assert_eq(ctl_count(row, "objects"), 7);
	cr_assert_eq(ctl_count(row, "bytes"), 7 * 112);
	json_decref(orphans);

	run = ctl("orphans", "left", NULL);
	snprintf(text, sizeof(text), "%d  test_slabctl", pid);
	cr_assert_not_null(strstr(run->out, text));
	cr_assert_eq(ctl("orphans", "none", NULL)->code, 3);
	run = ctl("orphans", "left", "--free", NULL);
	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->error, "slabctl orphans left --free --yes"));
	run = ctl_on_terminal("no\n", "orphans", "--free", NULL);
	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->out, "Free 7 orphans"));
	run = ctl("orphans", "left", "--free", "--yes", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->out, "7 objects freed"));
	cr_assert_str_eq(ctl("orphans", "--json", NULL)->out, "[]\n");
	assert_balanced();
}

Test(slabctl, evict_kills_and_takes_back)
{
	int leash, status;
	pid_t pid = spawn_client("held", 3, true, &leash);
	const struct ctl_run *run;
	char text[16];
	json_t *gone;

	snprintf(text, sizeof(text), "%d", pid);
	run = ctl("evict", text, NULL);
	cr_assert_eq(run->code, 2);
	cr_assert_not_null(strstr(run->error, "--yes"));
	cr_assert_eq(ctl_on_terminal("n\n", "evict", text, NULL)->code, 1);
	cr_assert_eq(waitpid(pid, &status, WNOHANG), 0);
	gone = ctl_json(ctl("evict", text, "--yes", "--json", NULL));
	ctl_fields(gone, "pid,clients");
	cr_assert_eq(ctl_count(gone, "pid"), pid);
	cr_assert_eq(ctl_count(gone, "clients"), 1);
	json_decref(gone);
	status = wait_for(pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_assert_str_eq(ctl("clients", "--json", NULL)->out, "[]\n");
	run = ctl("evict", text, "--yes", NULL);
	cr_assert_eq(run->code, 3);
	cr_assert_not_null(strstr(run->error, text));
	close(leash);
	assert_balanced();
}
