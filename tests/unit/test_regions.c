/* The regions' memory: sealed, private, given back; and files that a second life adopts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/pool_fixture.h"

static struct backing backing;
static char error[WHY_BYTES], directory[] = "backing-XXXXXX";

static const struct backing_options anonymous = {
	.size = 16 * MIB,
	.hugepages = HUGEPAGES_NEVER,
	.max_caches = 8,
	.max_clients = 16,
};

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(directory));
	backing = (struct backing){-1, -1, -1, -1, 0, false, ""};
	error[0] = 0;
}

static void tear_down(void)
{
	const char *const names[] = {"state", "catalog", "depot", "heap"};
	char path[64];

	backing_close(&backing);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

TestSuite(backing, .init = set_up, .fini = tear_down);

static int make(const struct backing_options *options)
{
	error[0] = 0;
	return backing_make(&backing, options, error, sizeof(error));
}

static struct backing_options in_files(void)
{
	struct backing_options options = anonymous;

	options.directory = directory;
	return options;
}

static int open_file(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* ---------------------------------------------------------------- memfds */

Test(backing, sealed_and_private)
{
	struct stat st;

	cr_assert_eq(make(&anonymous), 0, "%s", error);
	cr_assert_eq(backing.kind, BACKING_PAGES);
	cr_assert_not_null(strstr(backing.why, "hugepages=never"));
	for (int i = 0; i < 4; i++) {
		int fd = (int[]){backing.state, backing.catalog, backing.depot, backing.heap}[i];
		int seals = fcntl(fd, F_GET_SEALS);

		cr_assert(seals & F_SEAL_SHRINK, "nobody can cut it under the others");
		cr_assert(seals & F_SEAL_GROW);
		cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		cr_assert_eq(fstat(fd, &st), 0);
		cr_assert_eq(st.st_mode & 0777, 0600);
		cr_assert_lt(ftruncate(fd, 4096), 0);
		cr_assert_lt(ftruncate(fd, st.st_size + 4096), 0);
	}
}

Test(backing, takes_no_memory_yet)
{
	cr_assert_eq(make(&anonymous), 0);
	cr_assert_eq(backing_bytes(backing.heap), 0);
	cr_assert_eq(backing_bytes(backing.depot), 0);
	cr_assert_leq(backing_bytes(backing.catalog), 2 * PAGE_BYTES);
	cr_assert_eq(backing_bytes(-1), 0);
}

Test(backing, every_segment_is_another)
{
	struct superblock one, two;

	cr_assert_eq(make(&anonymous), 0);
	cr_assert_eq(pread(backing.catalog, &one, sizeof(one), 0), sizeof(one));
	backing_close(&backing);
	cr_assert_eq(make(&anonymous), 0);
	cr_assert_eq(pread(backing.catalog, &two, sizeof(two), 0), sizeof(two));
	cr_assert(one.segment_high != two.segment_high || one.segment_low != two.segment_low);
	cr_assert_eq(two.magic, SLABD_MAGIC);
	cr_assert_eq(two.layout, SLABD_LAYOUT_VERSION);
	cr_assert_eq(two.ready, 1);
	cr_assert_eq(two.heap_bytes, 16 * MIB);
	cr_assert_eq(two.base % EXTENT_BYTES, 0);
}

Test(backing, the_catalog_for_clients_is_read_only)
{
	int fd;

	cr_assert_eq(make(&anonymous), 0);
	fd = backing_catalog_reader(&backing);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	cr_assert_neq(mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
	cr_assert_lt(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE_BYTES), 0);
	close(fd);
}

