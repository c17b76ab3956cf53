/* One connected peer: its packets in, its replies out, and when it is over. */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/clients.h"
#include "daemon/pool.h"
#include "daemon/server.h"

/* SILENT --hello--> ATTACHED or OBSERVER;  ATTACHED --detach--> DETACHED */
enum session_phase { SESSION_SILENT, SESSION_ATTACHED, SESSION_OBSERVER, SESSION_DETACHED };

struct event;

/* The request that a job works on; what its answer needs. */
struct pending {
	uint64_t sequence, serial;
	uint32_t first, cache;
	bool map;
	char name[NAME_BYTES];
};

struct output;

struct session {
	/* the server's and its watches' */
	TAILQ_ENTRY(session) link;
	uint64_t accepted;	    /* ns */
	uint32_t evicting, evicted; /* clients that it had killed: not gone yet, in all */

	/* connection */
	struct server *server;
	struct pool *pool;
	int fd;
	struct event *reading, *writing;
	STAILQ_HEAD(, output) output;
	size_t queued; /* bytes in output */
	bool busy;     /* a request is with a job: nothing is read until its reply */
	bool closing;  /* ends when output is empty */
	bool ended;

	/* peer */
	enum session_phase phase;
	int32_t pid;
	uint32_t uid;
	int pidfd; /* -1: the kernel gave none */
	uint32_t client;

	struct pending pending;
	struct peer arriving; /* waits for a client id */
	int arriving_pidfd;   /* -1: it does not */
};

TAILQ_HEAD(session_list, session);

/* Begins to serve an accepted socket, which is the session's from now on, also when this fails. */
int session_open(struct session **ret, struct server *server, int fd);

/* Ends it: from now on nothing comes from it or goes to it.  A client whose process lives becomes
 * lingering.  The server frees it later. */
void session_end(struct session *session);
void session_free(struct session *session); /* the server's */

/* Sends or queues one reply; last: and then ends.  The fds stay the caller's. */
void session_reply(struct session *session, const void *bytes, size_t n, const int *fds,
		   unsigned nfds, bool last);

/* From here to the next session_reply the peer's further packets wait. */
void session_busy(struct session *session);

/* "pid 123 (uid 0)", for log lines */
const char *session_name(const struct session *session, char *text, size_t n);

#endif
