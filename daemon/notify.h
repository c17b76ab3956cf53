/* Word to the service manager (sd_notify's protocol), if NOTIFY_SOCKET names one. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* Sends state, such as "READY=1\nSTATUS=..."; never blocks, never fails. */
void notify_send(const char *state);

/* The same with a descriptor, which stays the caller's (-1: none). */
void notify_send_fd(const char *state, int fd);

#endif
