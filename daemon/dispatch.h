/* What a packet asks, and what it is answered. */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/session.h"

/* Handles one packet and closes its descriptors.  NULL, or what is wrong with it: then the
 * connection must end. */
const char *dispatch_packet(struct session *session, const void *bytes, size_t n, int *fds,
			    unsigned nfds);

/* watch_evict is done: answers the session that asked for it. */
void dispatch_evicted(struct session *session, uint32_t clients, const struct result *result);

#endif
