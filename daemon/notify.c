/* Ours instead of libsystemd's, since sd_notify(3) waits while the manager's queue is full. */
#include "daemon/notify.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void send_with(int socket, const struct sockaddr_un *to, socklen_t bytes, const char *state,
		      int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (char *)(uintptr_t)state, .iov_len = strlen(state)};
	struct msghdr message = {.msg_name = (struct sockaddr_un *)(uintptr_t)to,
				 .msg_namelen = bytes,
				 .msg_iov = &iov,
				 .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	(void)sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void notify_send(const char *state)
{
	notify_send_fd(state, -1);
}

bool notify_watched(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *period = getenv("WATCHDOG_USEC");

	if (pid && strtol(pid, NULL, 10) != getpid())
		unsetenv("WATCHDOG_USEC"); /* was meant for an ancestor */
	unsetenv("WATCHDOG_PID");
	return period && getenv("WATCHDOG_USEC");
}

void notify_send_fd(const char *state, int given)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, n);
	if (path[0] == '@') /* an abstract name: its first byte is 0, and it ends with its length */
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	send_with(fd, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n), state,
		  given);
	close(fd);
}
