/* Word to the service manager (sd_notify's protocol), if NOTIFY_SOCKET names one. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>

/* Sends state, such as "READY=1\nSTATUS=..."; never blocks, never fails. */
void notify_send(const char *state);

/* The same with a descriptor, which stays the caller's (-1: none). */
void notify_send_fd(const char *state, int fd);

/* Does the manager want to hear WATCHDOG=1 ($WATCHDOG_USEC, and no $WATCHDOG_PID of another)?  In the
 * keeper first, which leaves the answer to its workers. */
bool notify_watched(void);

#endif
