/* The keeper: the half of slabd that does nearly nothing, so that it does not die.
 *
 * It holds the listening socket, the lock and the regions' fds, maps none of them, and keeps a worker
 * running (worker.h), which does everything. */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stdint.h>

#include "daemon/options.h"

/* What a worker says to its keeper: packets of just this size on a SOCK_SEQPACKET pair. */
enum keeper_word {
	KEEPER_READY = 1,    /* it serves, for the first time or after a reload */
	KEEPER_STOPPING = 2, /* it ends because it was told to */
	KEEPER_ALIVE = 3,    /* its loop came round; only if a service manager watches */
};

struct keeper_message {
	uint32_t word;
};

/* Serves until SIGTERM or SIGINT; the exit code of slabd. */
enum slabd_exit keeper_run(const struct options *options);

#endif
