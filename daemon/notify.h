/* What the service manager is told, by the datagram protocol of sd_notify(3). */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* Sends state to $NOTIFY_SOCKET, if there is one; never waits, and its failure is nobody's. */
void notify_send(const char *state);

#endif
