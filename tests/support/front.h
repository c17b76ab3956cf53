/* The sessions of a pool in the test's own process: daemon/session.c and dispatch*.c over socket pairs,
 * and a stand-in for daemon/server.c that accepts nobody, kills nobody and has no clock.
 *
 * Whatever it can't do ends the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_FRONT_H
#define TESTS_SUPPORT_FRONT_H

#include "daemon/session.h"

/* One connection. */
struct front_peer {
	int fd;			 /* the client's end; -1: hung up */
	struct session *session; /* NULL: it has ended */
	bool unbound;		 /* somebody else speaks for its client, or nobody may any more */
};

struct server *front_open(struct pool *pool);
void front_close(struct server *front);

/* The peer must be there until it hung up and its session has ended. */
void front_connect(struct server *front, struct front_peer *peer);
void front_hang_up(struct server *front, struct front_peer *peer);

/* Sessions read what is there. */
void front_read(struct server *front);
/* They read and answer, and jobs run, until nothing is left to do. */
void front_run(struct server *front);

/* The processes of all clients but this one ended, and what they held came back. */
void front_kill(struct server *front, uint32_t but);

#endif
