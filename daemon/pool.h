/* One served segment: everything the worker does, without the event loop and without the wire.
 *
 * Sessions and dispatch call the functions here and in registry.h, clients.h, refill.h and stats.h;
 * the worker's timers call pool_run and pool_tick.  Nothing blocks.  What walks a whole heap is a
 * job: it runs in slices of at most a millisecond from pool_run and reports to a callback, which may
 * come from within the call that started it.
 *
 * All of it reads memory that clients write, so every entry from outside goes through pool_guarded:
 * a hole that a client punched ends that call with -EIO, marks the segment damaged, and harms
 * nothing else. */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/backing.h"
#include "shm/segment.h"

#define WHY_BYTES 256

struct cache;
struct slab;
struct pool;
struct event_ring;

/* The outcome of a request: 0 or -errno, and a sentence for people when it failed. */
struct result {
	int status;
	char why[WHY_BYTES];
};

typedef void (*result_fn)(void *arg, const struct result *result);

/* A walk in slices.  step works until about deadline (CLOCK_MONOTONIC, ns), returns true when all is
 * done; finish then tells whoever waits, and frees the job: it reads no memory that clients write, for
 * after a hole there nobody would be told.  drop frees one that was not finished; NULL where free()
 * does. */
struct job {
	TAILQ_ENTRY(job) link;
	struct pool *pool;
	bool (*step)(struct job *job, uint64_t deadline);
	void (*finish)(struct job *job);
	void (*drop)(struct job *job);
	void *waiter; /* who is told; NULL: nobody (any more) */
	bool broken;  /* it met a hole in the segment's memory and did not come to its end */
};

TAILQ_HEAD(job_list, job);

struct extents {
	uint32_t count; /* of the heap; the first is never used */
	uint32_t *used; /* by extent, a bit a 64 KiB unit */
	bool *backed;	/* by extent */
	uint32_t backed_count;
	uint32_t lowest;	   /* no extent below this has room for the smallest slab */
	TAILQ_HEAD(, limbo) limbo; /* units whose slab left the table less than a second ago */
};

struct histogram {
	uint64_t buckets[40]; /* by log2 of microseconds */
};

struct pool {
	char name[NAME_BYTES];
	struct backing backing;
	struct segment segment;
	struct extents extents;
	struct cache **caches; /* by id */
	struct cache *by_name; /* those that have one */
	struct slab **slabs;   /* by unit of the heap: the slab that begins there */
	uint64_t *depot_used;  /* a bit a page of the depot's rack area */
	uint32_t next_cache_id, next_client_id, clients_attached, caches_live;
	uint32_t max_clients_per_uid;
	uint64_t threads_epoch; /* grows when a client, its threads or its open caches change */
	uint32_t restarts;	/* of the worker, since slabd started */
	uint32_t tombs;		/* clients that died and left orphans */
	uint64_t tombs_ever;	/* grows with each of them, and with each fold of some */
	bool folding;		/* tombs.c: their orphans change hands */
	uint64_t ticks;
	uint64_t random;
	uint64_t refills;
	uint64_t damage; /* words found that no protocol step could have left */
	struct histogram refill_wait;
	struct job_list jobs;
	struct event_ring *events;
};

/* Takes the regions as they are, fresh or left by a dead worker: maps them, repairs what party 1
 * left, rebuilds every private list, and queues the deaths of clients that died meanwhile.
 * Copies *backing; its fds stay the caller's.  0, or -errno with a sentence in why. */
int pool_open(struct pool **ret, const char *name, const struct backing *backing, char *why,
	      size_t why_bytes);
void pool_close(struct pool *pool);

/* So many workers of this slabd were there before; with the first one its uptime begins.  Until then both
 * are the segment's, which may be older. */
void pool_set_restarts(struct pool *pool, uint32_t restarts);

/* Would pool_open do?  The whole recovery is run on a private copy of the regions, and then the
 * audit; nothing in them changes.  0; -EIO with the reason in why. */
int pool_rehearse(const char *name, const struct backing *backing, char *why, size_t why_bytes);

/* Calls fn(arg) such that a SIGBUS on the segment's memory ends it: -EIO then, else 0. */
int pool_guarded(struct pool *pool, void (*fn)(void *arg), void *arg);
bool pool_is_damaged(const struct pool *pool);

/* Works on queued jobs for at most a millisecond; true if more are queued. */
bool pool_run(struct pool *pool);

/* Once a second: quarantined memory, low depots, and every 15th time the reaper. */
void pool_tick(struct pool *pool);

/* Adds to the damage count, and says so once in the log. */
void pool_damage(struct pool *pool, const char *what);

/* CLOCK_MONOTONIC in ns. */
uint64_t pool_now(void);

void job_add(struct pool *pool, struct job *job);
/* For its finish: -EIO and why, if it is broken. */
void job_result(const struct job *job, struct result *result);
/* The waiter is gone: its jobs go on, but tell nobody. */
void job_forget(struct pool *pool, const void *waiter);

#endif
