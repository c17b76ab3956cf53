/* --backing: regions that are files outlive every process of slabd, and what is no whole segment of this
 * release is refused with the reason and not touched. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/depot.h"
#include "shm/segment.h"
#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/sum.h"
#include "tests/support/traffic.h"

#define OBJECTS 3000
#define BYTES	100

static struct daemon_fixture d;
static struct traffic traffic;
static char files[128];

static void start(void)
{
	daemon_start(&d, "--backing", files, NULL);
}

static void prepare(void)
{
	daemon_prepare(&d);
	snprintf(files, sizeof(files), "%s/pool", d.directory);
	cr_assert_eq(mkdir(files, 0700), 0);
}

static void end(void)
{
	cr_assert_eq(kill(d.keeper, SIGTERM), 0);
	cr_assert_eq(child_join(d.keeper), 0);
	d.keeper = 0;
}

/* ---------------------------------------------------------------- taken over */

Test(backing, clients_go_on_over_the_death_of_keeper_and_worker)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object;

	prepare();
	start();
	cr_assert_str_eq(daemon_stats(&d).backing, "files");
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "mine", BYTES, 0);
	object = slabd_alloc(cache, 0);
	object_fill(object, BYTES, 7);
	traffic_start(&traffic, d.socket);
	for (int i = 0; i < 3; i++) {
		daemon_kill(&d);
		start();
		traffic_expect(&traffic);
	}
	traffic_stop(&traffic);
	cr_assert(object_holds(object, BYTES, 7));
	cr_assert_eq(daemon_audit(&d).live, 1);
	slabd_free(cache, object);
	slabd_detach(slabd);
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert(daemon_logged(&d, "took over a segment of an earlier slabd"));
	daemon_stop(&d);
}

Test(backing, clients_go_on_over_a_restart_in_order)
{
	prepare();
	start();
	traffic_start(&traffic, d.socket);
	for (int i = 0; i < 3; i++) {
		end();
		start();
		traffic_expect(&traffic);
	}
	traffic_stop(&traffic);
	cr_assert_eq(daemon_audit(&d).live, 0);
	daemon_stop(&d);
}

/* What a process leaves behind, its name for it included, another one finds after everything else was
 * gone. */
Test(backing, objects_outlive_everyone)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	slabd_handle root;
	void *object;

	prepare();
	start();
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "left", BYTES, 0);
	object = slabd_alloc(cache, 0);
	object_fill(object, BYTES, 42);
	cr_assert(slabd_set_root(cache, 0, slabd_handle_of(cache, object)));
	slabd_detach(slabd);
	end();

	start();
	slabd = attach_to(d.socket);
	cr_assert_eq(slabd_cache_open(slabd, "left", &cache), 0);
	root = slabd_root(cache);
	object = slabd_adopt(cache, root);
	cr_assert(object, "%s", slabd_error());
	cr_assert(object_holds(object, BYTES, 42));
	slabd_free(cache, object);
	slabd_detach(slabd);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	daemon_stop(&d);
}

