/* Packets to slabd and back, each within a deadline: ask.c's lower half, without protobuf. */
#ifndef SLABCTL_WIRE_H
#define SLABCTL_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "client/slabctl/query.h"

/* Milliseconds of a clock that nobody sets; deadlines are instants of it. */
uint64_t wire_now(void);
void wire_pause(unsigned ms);

/* Each gives an exit code, and in query->why what was wrong. */
int wire_connect(struct query *query, uint64_t deadline);
int wire_send(struct query *query, size_t n, uint64_t deadline); /* query->packet */
int wire_receive(struct query *query, size_t *n,
		 uint64_t deadline); /* *n 0: no packet of slabd's */

#endif
