/* What the files of the library share.
 *
 * Three kinds of memory:
 *
 *	shared		the segment: catalog, depot, heap
 *	inherited	struct slabd, struct slabd_cache, the mapping itself: a forked child has them
 *			as its parent had
 *	own		struct process, struct identity, struct table: in MADV_WIPEONFORK memory, so that a
 *			child, made by whatever call, reads zeros: locks free, no identity, no
 *			magazines, nothing parked.  Zero must therefore mean "none yet" everywhere in it.
 *
 * Locks, all private to the process, taken in this order: process.attach, identity.lock,
 * process.lock.  Alloc and free take none until all local tiers have failed. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include <pthread.h>
#define SLABD_FAST_INTERNAL
#include <slabd/fast.h>

#include "client/address.h"
#include "client/connection.h"
#include "client/poison.h"
#include "shm/depot.h"

#define SLOTS_MAX 16384u /* caches that one process has open at a time */

/* One thread's view of one cache, and the constants of a cache: fast.h owns them, since programs that
 * include it know their layout. */
static_assert(sizeof(struct slabd_fast_slot) == CACHE_LINE, "a slot is a cache line");
static_assert(sizeof(struct slabd_fast_cache) == CACHE_LINE, "so are a cache's constants");
static_assert(SLABD_FAST_LAYOUT == SLABD_LAYOUT_VERSION, "one layout");
static_assert(TAG_OWNER_SHIFT == 18 && TAG_STATE_SHIFT == 16 && TAG_CIRC == 1 && TAG_LIVE == 2 &&
		      TAG_FREEING == 3 && REF_SHIFT == 4 && UNIT_SHIFT - REF_SHIFT == 12,
	      "fast.h has these numbers in its code");
static_assert(offsetof(struct slabd_fast_magazine, count) == offsetof(struct magazine, count) &&
		      offsetof(struct slabd_fast_magazine, rounds) ==
			      offsetof(struct magazine, rounds),
	      "fast.h has its own declaration of a magazine");
static_assert(sizeof(struct slabd_fast_magazine) == sizeof(struct magazine), "magazine");

/* One thread's slots.  Own memory; the thread reaches it through slabd_fast_slots. */
struct table {
	struct table *next, **link; /* of process.tables, under process.lock */
	bool registered;	    /* the thread's own: link is others' to write */
	char pad[40];
	struct slabd_fast_slot slots[SLOTS_MAX];
};

struct parked;

struct process {
	pthread_mutex_t attach; /* makes and drops attachments */
	pthread_mutex_t lock;	/* tables, caches, parked */
	struct table *tables;
	_Atomic uint32_t threads; /* tables */
	_Atomic uint32_t parked_count;
	struct parked *parked;
	uint8_t opened[SLOTS_MAX]; /* by slot: slabd knows that this process has it open */
};

/* Who this process is to slabd. */
struct identity {
	pthread_mutex_t lock; /* the connection: one request in flight */
	_Atomic uint32_t client;
	_Atomic uint32_t bell; /* slot + 1 of a doorbell that waits for the lock */
	uint64_t token_high, token_low, sequence;
	struct connection connection;
};

struct slabd {
	struct slabd *next;
	struct identity *identity;
	struct address address;
	struct segment segment;
	uint64_t segment_high, segment_low;
	uint32_t opens;
	bool same_address;
	struct connection inherited; /* as last connected, for a child to close */
	struct poison *poison;
};

struct slabd_cache {
	struct slabd_fast_cache fast; /* first: fast.h knows no more of it */
	struct cache_view view;
	uint32_t slot;
	bool strict;
	_Atomic uint32_t refilled; /* refills that were answered */
	struct slabd *slabd;
	uint64_t serial;
	uint32_t opens;
	char name[NAME_BYTES];
};

/* ---------------------------------------------------------------- thread.c */

extern struct process *process; /* NULL: no memory for it at start */
extern struct slabd_cache *caches_of_process[SLOTS_MAX];

static inline struct slabd_fast_slot *thread_slot(const struct slabd_cache *cache)
{
	return slabd_fast_slot(cache);
}

/* Makes the calling thread's slot ready: table registered, process attached, cache open.  0, or
 * -errno with the thread's error set. */