/* Size and limits are those of the files. */
Test(backing, keeps_its_size)
{
	uint64_t bytes;

	prepare();
	daemon_start(&d, "--backing", files, "--size=16M", "--set=max-caches=7", NULL);
	bytes = daemon_stats(&d).heap_bytes;
	end();
	daemon_start(&d, "--backing", files, "--size=128M", NULL);
	cr_assert_eq(daemon_stats(&d).heap_bytes, bytes);
	cr_assert_eq(daemon_stats(&d).max_caches, 7);
	daemon_stop(&d);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* How long slabd runs and how often its worker died are its own, not the files'. */
Test(backing, counts_from_its_own_start)
{
	struct daemon_stats stats;
	int64_t begin;

	prepare();
	start();
	daemon_kill_worker(&d);
	cr_assert_eq(daemon_stats(&d).worker_restarts, 1);
	end();
	begin = now_ms();
	start();
	stats = daemon_stats(&d);
	cr_assert_eq(stats.worker_restarts, 0);
	cr_assert_leq((int64_t)stats.uptime_ms, now_ms() - begin);
	daemon_kill_worker(&d);
	stats = daemon_stats(&d);
	cr_assert_eq(stats.worker_restarts, 1);
	cr_assert_leq((int64_t)stats.uptime_ms, now_ms() - begin);
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- two at once */

Test(backing, a_second_slabd_is_refused)
{
	char other[128];
	int code;

	prepare();
	start();
	traffic_start(&traffic, d.socket);
	snprintf(other, sizeof(other), "%s/other", d.directory);
	code = daemon_run(&d, "--socket", other, "--backing", files, NULL);
	cr_assert_eq(code, 5);
	cr_assert(daemon_logged(&d, "another slabd serves these files"));
	cr_assert_neq(access(other, F_OK), 0, "its socket is gone");
	traffic_expect(&traffic);
	traffic_stop(&traffic);
	cr_assert_eq(daemon_audit(&d).live, 0);
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- refused */

static void make_segment(void)
{
	struct slabd *slabd;
	struct slabd_cache *cache;

	prepare();
	start();
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "left", BYTES, 0);
	for (int i = 0; i < OBJECTS; i++) {
		void *object = slabd_alloc(cache, 0);

		cr_assert(object);
		if (i % 2)
			slabd_free(cache, object);
	}
	slabd_detach(slabd);
	end();
}

/* A start says why not, with this code, and leaves the files as they are. */
static void expect_refusal(int code, const char *why)
{
	uint64_t sum = sum_directory(files);

	cr_assert_eq(daemon_run(&d, "--socket", d.socket, "--backing", files, NULL), code);
	cr_assert(daemon_logged(&d, why), "%s", why);
	cr_assert_eq(sum_directory(files), sum, "the files were touched");
	cr_assert_neq(access(d.socket, F_OK), 0, "a socket was left");
}

static int open_file(const char *name)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", files, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s", path);
	return fd;
}

static void overwrite(const char *name, off_t offset, const void *bytes, size_t n)
{
	int fd = open_file(name);

	cr_assert_eq(pwrite(fd, bytes, n, offset), (ssize_t)n);
	close(fd);
}

static void cut(const char *name, off_t bytes)
{
	int fd = open_file(name);

	cr_assert_eq(ftruncate(fd, bytes), 0);
	close(fd);
}

static const char *const names[] = {"state", "catalog", "depot", "heap"};

Test(backing, another_layout_is_refused)
{
	uint32_t other = SLABD_LAYOUT_VERSION + 1;

	make_segment();
	overwrite("catalog", offsetof(struct superblock, layout), &other, sizeof(other));
	expect_refusal(1, "layout 3, this slabd has layout 2; start the slabd that made it, or "
			  "remove it to begin anew");
}

Test(backing, an_unfinished_segment_is_refused)
{
	uint32_t no = 0;

	make_segment();
	overwrite("catalog", offsetof(struct superblock, ready), &no, sizeof(no));
	expect_refusal(1, "was cut or never finished; remove it to begin anew");
}

Test(backing, a_cut_file_is_refused)
{
	for (unsigned i = 0; i < 4; i++) {
		off_t size;
		int fd;

		make_segment();
		fd = open_file(names[i]);
		size = lseek(fd, 0, SEEK_END);
		close(fd);
		cut(names[i], size - 4096);
		expect_refusal(1, "was cut or never finished; remove it to begin anew");
		cut(names[i], 0);
		expect_refusal(1, files);
		memset(&d, 0, sizeof(d));
	}
}

Test(backing, a_missing_file_is_refused)
{
	char path[160];

	for (unsigned i = 0; i < 4; i++) {
		make_segment();
		snprintf(path, sizeof(path), "%s/%s", files, names[i]);
		cr_assert_eq(unlink(path), 0);
		expect_refusal(1, files);
		cr_assert_neq(access(path, F_OK), 0, "%s was made", names[i]);
		memset(&d, 0, sizeof(d));
	}
}

/* Somebody's files that happen to have such a name. */
Test(backing, a_foreign_file_is_refused)
{
	char path[160], text[4096];
	int fd;

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < 4; i++) {
		prepare();
		snprintf(path, sizeof(path), "%s/%s", files, names[i]);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		cr_assert_eq(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
		close(fd);
		expect_refusal(1, "what is there is no segment");
		memset(&d, 0, sizeof(d));
	}
	for (unsigned i = 0; i < 2; i++) {
		make_segment();
		overwrite(names[i], 0, text, sizeof(text));
		expect_refusal(1, i ? "layout 0, this slabd has layout 2"
				    : "the state region is none of this segment's");
		memset(&d, 0, sizeof(d));
	}
}