Test(backing, an_extent_and_back)
{
	char *heap;

	cr_assert_eq(make(&anonymous), 0);
	cr_assert_eq(segment_map(&heap, backing.heap, 16 * MIB, PROT_READ | PROT_WRITE, NULL), 0);
	errno = 4711;
	cr_assert_eq(backing_extent(&backing, heap, 2 * MIB), 0);
	cr_assert_eq(backing_bytes(backing.heap), 2 * MIB);
	heap[2 * MIB] = 1;
	cr_assert_eq(backing_punch(backing.heap, 2 * MIB, 2 * MIB), 0);
	cr_assert_eq(errno, 4711);
	cr_assert_eq(backing_bytes(backing.heap), 0);
	cr_assert_eq(heap[2 * MIB], 0);
	munmap(heap, 16 * MIB);
}

Test(backing, names)
{
	cr_assert_str_eq(backing_name(BACKING_HUGETLB), "hugetlb");
	cr_assert_str_eq(backing_name(BACKING_THP), "thp");
	cr_assert_str_eq(backing_name(BACKING_PAGES), "pages");
	cr_assert_str_eq(backing_name(BACKING_FILES), "files");
}

/* ---------------------------------------------------------------- limits */

static void refuses(struct backing_options options, const char *words)
{
	struct backing none;

	cr_assert_eq(make(&options), -EINVAL);
	cr_assert_not_null(strstr(error, words), "%s", error);
	cr_assert_eq(backing.heap, -1, "nothing is left behind");
	cr_assert_eq(backing_check(&none, &options, error, sizeof(error)), -EINVAL);
}

Test(backing, limits)
{
	struct backing_options options = anonymous;

	options.size = MIB;
	refuses(options, "4 MiB");
	options = anonymous;
	options.max_caches = 65536;
	refuses(options, "65535");
	options = anonymous;
	options.max_clients = 0;
	refuses(options, "max-clients");
}

Test(backing, size_is_rounded_up)
{
	struct backing_options options = anonymous;
	struct stat st;

	options.size = 16 * MIB + 1;
	cr_assert_eq(make(&options), 0);
	fstat(backing.heap, &st);
	cr_assert_eq(st.st_size, 18 * MIB);
}

/* More than any machine's pool has: a sentence with the command that mends it. */
Test(backing, hugepages_required_and_missing)
{
	struct backing_options options = anonymous;
	struct backing checked;

	options.size = HEAP_BYTES_MAX;
	options.hugepages = HUGEPAGES_REQUIRE;
	cr_assert_eq(make(&options), -ENOMEM);
	cr_assert_not_null(strstr(error, "sysctl vm.nr_hugepages="), "%s", error);
	cr_assert_eq(backing_check(&checked, &options, error, sizeof(error)), -ENOMEM);
	options.hugepages = HUGEPAGES_PREFER;
	cr_assert_eq(make(&options), 0, "%s", error);
	cr_assert_neq(backing.kind, BACKING_HUGETLB);
	cr_assert_not_null(strstr(backing.why, "sysctl vm.nr_hugepages="), "%s", backing.why);
}

/* ---------------------------------------------------------------- files */

