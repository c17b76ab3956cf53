/* What the parts of a client process share: its state, and its operations.  Each operation takes a
 * cache that was drawn for it. */
#ifndef TESTS_STRESS_STORM_CLIENT_H
#define TESTS_STRESS_STORM_CLIENT_H

#include "tests/stress/storm/storm.h"

#define HELD	   400u		       /* objects of a cache that one client keeps at most */
#define HELD_BYTES (UINT32_C(1) << 20) /* and bytes */

struct held {
	void *object;
	slabd_handle handle;
};

struct client {
	unsigned place;
	uint64_t me, seed;
	struct place *own;
	struct slabd *slabd;
	struct slabd_cache *caches[CACHES]; /* NULL: not opened yet */
	struct held held[CACHES][HELD];
	unsigned n[CACHES];
};

/* ---------------------------------------------------------------- client.c */

unsigned client_draw(struct client *c, unsigned below);
void client_count(struct client *c, enum count kind);
/* How many objects of the cache it may hold. */
unsigned client_most(unsigned cache);
/* The cache, made or opened at its first use. */
struct slabd_cache *client_cache(struct client *c, unsigned cache);
/* Gives itself up with all that it holds, and comes back as another client. */
void client_attach_anew(struct client *c, unsigned cache);

/* ---------------------------------------------------------------- client_objects.c */

void client_alloc(struct client *c, unsigned cache);
void client_alloc_bulk(struct client *c, unsigned cache);
void client_free(struct client *c, unsigned cache);
void client_free_bulk(struct client *c, unsigned cache);
void client_look(struct client *c, unsigned cache);
void client_burst(struct client *c, unsigned cache);
/* Takes an object in that was just allocated. */
void client_keep_new(struct client *c, unsigned cache, void *object);

void client_pass(struct client *c, unsigned cache);
void client_adopt(struct client *c, unsigned cache);
void client_adopt_handle(struct client *c, unsigned cache, slabd_handle handle);
void client_root(struct client *c, unsigned cache);
void client_free_by_handle(struct client *c, unsigned cache);

/* ---------------------------------------------------------------- client_slow.c */

void client_flush(struct client *c, unsigned cache);
void client_shrink(struct client *c, unsigned cache);
void client_open_and_close(struct client *c, unsigned cache);
void client_reopen(struct client *c, unsigned cache);
void client_own_cache(struct client *c, unsigned cache);
void client_thread(struct client *c, unsigned cache);
void client_fork(struct client *c, unsigned cache);

#endif
