/* slabctl's side of the conversation, as an observer.  Here protobuf ends: plain C comes out.
 *
 * Every function gives an exit code, 0 for done; otherwise query->why has the sentence to show. */
#ifndef SLABCTL_QUERY_H
#define SLABCTL_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/address.h"
#include "proto/limits.h"

#define COMM_BYTES 64

struct query {
	int socket; /* -1: not connected */
	unsigned timeout_ms;
	/* While an answer is waited for, every tenth of a second: false to wait no longer; and when that
	 * is over.  NULL: nobody is told. */
	bool (*waiting)(void *arg, uint64_t waited_ms);
	void (*waited)(void *arg, uint64_t waited_ms);
	void *waiting_arg;
	/* What only asks is asked again of the next worker where this one ended before it answered. */
	bool patient;
	bool hung_up; /* why the last call failed */
	uint64_t sequence;
	struct address address;
	char shown[192];  /* the address as it is shown and typed */
	char version[64]; /* of slabd */
	uint64_t segment; /* half of its id: another segment has another */
	char why[1024];
	/* the last reply: its bytes, and what they were decoded into */
	_Alignas(16) char decoded[PROTO_DECODE_MAX];
	uint8_t packet[PROTO_PACKET_MAX];
};

struct status_row {
	char version[64], address[192], backing[32], backing_why[512];
	uint64_t heap_bytes, heap_used_bytes, memory_bytes, caches, clients, worker_restarts;
	uint64_t refills, refill_wait_us_p99, max_caches, max_clients, uptime_ms, pid;
	bool damaged;
};

struct cache_row {
	char name[PROTO_NAME_MAX + 1];
	uint64_t id, object_size, align, stride, slab_bytes, slabs, objects, live, orphaned;
	uint64_t in_magazines, in_slabs, magazine, clients, flags, bytes, allocs, frees, refills;
	uint64_t claims, waits, racks, serial, surplus, batch;
	bool unlinked;
};

struct client_row {
	uint64_t id, pid, uid, threads, live, in_magazines, refills;
	char comm[COMM_BYTES], state[32];
};

struct audit_row {
	char name[PROTO_NAME_MAX + 1];
	uint64_t objects, in_slabs, in_magazines, live, orphaned, freeing, lost, doubled;
};

struct orphan_row {
	char cache[PROTO_NAME_MAX + 1], owner_comm[COMM_BYTES];
	uint64_t owner_pid, owners, objects, bytes, died_at;
};

struct event_row {
	uint64_t sequence, time_ms, client, pid, magazines, objects, orphans;
	char kind[32], text[256], comm[COMM_BYTES], cache[PROTO_NAME_MAX + 1];
};

/* Lists are the caller's to free; zero at first. */
struct list {
	void *rows; /* of the row type that the function names */
	size_t n, room;
};

/* ---------------------------------------------------------------- the conversation: ask.c */

/* Resolves the address (NULL: the default) without connecting.  query is zero at first. */
int query_init(struct query *query, const char *address);
/* $SLABD_TIMEOUT_MS, if it is set, instead of the default. */
int query_timeout_from_environment(struct query *query);
/* Connects and says hello, within timeout_ms; may be called again after it failed. */
int query_open(struct query *query);
void query_close(struct query *query);

/* Puts the sentence into query->why, and gives code back. */
int query_fail(struct query *query, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---------------------------------------------------------------- the questions: query.c */

int query_status(struct query *query, struct status_row *ret);
/* Is memory of the segment gone, so that what walks it finds less than there is? */
bool query_is_damaged(struct query *query);
int query_caches(struct query *query, struct list *caches); /* struct cache_row */
/* The same, and for each cache a char *, the caller's to free: its map, as query_cache() gives it. */
int query_maps(struct query *query, struct list *caches, struct list *maps);
/* map: one character a slab, the caller's to free; NULL: none wanted. */
int query_cache(struct query *query, const char *name, struct cache_row *ret, char **map);
int query_clients(struct query *query, struct list *clients); /* struct client_row */

struct create_args {
	const char *name;
	uint64_t size, align;
	uint32_t flags, magazine;
};
int query_create(struct query *query, const struct create_args *args, uint64_t *id);
int query_destroy(struct query *query, const char *name);
struct setting {
	char key[32];
	bool standard; /* back to the default */
	uint64_t value, before;
};
int query_set(struct query *query, const char *name, struct setting *setting);
int query_shrink(struct query *query, const char *name, uint64_t *bytes); /* NULL: all */

struct audit_verdict {
	bool balanced, exact;
	struct list caches; /* struct audit_row */
};
int query_audit(struct query *query, struct audit_verdict *ret);

/* name NULL: of all caches; release: frees them, and says how many. */
int query_orphans(struct query *query, const char *name, bool release, struct list *orphans,
		  uint64_t *freed); /* struct orphan_row */
/* All events after *after, which becomes the last one's number; lost: too old to be there still. */
int query_events(struct query *query, uint64_t *after, struct list *events, uint64_t *lost);
int query_evict(struct query *query, int pid, uint64_t *clients);

#endif
