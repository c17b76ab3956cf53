#include "proto/packet.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/limits.h"

/* Room for more descriptors than anyone may send, so that too many are seen and closed rather than
 * cut off (a cut-off message may still have installed some). */
#define FDS_SEEN 16

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_SEEN * sizeof(int))];
};

int packet_send(int socket, const void *bytes, size_t n, const int *fds, unsigned nfds, bool wait)
{
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = n};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};

	if (n == 0 || nfds > PROTO_FDS_MAX)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *c;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	for (;;) {
		if (sendmsg(socket, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static unsigned take_fds(struct msghdr *message, int *fds)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* from cmsg_len alone: the padding behind may look like one more */
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && n < FDS_SEEN; i++, n++)
			memcpy(&fds[n], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return n;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* An empty packet and the end of the stream both read as 0; only the end hangs up. */
static bool is_hung_up(int socket)
{
	struct pollfd p = {.fd = socket, .events = POLLIN | POLLRDHUP};

	return poll(&p, 1, 0) < 0 || p.revents & (POLLHUP | POLLRDHUP | POLLERR);
}

ssize_t packet_receive(int socket, void *buffer, size_t bytes, int *fds, unsigned *nfds, bool wait)
{
	struct iovec iov = {.iov_base = buffer, .iov_len = bytes};
	union control control;
	int flags = MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT), got[FDS_SEEN];
	unsigned n, room = nfds ? *nfds : 0;
	struct msghdr message;
	ssize_t r;

	if (nfds)
		*nfds = 0;
	do {
		message = (struct msghdr){.msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control.bytes,
					  .msg_controllen = sizeof(control.bytes)};
		r = recvmsg(socket, &message, flags);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	n = take_fds(&message, got);
	if (n > room || message.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ||
	    (r == 0 && (n || !is_hung_up(socket)))) {
		close_all(got, n);
		return -EBADMSG;
	}
	if (n) {
		memcpy(fds, got, n * sizeof(int));
		*nfds = n;
	}
	return r;
}

static void *arena_alloc(void *data, size_t bytes)
{
	struct packet_arena *arena = data;
	size_t room = (size_t)(arena->end - arena->at);
	char *at = arena->at;

	if (bytes > room || ((bytes + 15) & ~(size_t)15) > room)
		return NULL;
	arena->at += (bytes + 15) & ~(size_t)15;
	return at;
}

static void arena_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

ProtobufCAllocator packet_allocator(struct packet_arena *arena)
{
	arena->at = (char *)(((uintptr_t)arena->at + 15) & ~(uintptr_t)15);
	if (arena->at > arena->end)
		arena->at = arena->end;
	return (ProtobufCAllocator){
		.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
}
