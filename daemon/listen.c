/* Whoever holds the lock owns the path: a socket that is found under it is a dead daemon's.  The
 * lock belongs to an open file description that keeper and worker share, so it is free only when
 * both are gone; its file is never removed, since a lock on a removed file would be no lock. */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/options.h"

#define PATH_BYTES  (SOCKET_PATH_BYTES + 8)
#define DYING_TRIES 200 /* of 10 ms: until a killed keeper's worker is gone too */
#define BACKLOG	    4096
#define SOCKET_MODE 0660

static void directory_of(char *directory, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(directory, PATH_BYTES, ".");
	else
		snprintf(directory, PATH_BYTES, "%.*s", slash == path ? 1 : (int)(slash - path),
			 path);
}

int listen_check_directory(const char *path, char *error, size_t n)
{
	char directory[PATH_BYTES], parent[PATH_BYTES];
	struct stat st;

	directory_of(directory, path);
	directory_of(parent, directory);
	if (stat(directory, &st) == 0) {
		if (!S_ISDIR(st.st_mode)) {
			snprintf(error, n, "%s is no directory, so %s can't be made in it",
				 directory, path);
			return -ENOTDIR;
		}
		if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0)
			return 0;
		snprintf(error, n, "%s: user %u may not write there; choose another --socket",
			 directory, geteuid());
		return -EACCES;
	}
	if (errno != ENOENT) {
		int r = -errno;

		snprintf(error, n, "%s: %s", directory, strerror(-r));
		return r;
	}
	if (stat(parent, &st) < 0) {
		snprintf(error, n, "neither %s nor %s exists; make %s, or choose another --socket",
			 directory, parent, parent);
		return -ENOENT;
	}
	if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	snprintf(error, n,
		 "%s does not exist, and user %u may not make it; as root: install -d -o %u %s",
		 directory, geteuid(), geteuid(), directory);
	return -EACCES;
}

int listen_directory(const char *path, char *error, size_t n)
{
	char directory[PATH_BYTES];
	int r = listen_check_directory(path, error, n);

	if (r < 0)
		return r;
	directory_of(directory, path);
	if (mkdir(directory, 0755) == 0 || errno == EEXIST)
		return 0;
	r = -errno;
	snprintf(error, n, "%s: %s", directory, strerror(-r));
	return r;
}

/* ---------------------------------------------------------------- the lock */

static int lock_file(const char *path, int flags, char *error, size_t n)
{
	char name[PATH_BYTES];
	int fd, r;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, flags | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0)
		return fd;
	r = -errno;
	snprintf(error, n, "lock file %s: %s", name, strerror(-r));
	return r;
}

/* The pid that the holder wrote; 0: none. */
static pid_t holder(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = 0;
	return (pid_t)strtol(text, NULL, 10);
}

/* A zombie is dead as well. */
static bool is_dead(pid_t pid)
{
	struct pollfd end = {.events = POLLIN};
	bool dead;

	if (pid <= 0)
		return false;
	end.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (end.fd < 0)
		return errno == ESRCH;
	dead = poll(&end, 1, 0) == 1;
	close(end.fd);
	return dead;
}

/* A keeper's death is followed by its worker's; until then the lock is held by the dead. */
static int take(int fd, const char *path, char *error, size_t n)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		pid_t pid = holder(fd);

		if (errno != EWOULDBLOCK) {
			int r = -errno;

			snprintf(error, n, "lock file %s.lock: %s", path, strerror(-r));
			return r;
		}
		if (i < DYING_TRIES && is_dead(pid)) {
			usleep(10000);
			continue;
		}
		snprintf(
			error, n,
			"%s: another slabd (pid %d) serves this socket; stop it, or choose another "
			"--socket",
			path, (int)pid);
		return -EADDRINUSE;
	}
	return 0;
}

int listen_lock(const char *path, char *error, size_t n)
{
	int r, fd = lock_file(path, O_RDWR | O_CREAT, error, n);

	if (fd < 0)
		return fd;
	r = take(fd, path, error, n);
	if (r < 0) {
		close(fd);
		return r;
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		r = -errno;
		snprintf(error, n, "lock file %s.lock: %s", path, strerror(-r));
		close(fd);
		return r;
	}
	return fd;
}

int listen_check_lock(const char *path, char *error, size_t n)
{
	int r, fd = lock_file(path, O_RDWR, error, n);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = take(fd, path, error, n);
	close(fd);
	return r;
}

/* ---------------------------------------------------------------- the listener */

/* Ours to remove: the lock says that nobody serves it. */
static int remove_stale(const char *path, char *error, size_t n)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0; /* bind will say what is wrong, if anything is */
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, n,
			 "%s exists and is no socket; remove it, or choose another --socket", path);
		return -EEXIST;
	}
	if (unlink(path) == 0)
		return 0;
	snprintf(error, n, "%s is left from an earlier slabd and can't be removed: %s", path,
		 strerror(errno));
	return -errno;
}

int listen_open(const char *path, char *error, size_t n)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r = remove_stale(path, error, n);

	if (r < 0)
		return r;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the mode is set before anyone can connect */
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    chmod(path, SOCKET_MODE) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	r = -errno;
	snprintf(error, n, "%s: %s", path, strerror(-r));
	if (fd >= 0)
		close(fd);
	return r;
}
