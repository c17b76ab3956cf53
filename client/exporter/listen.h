/* Where to listen: an address and a port, as they are typed and shown. */
#ifndef EXPORTER_LISTEN_H
#define EXPORTER_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

/* ADDR:PORT or [ADDR]:PORT, port 0 for any.  False if it is neither. */
bool listen_parse(const char *text, struct sockaddr_storage *at, socklen_t *bytes);
/* Can it be reached from this machine alone? */
bool listen_is_loopback(const struct sockaddr_storage *at);

#define LISTEN_NAME_BYTES 64
/* The same again, of a socket. */
const char *listen_name(int fd, char name[LISTEN_NAME_BYTES]);

#endif
