/* One SOCK_SEQPACKET packet at a time, with the few descriptors that a hello and its welcome carry;
 * and an allocator that bounds what decoding a packet can cost. */
#ifndef PROTO_PACKET_H
#define PROTO_PACKET_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Sends one packet, n > 0 bytes, with nfds descriptors, which stay the caller's.  0 or -errno; never
 * SIGPIPE.  Without wait: -EAGAIN when the socket is full. */
int packet_send(int socket, const void *bytes, size_t n, const int *fds, unsigned nfds, bool wait);

/* Receives one packet into buffer.  Its length; 0 at the end of the stream; -errno.
 *
 * *nfds says how many descriptors fds has room for, and then how many came; they are close-on-exec
 * and the caller's.  A packet with more of them than room, one that does not fit the buffer, and an
 * empty one: -EBADMSG, and every descriptor that came is closed.  fds and nfds may be NULL: no room. */
ssize_t packet_receive(int socket, void *buffer, size_t bytes, int *fds, unsigned *nfds, bool wait);

/* An allocator over the caller's buffer, for protobuf-c: what does not fit is "no memory", free does
 * nothing.  The arena must outlive what was decoded into it. */
struct packet_arena {
	char *at, *end;
};

ProtobufCAllocator packet_allocator(struct packet_arena *arena);

#endif
