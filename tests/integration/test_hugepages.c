/* Hugetlb pages: backed by them when they are required, given back, and an error in time where they
 * run out.  The pages are the machine's, so this runs alone, as root, one test after the other.
 *
 * Where the pool can't be filled (no root, a container, a full machine) each test says so, and sees
 * that slabd does without: whatever it falls back to, it serves. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/internal.h"
#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

#define POOL	 "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define CGROUPS	 "/sys/fs/cgroup"
#define NEEDED	 32 /* for the 64 MiB of the fixture's slabd */
#define PER_PAGE 2097152

static struct daemon_fixture d;
static unsigned long reserved_before;
static int pool_lock; /* for other runs of this program on the machine */

__attribute__((constructor)) static void one_at_a_time(void)
{
	setenv("CRITERION_JOBS", "1", 1);
}

/* ---------------------------------------------------------------- the pool */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static unsigned long read_number(const char *path)
{
	unsigned long number = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

static unsigned long free_pages(void)
{
	return read_number(POOL "free_hugepages");
}

/* Makes exactly this many free. */
static bool set_free(unsigned long wanted)
{
	unsigned long used = read_number(POOL "nr_hugepages") - free_pages();
	char text[32];

	snprintf(text, sizeof(text), "%lu", used + wanted);
	return write_text(POOL "nr_hugepages", text) && free_pages() == wanted;
}

static void set_up(void)
{
	pool_lock = open(POOL "nr_hugepages", O_RDONLY | O_CLOEXEC);
	flock(pool_lock, LOCK_EX);
	reserved_before = read_number(POOL "nr_hugepages");
	daemon_prepare(&d);
}

static void tear_down(void)
{
	char text[32];

	if (d.keeper) {
		daemon_audit(&d);
		daemon_stop(&d);
	}
	snprintf(text, sizeof(text), "%lu", reserved_before);
	write_text(POOL "nr_hugepages", text);
	close(pool_lock);
}

TestSuite(hugepages, .init = set_up, .fini = tear_down, .timeout = 100);

static void *objects[100000];

/* It serves, whatever it stands on. */
static void use(size_t bytes)
{
	struct slabd *slabd = attach_to(d.socket);
	struct slabd_cache *cache = cache_of(slabd, "thing", 1000, 0);
	size_t n = bytes / 1000;

	cr_assert_eq(slabd_alloc_bulk(cache, 0, n, objects), n, "%s", slabd_error());
	for (size_t i = 0; i < n; i++)
		object_fill(objects[i], 1000, i);
	for (size_t i = 0; i < n; i++)
		cr_assert(object_holds(objects[i], 1000, i));
	slabd_free_bulk(cache, n, objects);
	cr_assert_eq(slabd_cache_destroy(cache), 0, "%s", slabd_error());
	slabd_detach(slabd);
}

/* True if so many are free now; else that slabd does without was seen. */
static bool have_pages(unsigned long wanted)
{
	if (set_free(wanted))
		return true;
	fprintf(stderr, "hugepages: %lu can't be reserved here (%lu free): without them\n", wanted,
		free_pages());
	daemon_start(&d, NULL);
	use(10 << 20);
	return false;
}

/* ---------------------------------------------------------------- tests */

static bool all_are_back(const struct daemon_fixture *daemon, const void *arg)
{
	(void)daemon_stats(daemon);
	return free_pages() == *(const unsigned long *)arg;
}

/* Each extent in use is a page less in the pool, and comes back. */
Test(hugepages, required_and_backed)
{
	unsigned long all = NEEDED + 8, before;
	struct slabd_cache *cache;
	struct slabd *slabd;

	if (!have_pages(all))
		return;
	cr_assert_eq(daemon_run(&d, "--check", "--socket", d.socket, "--size=64M",
				"--hugepages=require", NULL),
		     0);
	cr_assert(daemon_logged(&d, "ok    memory     heap of 64 MiB on hugetlb"));
	cr_assert_eq(free_pages(), all, "a check takes none");
	daemon_start(&d, "--hugepages=require", NULL);
	cr_assert_str_eq(daemon_stats(&d).backing, "hugetlb");
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, 0);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 30000, objects), 30000, "%s", slabd_error());
	for (size_t i = 0; i < 30000; i++)
		object_fill(objects[i], 1000, i);
	(void)daemon_stats(&d); /* what was rung for before is served before that */
	before = free_pages();
	cr_assert_eq(all - before, daemon_stats(&d).heap_used_bytes / PER_PAGE);
	cr_assert_geq(all - before, 30000 * 1000 / PER_PAGE);
	for (size_t i = 0; i < 30000; i++)
		cr_assert(object_holds(objects[i], 1000, i));
	slabd_free_bulk(cache, 30000, objects);
	cr_assert_eq(slabd_cache_shrink(cache), 0, "%s", slabd_error());
	DAEMON_UNTIL(&d, all_are_back, &all);
	slabd_detach(slabd);
	daemon_stop(&d);
	cr_assert_eq(free_pages(), all);
}

