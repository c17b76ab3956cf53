#include "daemon/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/segment.h"

struct region {
	const char *name;
	int *fd;
	uint64_t bytes;
};

static int open_region(int directory, const struct region *region)
{
	/* not through a link, and for nobody else */
	*region->fd =
		openat(directory, region->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *region->fd < 0 ? -errno : 0;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static int read_super(int fd, struct superblock *super)
{
	char *p;
	int r = segment_map(&p, fd, EXTENT_BYTES, PROT_READ, NULL);

	if (r < 0)
		return r;
	memcpy(super, p, sizeof(*super));
	munmap(p, EXTENT_BYTES);
	return 0;
}

/* What is in the files must be ours, finished, of our layout, and as long as it says. */
int files_verify(const struct backing *b, const char *directory, struct superblock *super,
		 char *error, size_t n)
{
	int r;

	if (size_of(b->catalog) < EXTENT_BYTES) {
		snprintf(error, n, "%s: what is there is no segment (catalog of %llu bytes)",
			 directory, (unsigned long long)size_of(b->catalog));
		return -EPROTO;
	}
	r = read_super(b->catalog, super);
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
	return 0;
}

static int grow_region(const struct region *region, const char *directory, char *error, size_t n)
{
	if (ftruncate(*region->fd, (off_t)region->bytes) == 0)
		return 0;
	snprintf(error, n, "%s/%s: %llu bytes: %s", directory, region->name,
		 (unsigned long long)region->bytes, strerror(errno));
	return -errno;
}

int files_open(struct backing *ret, const char *directory, struct superblock *super, char *error,
	       size_t n)
{
	struct region regions[] = {
		{"state", &ret->state, super->state_bytes},
		{"catalog", &ret->catalog, super->catalog_bytes},
		{"depot", &ret->depot, super->depot_bytes},
		{"heap", &ret->heap, super->heap_bytes},
	};
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (dir < 0) {
		snprintf(error, n, "--backing %s: %s", directory, strerror(errno));
		return -errno;
	}
	ret->kind = BACKING_FILES;
	for (size_t i = 0; i < 4 && r == 0; i++)
		r = open_region(dir, &regions[i]);
	close(dir);
	if (r < 0) {
		snprintf(error, n, "--backing %s: %s", directory, strerror(-r));
		return r;
	}
	if (flock(ret->state, LOCK_EX | LOCK_NB) < 0) {
		snprintf(error, n, "--backing %s: another slabd serves these files", directory);
		return -EBUSY;
	}
	if (size_of(ret->catalog) || size_of(ret->heap)) {
		ret->adopted = true;
		return files_verify(ret, directory, super, error, n);
	}
	for (size_t i = 0; i < 4 && r == 0; i++)
		r = grow_region(&regions[i], directory, error, n);
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
