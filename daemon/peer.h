/* Who is at the other end of a connection, as the kernel has it. */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/clients.h"

/* Process and user of the peer, and a pidfd of it: *pidfd is -1 where the kernel gives none for a
 * socket (before Linux 6.5).  pid 0: it lives in another pid namespace.  0, or -errno. */
int peer_identify(int socket, int32_t *pid, uint32_t *uid, int *pidfd);

/* Fills *peer.  pidfd, or else the one that the peer sent (offered), or else one that is opened by
 * pid names the process; *ret is the one chosen, a new fd.  -EACCES if offered is no pidfd of pid,
 * -ESRCH if the process is gone. */
int peer_complete(struct peer *peer, int32_t pid, uint32_t uid, uint64_t image, int pidfd,
		  int offered, int *ret);

/* A pidfd of the process that has this pid and began at start_time; -ESRCH if it is gone. */
int peer_open(int32_t pid, uint64_t start_time);

/* Has the process ended? */
bool peer_is_dead(int pidfd);

#endif
