/* Packets with descriptors between two ends of a socket, as an honest peer and a hostile one send
 * them; and the arena that bounds decoding. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/limits.h"
#include "proto/packet.h"

static int ends[2];
static int fds_before;

/* The lowest numbers are handed out first, so a leak moves this one. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void set_up(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fds_before = next_fd();
}

static void tear_down(void)
{
	close(ends[0]);
	close(ends[1]);
}

TestSuite(packet, .init = set_up, .fini = tear_down);

/* What no honest peer sends: any number of bytes and descriptors. */
static void send_raw(size_t bytes, unsigned nfds)
{
	static char zeros[1 << 17];
	struct iovec iov = {zeros, bytes};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	if (nfds) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
	}
	cr_assert_eq(sendmsg(ends[0], &message, MSG_NOSIGNAL), (ssize_t)bytes);
}

static ssize_t receive(int *fds, unsigned *nfds)
{
	static char buffer[1024];

	return packet_receive(ends[1], buffer, sizeof(buffer), fds, nfds, false);
}

Test(packet, keeps_its_borders)
{
	char buffer[16];

	cr_assert_eq(packet_send(ends[0], "one", 3, NULL, 0, true), 0);
	cr_assert_eq(packet_send(ends[0], "seven77", 7, NULL, 0, true), 0);
	cr_assert_eq(packet_receive(ends[1], buffer, sizeof(buffer), NULL, NULL, true), 3);
	cr_assert_eq(memcmp(buffer, "one", 3), 0);
	cr_assert_eq(packet_receive(ends[1], buffer, sizeof(buffer), NULL, NULL, true), 7);
	cr_assert_eq(packet_receive(ends[1], buffer, sizeof(buffer), NULL, NULL, false), -EAGAIN);
}

Test(packet, the_largest_there_is)
{
	char *out = malloc(PROTO_PACKET_MAX), *in = malloc(PROTO_PACKET_MAX);

	memset(out, 0x5a, PROTO_PACKET_MAX);
	cr_assert_eq(packet_send(ends[0], out, PROTO_PACKET_MAX, NULL, 0, true), 0);
	cr_assert_eq(packet_receive(ends[1], in, PROTO_PACKET_MAX, NULL, NULL, true),
		     PROTO_PACKET_MAX);
	cr_assert_eq(memcmp(in, out, PROTO_PACKET_MAX), 0);
	free(out);
	free(in);
}

Test(packet, brings_descriptors)
{
	int out[PROTO_FDS_MAX] = {STDIN_FILENO, STDERR_FILENO, ends[0]}, in[PROTO_FDS_MAX];
	unsigned n = PROTO_FDS_MAX;
	struct stat sent, got;

	cr_assert_eq(packet_send(ends[0], "x", 1, out, PROTO_FDS_MAX, true), 0);
	cr_assert_eq(receive(in, &n), 1);
	cr_assert_eq(n, PROTO_FDS_MAX);
	for (unsigned i = 0; i < n; i++) {
		fstat(out[i], &sent);
		fstat(in[i], &got);
		cr_assert_eq(sent.st_ino, got.st_ino);
		cr_assert_eq(sent.st_dev, got.st_dev);
		cr_assert(fcntl(in[i], F_GETFD) & FD_CLOEXEC);
		close(in[i]);
	}
	cr_assert_eq(next_fd(), fds_before);
}

Test(packet, none_came)
{
	int fds[PROTO_FDS_MAX];
	unsigned n = PROTO_FDS_MAX;

	cr_assert_eq(packet_send(ends[0], "x", 1, NULL, 0, true), 0);
	cr_assert_eq(receive(fds, &n), 1);
	cr_assert_eq(n, 0);
}

Test(packet, what_can_not_be_sent)
{
	int fds[PROTO_FDS_MAX + 1] = {0};

	cr_assert_eq(packet_send(ends[0], "", 0, NULL, 0, true), -EINVAL);
	cr_assert_eq(packet_send(ends[0], "x", 1, fds, PROTO_FDS_MAX + 1, true), -EINVAL);
}

/* Every number of descriptors from a hostile peer: taken, or refused and closed. */
Test(packet, more_descriptors_than_room)
{
	const unsigned rooms[] = {0, 1, PROTO_FDS_MAX};

	for (unsigned sent = 1; sent <= 64; sent++)
		for (unsigned i = 0; i < 3; i++) {
			int fds[PROTO_FDS_MAX];
			unsigned n = rooms[i];
			ssize_t r;

			send_raw(1, sent);
			r = receive(fds, &n);
			cr_assert_eq(r, sent <= rooms[i] ? 1 : -EBADMSG, "%u sent, room for %u",
				     sent, rooms[i]);
			cr_assert_eq(n, sent <= rooms[i] ? sent : 0);
			while (n)
				close(fds[--n]);
			cr_assert_eq(next_fd(), fds_before, "%u sent, room for %u", sent, rooms[i]);
		}
}

