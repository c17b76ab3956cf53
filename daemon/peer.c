#include "daemon/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int peer_identify(int socket, int32_t *pid, uint32_t *uid, int *pidfd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	*pid = cred.pid;
	*uid = cred.uid;
	n = sizeof(*pidfd);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, pidfd, &n) < 0)
		*pidfd = -1;
	return 0;
}

bool peer_is_dead(int pidfd)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	return poll(&end, 1, 0) == 1;
}

int peer_open(int32_t pid, uint64_t start_time)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -errno;
	/* the start time last: a pid that was given again meanwhile has another */
	if (clients_start_time(pid) == start_time)
		return fd;
	close(fd);
	return -ESRCH;
}

/* The pid that a pidfd stands for; 0 if it is none or its process is gone. */
static int32_t pidfd_pid(int fd)
{
	char path[64], line[128];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	fclose(file);
	return pid > 0 ? pid : 0;
}

static void read_comm(char *comm, size_t bytes, int32_t pid)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, comm, bytes - 1);
		close(fd);
	}
	comm[n > 0 ? n : 0] = 0;
	comm[strcspn(comm, "\n")] = 0;
}

int peer_complete(struct peer *peer, int32_t pid, uint32_t uid, uint64_t image, int pidfd,
		  int offered, int *ret)
{
	int fd;

	if (pidfd < 0 && offered >= 0) {
		if (pidfd_pid(offered) != pid)
			return -EACCES;
		pidfd = offered;
	}
	fd = pidfd >= 0 ? fcntl(pidfd, F_DUPFD_CLOEXEC, 3) : (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	*peer = (struct peer){.pid = pid, .uid = uid, .image = image};
	peer->start_time = clients_start_time(pid);
	read_comm(peer->comm, sizeof(peer->comm), pid);
	/* alive now, so what was read by pid was read of it */
	if (!peer->start_time || peer_is_dead(fd)) {
		close(fd);
		return -ESRCH;
	}
	*ret = fd;
	return 0;
}
