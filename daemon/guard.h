/* Survives SIGBUS on memory that clients can punch holes in. */
#ifndef DAEMON_GUARD_H
#define DAEMON_GUARD_H

#include <stdint.h>

struct guard_range {
	const char *start;
	uint64_t bytes;
};

/* Calls fn(arg).  A SIGBUS on an address within one of the n ranges ends it there: -EIO; else 0.
 * Any other SIGBUS has its default effect.  From within fn too: then it ends the inner call.  What fn
 * held then (memory, a half-done change of private lists) is lost, so the caller stops using them. */
int guard_call(const struct guard_range *ranges, unsigned n, void (*fn)(void *arg), void *arg);

#endif