/* Too few for all of --size: none is taken, and the reason is told. */
Test(hugepages, preferred_and_too_few)
{
	char text[160];

	if (!have_pages(NEEDED - 1))
		return;
	daemon_start(&d, NULL);
	cr_assert_str_neq(daemon_stats(&d).backing, "hugetlb");
	snprintf(text, sizeof(text),
		 "%u hugepages of 2 MiB free, %u needed for 64 MiB; reserve them with: sysctl "
		 "vm.nr_hugepages=%lu",
		 NEEDED - 1, NEEDED, read_number(POOL "nr_hugepages") + 1);
	cr_assert(daemon_logged(&d, text), "%s", text);
	use(30 << 20);
	cr_assert_eq(free_pages(), NEEDED - 1);
}

/* Of this process's mapping of the heap: bytes that huge pages map. */
static unsigned long mapped_huge(const void *object)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long from, end, kib = 0;
	bool inside = false;
	char line[256];

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &from, &end) == 2)
			inside = (uintptr_t)object >= from && (uintptr_t)object < end;
		else if (inside && sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
			break;
	}
	fclose(file);
	return kib << 10;
}

/* Without reserved pages slabd makes some, if it says so; a client sees them as such. */
Test(hugepages, made_from_ordinary_memory)
{
	struct slabd_cache *cache;
	struct slabd *slabd;

	set_free(0); /* if that may be; another's pages stay */
	daemon_start(&d, NULL);
	if (strcmp(daemon_stats(&d).backing, "thp") != 0) {
		fprintf(stderr, "hugepages: none are made here: %s\n", daemon_stats(&d).backing);
		use(10 << 20);
		return;
	}
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, 0);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 8000, objects), 8000, "%s", slabd_error());
	for (size_t i = 0; i < 8000; i++)
		object_fill(objects[i], 1000, i);
	cr_assert_geq(mapped_huge(objects[0]), 3 * PER_PAGE);
	slabd_free_bulk(cache, 8000, objects);
	slabd_detach(slabd);
}

Test(hugepages, preferred_and_there)
{
	if (!have_pages(NEEDED))
		return;
	daemon_start(&d, NULL);
	cr_assert_str_eq(daemon_stats(&d).backing, "hugetlb");
	use(30 << 20);
}

Test(hugepages, required_and_too_few)
{
	if (!have_pages(NEEDED - 1))
		return;
	cr_assert_eq(
		daemon_run(&d, "--socket", d.socket, "--size=64M", "--hugepages=require", NULL), 3);
	cr_assert(daemon_logged(&d,
				"error: hugepages=require: 31 hugepages of 2 MiB free, 32 needed "
				"for 64 MiB; reserve them with: sysctl vm.nr_hugepages="));
}

/* Somebody else takes the pages away while slabd runs: no memory, with the numbers, and never SIGBUS. */
Test(hugepages, pool_that_runs_dry)
{
	struct slabd_cache *cache;
	struct slabd *slabd;
	size_t n = 0, again = 0;

	if (!have_pages(NEEDED))
		return;
	daemon_start(&d, "--hugepages=require", NULL);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, 0);
	cr_assert(set_free(5));
	while ((objects[n] = slabd_alloc(cache, 0))) {
		object_fill(objects[n], 1000, n);
		n++;
	}
	cr_assert_eq(errno, ENOMEM);
	cr_assert(strstr(slabd_error(), "cache \"thing\": no memory: "), "%s", slabd_error());
	cr_assert_geq(n, 5 * 2000);
	cr_assert_leq(n, 5 * 2097);
	cr_assert_eq(free_pages(), 0);
	for (size_t i = 0; i < n; i++)
		cr_assert(object_holds(objects[i], 1000, i));
	/* they are there again */
	cr_assert(set_free(5));
	while ((objects[n + again] = slabd_alloc(cache, 0)))
		again++;
	cr_assert_geq(again, 5 * 2000);
	slabd_free_bulk(cache, n + again, objects);
	slabd_detach(slabd);
}

static void attach_in_vain(void *arg)
{
	struct slabd *slabd;

	(void)arg;
	CHECK(slabd_attach(&slabd, d.socket) == -EIO);
	CHECK(strcmp(slabd_error(), "segment main is damaged and takes no new clients; see slabd's "
				    "log") == 0);
}

/* A client punches holes, and there is nothing to fill them with: slabd survives its SIGBUS, says so, and
 * answers on. */