int thread_enter(struct slabd_cache *cache, uint64_t deadline);

/* Puts back what slot holds of cache. */
void thread_put_back(struct slabd_cache *cache, struct slabd_fast_slot *slot);
/* The same for all threads of the process, and the slots are free for another cache. */
void thread_put_back_all(struct slabd_cache *cache);
/* Puts back the previous magazine, and loaded, if there is one, takes its place. */
void thread_put_previous(struct slabd_cache *cache, struct slabd_fast_slot *slot);

/* ---------------------------------------------------------------- identity.c */

/* CLOCK_MONOTONIC, ns. */
uint64_t clock_now(void);
/* When a call that begins now gives up: PROTO_TIMEOUT_MS or $SLABD_TIMEOUT_MS from now. */
uint64_t clock_deadline(void);
uint64_t clock_deadline_short(void);

/* The identity's lock; -ETIMEDOUT with the error set.  Unlock sends a waiting doorbell. */
int attachment_lock(struct slabd *slabd, uint64_t deadline);
void attachment_unlock(struct slabd *slabd);

/* With the lock held: makes sure that the process has an identity; asks and waits for the answer,
 * across reconnections.  0, or -errno with the error set; a status in the answer is an error too. */
int attachment_enter(struct slabd *slabd, uint64_t deadline);
int attachment_call(struct slabd *slabd, struct request *request, struct answer *answer,
		    uint64_t deadline);

/* Connects and says hello; the welcome's fds are the caller's.  patient: nobody being there passes, which
 * before the first connection of a process is an answer.  0, or -errno with the error set. */
int attachment_greet(struct slabd *slabd, const struct hello *hello, struct welcome *welcome,
		     uint64_t deadline, bool patient);
void attachment_take_identity(struct slabd *slabd, const struct welcome *welcome);
void attachment_close_regions(struct welcome *welcome);
/* A child must not keep its parent's socket: slabd would never see it end. */
void attachment_drop_inherited(struct slabd *slabd);

/* ---------------------------------------------------------------- cache.c */

/* The constants that the fast path uses, from cache->view, strict and slot. */
void cache_set_constants(struct slabd_cache *cache);

/* With the lock held: tells slabd that this process has the cache open, if it does not know yet. */
int cache_enter(struct slabd_cache *cache, uint64_t deadline);
/* Forgets a cache whose magazines are back. */
void cache_drop(struct slabd_cache *cache);

/* ---------------------------------------------------------------- refill.c */

/* Waits for full magazines: 0, look again; or -errno with the error set. */
int refill_wait(struct slabd_cache *cache, uint32_t objects, uint64_t deadline);
/* Asks without waiting, if nobody has; always, when sure. */
void refill_ring(struct slabd_cache *cache, bool sure);

/* ---------------------------------------------------------------- alloc.c */

/* A slot whose loaded magazine has room: 0; -ENOBUFS when no magazine with room is to be had. */
int free_make_room(struct slabd_cache *cache, struct slabd_fast_slot *slot);
/* Steps (a) to (c) of an object that is FREEING(me) or LIVE(me), into a magazine with room. */
void free_add(struct slabd_cache *cache, struct slabd_fast_slot *slot, slab_ref ref);
/* Frees an object of known generation that anyone may own. 0, -ESTALE, or -errno of thread_enter. */
int free_generation(struct slabd_cache *cache, slab_ref ref, uint32_t generation,
		    uint64_t deadline);

/* ---------------------------------------------------------------- parked.c */

/* Lists a free for later.  claimed: its tag is FREEING(me); else it was not touched, for want of an
 * identity.  Theory in parked.c. */
void parked_add(struct slabd_cache *cache, slab_ref ref, uint32_t generation, bool claimed);
/* Completes what can be completed of cache's. */
void parked_resume(struct slabd_cache *cache, struct slabd_fast_slot *slot);
void parked_forget(const struct slabd_cache *cache);

static inline bool parked_any(void)
{
	return load_relaxed(&process->parked_count) != 0;
}

/* ---------------------------------------------------------------- error.c */

/* Sets the calling thread's sentence; returns r. */
int error_set(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* errno = -r; NULL. */
void *error_null(int r);
/* A free was refused: tells the handler. */
void error_refused(const struct slabd_cache *cache, const void *object);

#endif