Test(backing, files_are_made_and_adopted)
{
	const struct backing_options options = in_files();
	struct superblock made, adopted;
	struct stat st;

	cr_assert_eq(make(&options), 0, "%s", error);
	cr_assert_eq(backing.kind, BACKING_FILES);
	cr_assert_not(backing.adopted);
	cr_assert_eq(fstat(backing.state, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(pread(backing.catalog, &made, sizeof(made), 0), sizeof(made));
	backing_close(&backing);
	cr_assert_eq(make(&options), 0, "%s", error);
	cr_assert(backing.adopted);
	cr_assert_eq(pread(backing.catalog, &adopted, sizeof(adopted), 0), sizeof(adopted));
	cr_assert_eq(memcmp(&made, &adopted, sizeof(made)), 0);
}

Test(backing, files_are_one_slabds)
{
	const struct backing_options options = in_files();
	struct backing second = {-1, -1, -1, -1, 0, false, ""};

	cr_assert_eq(make(&options), 0);
	cr_assert_eq(backing_make(&second, &options, error, sizeof(error)), -EBUSY);
	cr_assert_not_null(strstr(error, "another slabd"), "%s", error);
}

Test(backing, size_and_limits_are_the_files_own)
{
	struct backing_options options = in_files();
	struct stat st;

	cr_assert_eq(make(&options), 0);
	backing_close(&backing);
	options.size = 64 * MIB;
	cr_assert_eq(make(&options), 0, "%s", error);
	fstat(backing.heap, &st);
	cr_assert_eq(st.st_size, 16 * MIB);
}

/* Refused, with nothing changed, and good again when the damage is mended. */
static void refuses_files(const char *name, int status)
{
	const struct backing_options options = in_files();

	cr_assert_eq(make(&options), status, "%s: %s", name, error);
	cr_assert_not_null(strstr(error, directory), "%s", error);
	cr_assert_eq(backing.heap, -1);
}

Test(backing, files_that_are_no_segment)
{
	const char *const names[] = {"state", "catalog", "depot", "heap"};
	const struct backing_options options = in_files();
	struct stat st;

	cr_assert_eq(make(&options), 0);
	backing_close(&backing);
	for (size_t i = 0; i < 4; i++) {
		int fd = open_file(names[i]);

		fstat(fd, &st);
		cr_assert_eq(ftruncate(fd, st.st_size + PAGE_BYTES), 0);
		refuses_files(names[i], -EIO);
		cr_assert_eq(ftruncate(fd, st.st_size), 0);
		close(fd);
		cr_assert_eq(make(&options), 0, "%s", error);
		backing_close(&backing);
	}
}

Test(backing, files_of_another_layout)
{
	const struct backing_options options = in_files();
	uint32_t layout = SLABD_LAYOUT_VERSION + 1;
	uint64_t magic = 4711;
	int fd;

	cr_assert_eq(make(&options), 0);
	backing_close(&backing);
	fd = open_file("catalog");
	cr_assert_eq(pwrite(fd, &layout, 4, offsetof(struct superblock, layout)), 4);
	refuses_files("catalog", -EPROTO);
	layout--;
	cr_assert_eq(pwrite(fd, &layout, 4, offsetof(struct superblock, layout)), 4);
	cr_assert_eq(pwrite(fd, &(uint32_t){0}, 4, offsetof(struct superblock, ready)), 4);
	refuses_files("catalog", -EIO);
	cr_assert_eq(pwrite(fd, &magic, 8, 0), 8);
	refuses_files("catalog", -EPROTO);
	close(fd);
}

Test(backing, a_directory_that_is_not_there)
{
	struct backing_options options = anonymous;

	options.directory = "/nowhere/at/all";
	cr_assert_eq(make(&options), -ENOENT);
	cr_assert_not_null(strstr(error, "/nowhere/at/all"), "%s", error);
}

/* Objects, handles and generations outlive every process. */
Test(backing, a_pool_in_files_goes_on)
{
	const struct backing_options options = in_files();
	struct pool_fixture f;
	struct fake fake;
	slab_ref refs[300];
	uint32_t tag;

	pool_fixture_open_with(&f, &options);
	fake_init(&fake, &f, pool_fixture_attach_gone(&f), pool_fixture_cache(&f, 2, "c", 64, 0));
	cr_assert_eq(fake_alloc_many(&fake, refs, 300), 300);
	tag = load_relaxed(fake_tag(&fake, refs[7]));
	strcpy(ref_address(fake.view.heap, refs[7]), "still here");
	pool_close(f.pool);
	backing_close(&f.backing);

	pool_fixture_open_with(&f, &options);
	cr_assert(f.backing.adopted);
	cr_assert_eq(pool_rehearse("main", &f.backing, error, sizeof(error)), 0, "%s", error);
	pool_fixture_audit(&f);
	cr_assert_eq(pool_fixture_count(&f, registry_by_name(f.pool, "c")).orphaned, 300);
	fake_remap(&fake);
	cr_assert_eq(load_relaxed(fake_tag(&fake, refs[7])), tag);
	cr_assert_str_eq(ref_address(fake.view.heap, refs[7]), "still here");
	pool_fixture_close(&f);
}