Test(hugepages, hole_in_an_empty_pool)
{
	struct slabd_cache *cache, *other;
	struct slabd *slabd;
	pid_t worker;

	if (!have_pages(NEEDED))
		return;
	daemon_start(&d, "--hugepages=require", NULL);
	worker = daemon_worker(&d);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, SLABD_RECLAIM);
	other = cache_of(slabd, "other", 1000, 0);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 5000, objects), 5000, "%s", slabd_error());
	cr_assert_eq(madvise(slabd->segment.heap, slabd->segment.heap_bytes, MADV_REMOVE), 0);
	cr_assert(set_free(0));
	cr_assert_eq(slabd_cache_destroy(cache), -EIO, "%s", slabd_error());
	cr_assert_eq(slabd_cache_shrink(cache), -EIO, "%s", slabd_error());
	cr_assert_str_eq(slabd_error(), "segment main is damaged: memory under it is gone; see "
					"slabd's log");
	cr_assert(daemon_logged(&d,
				"error: segment main is damaged: memory under it is gone (SIGBUS); "
				"a client punched a hole, or the hugepage pool shrank.  Nothing "
				"more is handed out of it; restart slabd and its clients\n"));
	cr_assert(daemon_stats(&d).damaged);
	errno = 0;
	cr_assert_null(slabd_alloc(other, 0));
	cr_assert_eq(errno, EIO, "%s", slabd_error());
	slabd_detach(slabd);
	cr_assert_eq(child_run(attach_in_vain, NULL), 0);
	cr_assert_eq(daemon_worker(&d), worker);
	daemon_stop(&d);
}

/* The worker's death on hugetlb: the next one takes the same pages. */
Test(hugepages, worker_restart)
{
	struct slabd_cache *cache;
	struct slabd *slabd;

	if (!have_pages(NEEDED))
		return;
	daemon_start(&d, "--hugepages=require", NULL);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, 0);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 5000, objects), 5000, "%s", slabd_error());
	for (size_t i = 0; i < 5000; i++)
		object_fill(objects[i], 1000, i);
	daemon_kill_worker(&d);
	cr_assert_str_eq(daemon_stats(&d).backing, "hugetlb");
	for (size_t i = 0; i < 5000; i++)
		cr_assert(object_holds(objects[i], 1000, i));
	slabd_free_bulk(cache, 5000, objects);
	cr_assert_eq(slabd_cache_shrink(cache), 0, "%s", slabd_error());
	slabd_detach(slabd);
}

/* ---------------------------------------------------------------- a cgroup's limit */

static char group[128], controllers[160]; /* which the group's parent gives to its children */
static bool controller_added;

static bool is_listed(const char *path, const char *word)
{
	char text[256] = "";
	FILE *file = fopen(path, "re");
	bool found = file && fgets(text, sizeof(text), file) && strstr(text, word);

	if (file)
		fclose(file);
	return found;
}

/* This process in a group that may have so many pages; false if it can't be had. */
static bool enter_group(const char *limit)
{
	static const char *const tops[] = {CGROUPS, CGROUPS "/unified"};
	char path[256];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(controllers, sizeof(controllers), "%s/cgroup.subtree_control", tops[i]);
		controller_added = !is_listed(controllers, "hugetlb");
		if (!write_text(controllers, "+hugetlb"))
			continue;
		snprintf(group, sizeof(group), "%s/slabd-test-%d", tops[i], (int)getpid());
		if (mkdir(group, 0755) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/hugetlb.2MB.max", group);
		if (write_text(path, limit)) {
			snprintf(path, sizeof(path), "%s/cgroup.procs", group);
			if (write_text(path, "0"))
				return true;
		}
		rmdir(group);
	}
	fprintf(stderr, "hugepages: no cgroup with a hugetlb limit can be made here\n");
	return false;
}

static void remove_group(void)
{
	cr_assert_eq(rmdir(group), 0);
	if (controller_added)
		write_text(controllers, "-hugetlb");
}

static void leave_group(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%.*s/cgroup.procs", (int)(strrchr(group, '/') - group),
		 group);
	cr_assert(write_text(path, "0"));
}

Test(hugepages, cgroup_limit_of_none)
{
	if (!have_pages(NEEDED) || !enter_group("0"))
		return;
	cr_assert_eq(
		daemon_run(&d, "--socket", d.socket, "--size=64M", "--hugepages=require", NULL), 3);
	cr_assert(daemon_logged(&d, "error: hugepages=require: 32 hugepages are free, but this "
				    "process may not have them (hugetlb cgroup limit); raise "
				    "hugetlb.2MB.max of its cgroup to 67108864"));
	daemon_start(&d, NULL);
	cr_assert_str_neq(daemon_stats(&d).backing, "hugetlb", "preferred, it does without");
	use(30 << 20);
	daemon_stop(&d);
	leave_group();
	remove_group();
}

/* The limit is met while it runs. */
Test(hugepages, cgroup_limit_of_a_few)
{
	struct slabd_cache *cache;
	struct slabd *slabd;
	size_t n = 0;

	if (!have_pages(NEEDED) || !enter_group("10485760"))
		return;
	daemon_start(&d, "--hugepages=require", NULL);
	leave_group();
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, 0);
	while ((objects[n] = slabd_alloc(cache, 0))) {
		object_fill(objects[n], 1000, n);
		n++;
	}
	cr_assert_eq(errno, ENOMEM);
	cr_assert_geq(n, 4 * 2000);
	cr_assert_leq(n, 5 * 2097);
	for (size_t i = 0; i < n; i++)
		cr_assert(object_holds(objects[i], 1000, i));
	slabd_free_bulk(cache, n, objects);
	slabd_detach(slabd);
	daemon_audit(&d);
	daemon_stop(&d);
	remove_group();
}
