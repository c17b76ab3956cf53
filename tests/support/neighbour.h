/* A client that does nothing wrong, beside those that do: its objects are signed, and stay as they are. */
#ifndef TESTS_SUPPORT_NEIGHBOUR_H
#define TESTS_SUPPORT_NEIGHBOUR_H

#include "tests/support/pool_fixture.h"

#define NEIGHBOUR_OBJECTS 300u

struct neighbour {
	struct pool_fixture *f;
	uint32_t client;
	uint64_t serial; /* of its cache */
	struct fake fake;
	slab_ref refs[NEIGHBOUR_OBJECTS];
};

/* A client of a process that nobody here can claim to be, with objects in a cache named "kept". */
void neighbour_move_in(struct neighbour *n, struct pool_fixture *f);

/* NULL, or what happened to it.  Its objects are looked at, some of them freed, and others taken. */
const char *neighbour_complaint(struct neighbour *n);

#endif
