/* Sessions that any of several processes creates, finds, updates and deletes. */
#ifndef DEMO_STORE_H
#define DEMO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slabd/slabd.h>

#include "tests/demo/session.h"

struct store {
	struct slabd *slabd;
	struct slabd_cache *sessions, *responses, *index;
	struct index_root *root;
};

/* Attaches, makes or opens the three caches, makes or finds the index. 0 or -errno. */
int store_open(struct store *store, const char *address);
/* Attaches and finds; makes nothing. -ENOENT when there is no index. */
int store_find(struct store *store, const char *address);
void store_close(struct store *store);

/* Each gives 0 and a copy of the session's state, or -ENOENT (no such session), -ENOMEM (the pool is
 * full), -EBADMSG (the content is not what was signed). Deleting copies the last state. */
int store_create(struct store *store, const void *text, size_t length, struct session *copy);
int store_read(struct store *store, uint64_t id, struct session *copy);
int store_update(struct store *store, uint64_t id, const void *text, size_t length,
		 struct session *copy);
int store_delete(struct store *store, uint64_t id, struct session *copy);

/* What a walk over the whole index found. */
struct findings {
	uint64_t sessions, updates;
	uint64_t damaged; /* a handle that names nothing, a wrong bucket, a wrong sum */
};

int store_walk(struct store *store, struct findings *findings);
/* Frees every session, the index and, where nothing is left in them, the caches themselves. *freed:
 * sessions freed. 0, or -EBUSY: something that the index does not know is still live. */
int store_clear(struct store *store, uint64_t *freed);

#endif
