/* Where a segment's memory comes from.
 *
 * The ladder, best first: hugetlb pages, if the free pool covers the whole heap; an ordinary memfd
 * whose extents the worker turns into 2 MiB pages itself (MADV_COLLAPSE, which needs no privilege
 * and works with shmem_enabled=never); 4 KiB pages.  Catalog, depot and state are sparse and always
 * on ordinary pages.
 *
 * Memory is real before anyone is told of it: an extent is fallocated, not touched, since mmap
 * succeeds where a cgroup's hugetlb limit would later be SIGBUS, and fallocate says ENOSPC.  A
 * failed fallocate of hugetlb leaves the pages that it got, so a failure punches. */
#include "daemon/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/files.h"
#include "shm/geometry.h"
#include "shm/segment.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static int region_make(const char *name, uint64_t bytes, unsigned flags)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | flags);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (fd < 0)
		return -errno;
	/* 0600: a read-only fd could otherwise be reopened writable through /proc */
	if (ftruncate(fd, (off_t)bytes) < 0 || fchmod(fd, 0600) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long number = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* Free 2 MiB pages that nobody has reserved. */
static uint64_t hugepages_free(void)
{
	uint64_t free_pages = read_number(HUGE_POOL "free_hugepages");
	uint64_t reserved = read_number(HUGE_POOL "resv_hugepages");

	return free_pages > reserved ? free_pages - reserved : 0;
}

static bool try_extent(int fd, uint64_t bytes)
{
	bool got = fallocate(fd, 0, 0, (off_t)bytes) == 0;

	backing_punch(fd, 0, bytes);
	return got;
}

/* A heap on hugetlb pages, or -errno and why not. */
static int heap_hugetlb(uint64_t size, char *why, size_t n)
{
	uint64_t need = size / EXTENT_BYTES, have = hugepages_free();
	int fd;

	if (have < need) {
		snprintf(why, n,
			 "%llu hugepages of 2 MiB free, %llu needed for %llu MiB; reserve them "
			 "with: "
			 "sysctl vm.nr_hugepages=%llu",
			 (unsigned long long)have, (unsigned long long)need,
			 (unsigned long long)(size >> 20),
			 (unsigned long long)(read_number(HUGE_POOL "nr_hugepages") + need - have));
		return -ENOMEM;
	}
	fd = region_make("slabd-heap", size, MFD_HUGETLB | MFD_HUGE_2MB);
	if (fd < 0) {
		snprintf(why, n, "hugetlb memfd: %s", strerror(-fd));
		return fd;
	}
	if (!try_extent(fd, EXTENT_BYTES)) {
		close(fd);
		snprintf(why, n,
			 "%llu hugepages are free, but this process may not have them (hugetlb "
			 "cgroup "
			 "limit); raise hugetlb.2MB.max of its cgroup to %llu",
			 (unsigned long long)have, (unsigned long long)size);
		return -ENOMEM;
	}
	return fd;
}

/* Can this kernel turn shmem into huge pages for us?  Tried on the heap's first extent, which is
 * never used. */
static bool can_collapse(int fd)
{
	char *p;
	bool can;

	if (segment_map(&p, fd, EXTENT_BYTES, PROT_READ | PROT_WRITE, NULL) < 0)
		return false;
	can = fallocate(fd, 0, 0, EXTENT_BYTES) == 0 &&
	      madvise(p, EXTENT_BYTES, MADV_COLLAPSE) == 0;
	munmap(p, EXTENT_BYTES);
	backing_punch(fd, 0, EXTENT_BYTES);
	return can;
}

static int heap_shmem(struct backing *backing, uint64_t size, enum hugepages hugepages)
{
	int fd = region_make("slabd-heap", size, 0);

	if (fd < 0)
		return fd;
	backing->kind = BACKING_PAGES;
	if (hugepages == HUGEPAGES_NEVER)
		snprintf(backing->why, sizeof(backing->why),
			 "4 KiB pages as asked: hugepages=never");
	else if (can_collapse(fd))
		backing->kind = BACKING_THP;
	else
		snprintf(backing->why + strlen(backing->why),
			 sizeof(backing->why) - strlen(backing->why),
			 "; this kernel gives shared memory no huge pages: "
			 "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
	return fd;
}

static int heap_make(struct backing *backing, const struct backing_options *options, uint64_t size,
		     char *error, size_t n)
{
	int fd = -1;

	if (options->hugepages != HUGEPAGES_NEVER) {
		fd = heap_hugetlb(size, backing->why, sizeof(backing->why));
		backing->kind = BACKING_HUGETLB;
		if (fd >= 0)
			backing->why[0] = 0;
	}
	if (fd < 0 && options->hugepages == HUGEPAGES_REQUIRE) {
		snprintf(error, n, "hugepages=require: %.200s", backing->why);
		return -ENOMEM;
	}
	if (fd < 0)
		fd = heap_shmem(backing, size, options->hugepages);
	if (fd < 0)
		snprintf(error, n, "heap of %llu MiB: %s", (unsigned long long)(size >> 20),
			 strerror(-fd));
	return fd;
}

int backing_check(struct backing *ret, const struct backing_options *options, char *error, size_t n)
{
	struct superblock super = {0};
	int r = geometry_segment(&super, options->size, options->max_caches, options->max_clients,
				 error, n);

	if (r < 0)
		return r;
	*ret = (struct backing){.state = -1, .catalog = -1, .depot = -1, .heap = -1};
	if (options->directory) {
		ret->kind = BACKING_FILES;
		return files_check(options->directory, error, n);
	}
	r = heap_make(ret, options, super.heap_bytes, error, n);
	if (r < 0)
		return r;
	close(r);
	return 0;
}

struct state_head backing_state_head(const struct superblock *super)
{
	uint64_t bitmap = geometry_bitmap_bytes(super->max_caches);
	uint64_t records = super->max_clients + PARTY_FIRST;

	return (struct state_head){
		.magic = SLABD_MAGIC,
		.layout = SLABD_LAYOUT_VERSION,
		.max_clients = super->max_clients,
		.max_caches = super->max_caches,
		.bitmap_bytes = (uint32_t)bitmap,
		.clients = PAGE_BYTES,
		.open = PAGE_BYTES + records * sizeof(struct client_record),
		.ever = PAGE_BYTES + records * (sizeof(struct client_record) + bitmap),
	};
}

/* The first pages of catalog and state, written through a mapping, as hugetlbfs knows no write.  The
 * superblock is ready with its last store. */
static int heads_write(const struct backing *backing, struct superblock *super)
{
	struct state_head head = backing_state_head(super);
	char *catalog, *state;
	uint64_t id[2];
	int r;

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	super->magic = SLABD_MAGIC;
	super->layout = SLABD_LAYOUT_VERSION;
	super->next_serial = 1;
	super->segment_high = id[0];
	super->segment_low = id[1];
	super->base = segment_base(super->segment_high, super->segment_low);
	r = segment_map(&state, backing->state, EXTENT_BYTES, PROT_READ | PROT_WRITE, NULL);
	if (r < 0)
		return r;
	memcpy(state, &head, sizeof(head));
	munmap(state, EXTENT_BYTES);
	r = segment_map(&catalog, backing->catalog, EXTENT_BYTES, PROT_READ | PROT_WRITE, NULL);
	if (r < 0)
		return r;
	memcpy(catalog, super, sizeof(*super));
	store_release(&((struct superblock *)(void *)catalog)->ready, 1);
	munmap(catalog, EXTENT_BYTES);
	return 0;
}

static int memfds_make(struct backing *b, const struct backing_options *options,
		       const struct superblock *super, char *error, size_t n)
{
	int r;

	b->heap = r = heap_make(b, options, super->heap_bytes, error, n);
	if (r < 0)
		return r;
	b->state = r = region_make("slabd-state", super->state_bytes, 0);
	if (r >= 0)
		b->catalog = r = region_make("slabd-catalog", super->catalog_bytes, 0);
	if (r >= 0)
		b->depot = r = region_make("slabd-depot", super->depot_bytes, 0);
	return r;
}

int backing_make(struct backing *ret, const struct backing_options *options, char *error, size_t n)
{
	struct backing b = {.state = -1, .catalog = -1, .depot = -1, .heap = -1};
	struct superblock super = {0};
	int r = geometry_segment(&super, options->size, options->max_caches, options->max_clients,
				 error, n);

	if (r < 0)
		return r;
	error[0] = 0;
	r = options->directory ? files_open(&b, options->directory, &super, error, n)
			       : memfds_make(&b, options, &super, error, n);
	if (r >= 0 && !b.adopted)
		r = heads_write(&b, &super);
	if (r < 0) {
		if (!error[0])
			snprintf(error, n, "shared memory regions: %s", strerror(-r));
		backing_close(&b);
		return r;
	}
	*ret = b;
	return 0;
}

int backing_adopt(struct backing *ret, const struct backing *regions,
		  const struct backing_options *options, char *error, size_t n)
{
	struct superblock super;
	struct statfs fs;
	int r;

	error[0] = 0;
	r = files_verify(regions, "the segment kept by the service manager", &super, error, n);
	if (r < 0) {
		if (!error[0])
			snprintf(error, n, "the segment kept by the service manager: %s",
				 strerror(-r));
		return r;
	}
	*ret = *regions;
	ret->adopted = true;
	if (fstatfs(ret->heap, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
		ret->kind = BACKING_HUGETLB;
		return 0;
	}
	ret->kind = options->hugepages != HUGEPAGES_NEVER && can_collapse(ret->heap)
			    ? BACKING_THP
			    : BACKING_PAGES;
	snprintf(ret->why, sizeof(ret->why),
		 "this memory was taken over; hugetlb pages come with a new segment");
	return 0;
}

void backing_close(struct backing *backing)
{
	int *fds[] = {&backing->state, &backing->catalog, &backing->depot, &backing->heap};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* A collapse of a hole is refused, and one of 512 pages copies them: with one page there it costs a fifth
 * (0.5 to 1.0 ms, on a busy machine, where all pages cost 3.5 to 7).  Where the system has no 2 MiB
 * piece left, the extent stays on small pages: slower, as good. */
static void make_huge(const struct backing *backing, char *heap, uint64_t offset)
{
	if (fallocate(backing->heap, 0, (off_t)offset, PAGE_BYTES) == 0)
		(void)madvise(heap + offset, EXTENT_BYTES, MADV_COLLAPSE);
}

int backing_extent(const struct backing *backing, char *heap, uint64_t offset)
{
	if (backing->kind == BACKING_THP)
		make_huge(backing, heap, offset);
	if (fallocate(backing->heap, 0, (off_t)offset, EXTENT_BYTES) < 0) {
		backing_punch(backing->heap, offset, EXTENT_BYTES);
		return errno == ENOSPC || errno == ENOMEM ? -ENOMEM : -errno;
	}
	return 0;
}

int backing_punch(int fd, uint64_t offset, uint64_t bytes)
{
	int saved = errno, r;

	r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
	r = r < 0 ? -errno : 0;
	errno = saved;
	return r;
}

uint64_t backing_bytes(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

int backing_catalog_reader(const struct backing *backing)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", backing->catalog);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

const char *backing_name(enum backing_kind kind)
{
	static const char *const names[] = {"hugetlb", "thp", "pages", "files"};

	return names[kind];
}
