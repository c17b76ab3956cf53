/* One connection to slabd, in plain C: protobuf's types end in connection.c.
 *
 * Nothing here locks; the attachment's identity does.  Before each use the number of the socket is
 * checked to be still its own (st_dev, st_ino): one that the application closed and re-used is
 * neither written nor closed. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/address.h"

#define WHY_BYTES 256

/* Zero: not connected. */
struct connection {
	bool open;
	int fd;
	dev_t device;
	ino_t inode;
};

struct hello {
	const char *segment;
	bool observer;
	uint32_t resume_id; /* 0: a new client */
	uint64_t token_high, token_low, segment_high, segment_low;
};

struct welcome {
	uint32_t client;
	uint64_t token_high, token_low, segment_high, segment_low;
	uint64_t base, catalog_bytes, depot_bytes, heap_bytes;
	unsigned nfds;
	int fds[3]; /* catalog, depot, heap; the caller's */
};

enum request_verb {
	REQUEST_CREATE,
	REQUEST_OPEN,
	REQUEST_CLOSE,
	REQUEST_DESTROY,
	REQUEST_SHRINK,
	REQUEST_REFILL,
	REQUEST_DOORBELL,
	REQUEST_DETACH
};

/* What each verb uses: create name, object_size, align, flags, magazine; open name, or id and
 * serial; the others id and serial; refill and doorbell threads; refill objects. */
struct request {
	enum request_verb verb;
	uint64_t sequence;
	const char *name;
	uint64_t object_size, align, serial;
	uint32_t flags, magazine, id, objects, threads;
};

struct answer {
	int status;	     /* 0 or -errno, as slabd has it */
	char why[WHY_BYTES]; /* its sentence */
	uint32_t id;	     /* of create and open */
	uint64_t serial;
};

/* Deadlines are CLOCK_MONOTONIC in ns.  0, or -errno: -ETIMEDOUT, or whatever ended the connection. */
int connection_open(struct connection *connection, const struct address *address);
void connection_close(struct connection *connection);
int connection_hello(struct connection *connection, const struct hello *hello,
		     struct welcome *welcome, struct answer *answer, uint64_t deadline);
int connection_call(struct connection *connection, const struct request *request,
		    struct answer *answer, uint64_t deadline);
/* One way, without waiting. */
int connection_ring(struct connection *connection, const struct request *request);

#endif
