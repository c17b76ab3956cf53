/* The socket's place in the file system: its directory, its lock, the listener itself. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stddef.h>

/* Makes the socket's directory if it is missing; its parent must be there.  0, or -errno with a
 * sentence in error (as all below). */
int listen_directory(const char *socket, char *error, size_t error_bytes);

/* What listen_directory and listen_open will need, without changing anything. */
int listen_check_directory(const char *socket, char *error, size_t error_bytes);

/* Takes the lock beside the socket, SOCKET.lock, and writes the pid into it: the fd, which holds the
 * lock until it and all its copies are closed.  -EADDRINUSE when another slabd has it. */
int listen_lock(const char *socket, char *error, size_t error_bytes);

/* Is the lock free?  0, -EADDRINUSE, or another error. */
int listen_check_lock(const char *socket, char *error, size_t error_bytes);

/* Under the lock: removes a stale socket, and listens.  The fd, non-blocking, or -errno. */
int listen_open(const char *socket, char *error, size_t error_bytes);

#endif
