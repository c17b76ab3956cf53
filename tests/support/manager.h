/* A service manager as slabd sees one: NOTIFY_SOCKET with a store for descriptors, $LISTEN_FDS at the next
 * start, socket activation.  On top of a daemon_fixture, which asks over the wire. */
#ifndef TESTS_SUPPORT_MANAGER_H
#define TESTS_SUPPORT_MANAGER_H

#include "tests/support/daemon_fixture.h"

#define MANAGER_STORE 16

struct manager {
	struct daemon_fixture d;
	struct {
		char name[32];
		int fd;
	} store[MANAGER_STORE];
	unsigned n;
	int listener; /* for the next starts; -1: none */
};

void manager_init(struct manager *m);

/* Starts slabd with --socket and these options (NULL at the end) and all that is stored, and returns at
 * READY=1. */
void manager_start(struct manager *m, ...) __attribute__((sentinel));
/* The same to its end: its exit code. */
int manager_run(struct manager *m, ...) __attribute__((sentinel));

/* Takes messages until one contains text. */
void manager_expect(struct manager *m, const char *text);

/* A stored descriptor; -1: there is none, or are several, of this name. */
int manager_fd(const struct manager *m, const char *name);
/* Forgets what is stored under this name. */
void manager_forget(struct manager *m, const char *name);

/* A listening socket, at the path where the fixture's slabd would have its own. */
void manager_listen(struct manager *m);

#endif
