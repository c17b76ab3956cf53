/* What happened lately, for operators: the last EVENTS_MAX events in the worker's own memory.
 *
 * Sequence numbers grow over the whole life of a segment: each worker begins with its own number of
 * restarts in their upper half.  What a dead worker had noted is gone with it, and the log has it. */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/pool.h"

#define EVENTS_MAX 512u

enum event_kind {
	EVENT_STARTED,
	EVENT_WORKER_RESTARTED,
	EVENT_HUGEPAGES_FALLBACK,
	EVENT_CLIENT_ATTACHED,
	EVENT_CLIENT_DIED,
	EVENT_CLIENT_DETACHED,
	EVENT_CLIENT_RECLAIMED,
	EVENT_CACHE_CREATED,
	EVENT_CACHE_DESTROYED,
	EVENT_LIMIT_NEAR,
	EVENT_DAMAGE,
};

struct happening {
	uint64_t sequence, time_ms; /* since the epoch */
	enum event_kind kind;
	uint32_t client; /* 0: it is about none; as pid, comm and cache */
	int32_t pid;
	char comm[16];
	char cache[NAME_BYTES];
	uint64_t magazines, objects, orphans; /* that came back, that stay */
	char text[WHY_BYTES];
};

struct event_ring {
	uint64_t first; /* sequence number of this worker's first event */
	uint64_t next;
	bool heap_near, caches_near, clients_near; /* said, and so still */
	struct happening events[EVENTS_MAX];
};

int events_open(struct pool *pool);
void events_close(struct pool *pool);

/* Time and number are given to it; the text is a sentence. */
void events_add(struct pool *pool, const struct happening *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same about a client: its pid and name are from its record. */
void events_client(struct pool *pool, enum event_kind kind, uint32_t client,
		   const struct happening *counts, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The first event after this number; NULL: none.  *lost: those in between that are gone. */
const struct happening *events_after(const struct pool *pool, uint64_t after, uint64_t *lost);

const char *events_name(enum event_kind kind);

/* Once a second: is a limit near? */
void events_tick(struct pool *pool);

#endif
