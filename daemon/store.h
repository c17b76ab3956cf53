/* Descriptors that a service manager keeps for slabd: the regions over a restart of the service
 * (systemd's FD store), and a listening socket (socket activation). */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "daemon/backing.h"

/* Takes what the manager passed in $LISTEN_FDS, once, and forgets the variables.  *regions has its
 * four fds, or -1 in all; *listener a listening socket, or -1.  What is of no use is closed. */
void store_take(struct backing *regions, int *listener);

/* Asks the manager to keep the regions. */
void store_keep(const struct backing *backing);

#endif
