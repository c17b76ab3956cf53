#include "daemon/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/verify.h"
#include "shm/segment.h"

#define REGIONS 4

struct region {
	const char *name;
	int *fd;
	uint64_t bytes;
	bool made; /* was not there */
};

/* Not through a link, and for nobody else. */
static int open_region(int directory, struct region *region)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;

	*region->fd = openat(directory, region->name, flags | O_CREAT | O_EXCL, 0600);
	region->made = *region->fd >= 0;
	if (*region->fd < 0 && errno == EEXIST)
		*region->fd = openat(directory, region->name, flags);
	return *region->fd < 0 ? -errno : 0;
}

/* A directory that is refused stays as it was. */
static void unmake_regions(int directory, const struct region *regions)
{
	for (unsigned i = 0; i < REGIONS; i++)
		if (regions[i].made)
			unlinkat(directory, regions[i].name, 0);
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* How a region of at least an extent begins. */
static int read_head(int fd, void *head, size_t n)
{
	char *p;
	int r = segment_map(&p, fd, EXTENT_BYTES, PROT_READ, NULL);

	if (r < 0)
		return r;
	memcpy(head, p, n);
	munmap(p, EXTENT_BYTES);
	return 0;
}

/* Of the same make as the catalog, up to what changes. */
static int verify_state(int fd, const struct superblock *super, const char *directory, char *error,
			size_t n)
{
	struct state_head wanted = backing_state_head(super), head;
	int r = read_head(fd, &head, sizeof(head));

	if (r < 0 || memcmp(&head, &wanted, offsetof(struct state_head, worker_starts)) == 0)
		return r;
	snprintf(error, n,
		 "%s: the state region is none of this segment's; remove it to begin anew",
		 directory);
	return -EPROTO;
}

/* What is in the files must be ours, finished, of our layout, and as long as it says. */
int files_verify(const struct backing *b, const char *directory, struct superblock *super,
		 char *error, size_t n)
{
	char why[WHY_BYTES / 2];
	int r;

	if (size_of(b->catalog) < EXTENT_BYTES) {
		snprintf(error, n, "%s: what is there is no segment (catalog of %llu bytes)",
			 directory, (unsigned long long)size_of(b->catalog));
		return -EPROTO;
	}
	r = read_head(b->catalog, super, sizeof(*super));
	if (r < 0)
		return r;
	if (super->magic != SLABD_MAGIC || super->layout != SLABD_LAYOUT_VERSION) {
		snprintf(error, n,
			 "%s: layout %u, this slabd has layout %u; start the slabd that made it, "
			 "or remove it to begin anew",
			 directory, super->magic == SLABD_MAGIC ? super->layout : 0,
			 SLABD_LAYOUT_VERSION);
		return -EPROTO;
	}
	if (!super->ready || size_of(b->catalog) != super->catalog_bytes ||
	    size_of(b->depot) != super->depot_bytes || size_of(b->heap) != super->heap_bytes ||
	    size_of(b->state) != super->state_bytes) {
		snprintf(error, n, "%s: was cut or never finished; remove it to begin anew",
			 directory);
		return -EIO;
	}
	r = verify_superblock(super, why, sizeof(why));
	if (r < 0) {
		snprintf(error, n, "%s: %s; remove it to begin anew", directory, why);
		return r;
	}
	return verify_state(b->state, super, directory, error, n);
}

static int grow_region(const struct region *region, const char *directory, char *error, size_t n)
{
	if (ftruncate(*region->fd, (off_t)region->bytes) == 0)
		return 0;
	snprintf(error, n, "%s/%s: %llu bytes: %s", directory, region->name,
		 (unsigned long long)region->bytes, strerror(errno));
	return -errno;
}

/* With the files open: those of an earlier slabd, or new ones. */
static int take_regions(struct backing *ret, const struct region *regions, const char *directory,
			struct superblock *super, char *error, size_t n)
{
	int r = 0;

	if (flock(ret->state, LOCK_EX | LOCK_NB) < 0) {
		snprintf(error, n, "--backing %s: another slabd serves these files", directory);
		return -EBUSY;
	}
	for (unsigned i = 0; i < REGIONS; i++)
		ret->adopted |= size_of(*regions[i].fd) > 0;
	if (ret->adopted)
		return files_verify(ret, directory, super, error, n);
	for (unsigned i = 0; i < REGIONS && r == 0; i++)
		r = grow_region(&regions[i], directory, error, n);
	return r;
}

int files_open(struct backing *ret, const char *directory, struct superblock *super, char *error,
	       size_t n)
{
	struct region regions[REGIONS] = {
		{"state", &ret->state, super->state_bytes, false},
		{"catalog", &ret->catalog, super->catalog_bytes, false},
		{"depot", &ret->depot, super->depot_bytes, false},
		{"heap", &ret->heap, super->heap_bytes, false},
	};
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (dir < 0) {
		snprintf(error, n, "--backing %s: %s", directory, strerror(errno));
		return -errno;
	}
	ret->kind = BACKING_FILES;
	for (unsigned i = 0; i < REGIONS && r == 0; i++) {
		r = open_region(dir, &regions[i]);
		if (r < 0)
			snprintf(error, n, "--backing %s: %s: %s", directory, regions[i].name,
				 strerror(-r));
	}
	if (r == 0)
		r = take_regions(ret, regions, directory, super, error, n);
	if (r < 0)
		unmake_regions(dir, regions);
	close(dir);
	return r;
}

int files_check(const char *directory, char *error, size_t n)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = fd < 0 ? -errno : 0;

	if (r == 0 && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		snprintf(error, n, "--backing %s: %s", directory, strerror(-r));
	return r;
}