Test(packet, no_room_at_all)
{
	send_raw(1, 1);
	cr_assert_eq(receive(NULL, NULL), -EBADMSG);
	cr_assert_eq(next_fd(), fds_before);
}

Test(packet, longer_than_the_buffer)
{
	int fds[PROTO_FDS_MAX];
	unsigned n = PROTO_FDS_MAX;

	send_raw(1025, 2);
	cr_assert_eq(receive(fds, &n), -EBADMSG);
	cr_assert_eq(n, 0);
	cr_assert_eq(next_fd(), fds_before);
	send_raw(1024, 0);
	cr_assert_eq(receive(NULL, NULL), 1024);
}

Test(packet, an_empty_one_is_no_end)
{
	send_raw(0, 0);
	cr_assert_eq(receive(NULL, NULL), -EBADMSG);
	cr_assert_eq(packet_send(ends[0], "x", 1, NULL, 0, true), 0);
	cr_assert_eq(receive(NULL, NULL), 1);
}

Test(packet, end_of_stream)
{
	int fds[PROTO_FDS_MAX];
	unsigned n = PROTO_FDS_MAX;

	packet_send(ends[0], "x", 1, NULL, 0, true);
	shutdown(ends[0], SHUT_WR);
	cr_assert_eq(receive(fds, &n), 1);
	n = PROTO_FDS_MAX;
	cr_assert_eq(receive(fds, &n), 0);
	cr_assert_eq(n, 0);
}

/* An empty packet that brings descriptors, and then the end: nobody would close them. */
Test(packet, the_end_brings_no_descriptors)
{
	int fds[PROTO_FDS_MAX];
	unsigned n = PROTO_FDS_MAX;
	ssize_t r;

	send_raw(0, 2);
	shutdown(ends[0], SHUT_WR);
	r = receive(fds, &n);
	cr_assert(r == 0 || r == -EBADMSG);
	cr_assert_eq(n, 0);
	cr_assert_eq(next_fd(), fds_before);
}

/* Never SIGPIPE, never a wait that was not asked for. */
Test(packet, a_peer_that_is_gone)
{
	close(ends[1]);
	cr_assert_eq(packet_send(ends[0], "x", 1, NULL, 0, true), -EPIPE);
	ends[1] = dup(ends[0]);
}

Test(packet, a_peer_that_does_not_read)
{
	static char packet[4096];
	int r, n = 0;

	while ((r = packet_send(ends[0], packet, sizeof(packet), NULL, 0, false)) == 0)
		n++;
	cr_assert_eq(r, -EAGAIN);
	cr_assert_gt(n, 0);
}

/* ---------------------------------------------------------------- arena */

Test(packet, arena_gives_aligned_and_disjoint)
{
	char bytes[1024];
	struct packet_arena arena = {bytes + 1, bytes + sizeof(bytes)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	char *before = bytes;
	int n = 0;

	for (char *p; (p = allocator.alloc(allocator.allocator_data, 40)); n++) {
		cr_assert_eq((uintptr_t)p % 16, 0);
		cr_assert_geq(p, before);
		cr_assert_leq(p + 40, bytes + sizeof(bytes));
		before = p + 40;
		allocator.free(allocator.allocator_data, p);
	}
	cr_assert(n == 21 || n == 20, "48 bytes each of 1,008: %d", n);
}

Test(packet, arena_has_an_end)
{
	char bytes[64];
	const size_t sizes[] = {65, 1u << 20, SIZE_MAX - 14, SIZE_MAX};
	struct packet_arena arena = {bytes, bytes + sizeof(bytes)};
	ProtobufCAllocator allocator = packet_allocator(&arena);

	for (size_t i = 0; i < 4; i++)
		cr_assert_null(allocator.alloc(allocator.allocator_data, sizes[i]));
}

Test(packet, arena_smaller_than_its_alignment)
{
	_Alignas(16) char bytes[32];
	struct packet_arena arena = {bytes + 1, bytes + 5};
	ProtobufCAllocator allocator = packet_allocator(&arena);

	cr_assert_null(allocator.alloc(allocator.allocator_data, 1));
	cr_assert_null(allocator.alloc(allocator.allocator_data, 1000));
}