Test(backing, a_link_is_refused)
{
	char path[160], target[160];
	uint64_t sum;
	int fd;

	make_segment();
	snprintf(path, sizeof(path), "%s/heap", files);
	snprintf(target, sizeof(target), "%s/elsewhere", d.directory);
	cr_assert_eq(rename(path, target), 0);
	cr_assert_eq(symlink(target, path), 0);
	fd = open(target, O_RDONLY | O_CLOEXEC);
	sum = sum_fd(0, fd);
	cr_assert_eq(daemon_run(&d, "--socket", d.socket, "--backing", files, NULL), 1);
	cr_assert(daemon_logged(&d, "heap: Too many levels of symbolic links"));
	cr_assert_eq(sum_fd(0, fd), sum);
	close(fd);
}

Test(backing, no_directory)
{
	prepare();
	cr_assert_eq(rmdir(files), 0);
	cr_assert_eq(daemon_run(&d, "--socket", d.socket, "--backing", files, NULL), 1);
	cr_assert(daemon_logged(&d, "No such file or directory"));
	cr_assert_eq(mkdir(files, 0500), 0);
	if (geteuid() != 0) {
		cr_assert_eq(daemon_run(&d, "--socket", d.socket, "--backing", files, NULL), 4);
		cr_assert(daemon_logged(&d, "Permission denied"));
	}
}

/* ---------------------------------------------------------------- damaged */

struct mapped {
	struct segment segment;
	struct cache_view view;
};

static char *map_file(const char *name, uint64_t *bytes)
{
	int fd = open_file(name);
	char *p = NULL;

	*bytes = (uint64_t)lseek(fd, 0, SEEK_END);
	cr_assert_eq(segment_map(&p, fd, *bytes, PROT_READ | PROT_WRITE, NULL), 0);
	close(fd);
	return p;
}

static void map_segment(struct mapped *m)
{
	uint64_t catalog_bytes, depot_bytes, heap_bytes;
	char *catalog = map_file("catalog", &catalog_bytes),
	     *depot = map_file("depot", &depot_bytes), *heap = map_file("heap", &heap_bytes);

	cr_assert_eq(segment_view(&m->segment, catalog, catalog_bytes, depot, depot_bytes, heap,
				  heap_bytes),
		     0);
	segment_cache(&m->segment, 1, &m->view);
}

static void unmap_segment(struct mapped *m)
{
	munmap(m->segment.heap, m->segment.heap_bytes);
	munmap(m->segment.depot, m->segment.depot_bytes);
	munmap(m->segment.catalog, m->segment.catalog_bytes);
}

/* A magazine in the depot with two rounds or more. */
static struct magazine *full_magazine(const struct mapped *m)
{
	for (uint32_t i = 0; i < depot_magazines(&m->view); i++) {
		struct magazine *magazine = depot_magazine(&m->view, i);

		if (owner_state(load_relaxed(&magazine->owner)) == MAGAZINE_FULL &&
		    magazine_count(magazine) >= 2)
			return magazine;
	}
	cr_assert_fail("no full magazine");
	return NULL;
}

/* One object in a magazine twice, and so another one nowhere. */
static void double_a_round(struct mapped *m)
{
	struct magazine *magazine = full_magazine(m);

	store_relaxed(&magazine->rounds[0], load_relaxed(&magazine->rounds[1]));
}

static void forget_a_round(struct mapped *m)
{
	struct magazine *magazine = full_magazine(m);

	store_relaxed(&magazine->count, magazine_count(magazine) - 1);
	store_relaxed(&magazine->rounds[magazine_count(magazine)], 0);
}

static void point_outside(struct mapped *m)
{
	store_relaxed(&full_magazine(m)->rounds[0], UINT32_MAX);
}

/* Free in a magazine by its round, live by its tag. */
static void bring_to_life(struct mapped *m)
{
	slab_tag *tag = cache_tag(&m->view, load_relaxed(&full_magazine(m)->rounds[0]));

	store_relaxed(tag, tag_make(PARTY_FIRST, TAG_LIVE, 1));
}

Test(backing, a_damaged_segment_is_refused)
{
	static void (*const damages[])(struct mapped *) = {double_a_round, forget_a_round,
							   point_outside, bring_to_life};

	for (unsigned i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct mapped m;

		make_segment();
		map_segment(&m);
		damages[i](&m);
		unmap_segment(&m);
		expect_refusal(1, "its audit finds damage; the files are left as they are");
		memset(&d, 0, sizeof(d));
	}
}
