/* Slabd's protocol, spoken by hand: for observers, for peers that misbehave, and for daemons that are
 * none. */
#ifndef TESTS_SUPPORT_WIRE_H
#define TESTS_SUPPORT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/packet.h"
#include "proto/slabd.pb-c.h"

struct wire_reply {
	Slabd__Reply *reply; /* in memory */
	char memory[1 << 18];
};

/* Connected, or -errno. */
int wire_connect(const char *path);
/* A listening socket at path. */
int wire_listen(const char *path);

/* A hello of this release, to be changed. */
void wire_hello(Slabd__Hello *hello);

int wire_send(int fd, const Slabd__Request *request);
/* Says hello as an observer and takes the welcome: 0 or -errno. */
int wire_greet(int fd);
/* The same, for what the welcome says. */
int wire_welcome(int fd, struct wire_reply *ret);
/* The next reply, which must come within ms: 0, -ETIMEDOUT, -ECONNRESET at the end of the stream. */
int wire_receive(int fd, struct wire_reply *ret, int ms);
/* The same of a request, for daemons that are none: into request's arena. */
int wire_take_hello(int fd, uint64_t *sequence, int ms);

/* Waits for the peer's end of the stream, whatever comes before: 0 or -ETIMEDOUT. */
int wire_wait_end(int fd, int ms);

#endif
