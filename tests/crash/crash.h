/* A kill at every instruction: what the parts of the harness share.  Theory in main.c. */
#ifndef TESTS_CRASH_CRASH_H
#define TESTS_CRASH_CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "daemon/backing.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "shm/segment.h"

struct slabd;
struct slabd_cache;
struct slabd_fast_slot;

#define WHY	 512
#define GONE_PID 0x3fffffff /* above any pid_max */

/* ---------------------------------------------------------------- world.c */

/* The heap has room for SLABS slabs, whichever caches they belong to: all caches of the world have
 * objects of one size, so that an object's place says where its tag is. */
#define SLABS	       6u
#define SLAB_OBJECTS   10u
#define OBJECT_BYTES   100000u
#define ROUNDS	       3u /* of a magazine */
#define SURVIVOR_HOLDS 3u /* objects of each cache, before anything happens */

enum { PLAIN, STRICT, RECLAIM, CACHES };
extern const char *const cache_names[CACHES];

enum { STATE, CATALOG, DEPOT, HEAP, REGIONS };

/* One set of regions, and where this process has them mapped. */
struct side {
	struct backing backing;
	char *at[REGIONS];
	struct segment segment;
	struct cache_view any; /* of cache 1: all have its geometry */
};

struct world {
	struct side live;   /* here the victim works */
	struct side mirror; /* here its death is recovered from, as often as one likes */
	char *base;	    /* what every case begins with */

	/* this process as a client of the mirror */
	struct slabd *survivor;
	struct slabd_cache *caches[CACHES];
	struct slabd_fast_slot *slots[CACHES];
	struct slabd_fast_slot *slots_base;
	uint32_t survivor_id;
	uint32_t tomb_id; /* died long ago, and left an orphan in each cache but RECLAIM */
	char *no_slots;	  /* slabd_fast_slots of a thread that has not allocated */
};

extern struct world world;

void world_open(void);
/* Ends this process; silently in a victim whose shape may be out of reach. */
extern bool die_silently;
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* All words of the four regions that any protocol step may write. */
size_t image_bytes(void);
void image_take(const struct side *side, char *image);
void image_put(const struct side *side, const char *image);
bool image_is(const struct side *side, const char *image);
uint64_t image_hash(const char *image);

/* Every rack that the pool has is in an image. */
bool world_has_all_racks(const struct pool *pool);

/* The slab table and all tags. */
struct objects {
	uint32_t word[SLABS];
	uint32_t tag[SLABS][SLAB_OBJECTS];
};

slab_ref object_ref(uint32_t slab, uint32_t object);
void objects_read(struct objects *ret, const struct side *side);

struct client_record *side_record(const struct side *side, uint32_t id);
void run_jobs(struct pool *pool);

/* The nth object of this owner in this cache; REF_NONE. */
slab_ref object_of(const struct side *side, int cache, uint32_t owner, unsigned nth);

/* ---------------------------------------------------------------- proxy.c */

/* In place of a socket: the client library's connection_* end here.  A victim asks its tracer by a
 * signal; anyone else is served at once from served_by. */
enum message { MESSAGE_NONE, MESSAGE_BEGIN, MESSAGE_HELLO, MESSAGE_CALL };
struct mailbox;
extern struct mailbox *mailbox;
extern struct pool *served_by;
extern const struct side *served_side;
extern bool is_victim;
extern uint32_t victim_client; /* the id that the last hello got */

void proxy_open(void);
void victim_says(enum message message);
enum message mailbox_message(void);
void proxy_serve(void);
/* Somebody attaches and detaches: the id that it had; 0: it could not. */
uint32_t proxy_come_and_go(void);

/* ---------------------------------------------------------------- cases */

/* Who is killed, so which recoveries there are. */
enum victim {
	VICTIM_CLIENT, /* the client alone, and client and worker at once */
	VICTIM_WORKER, /* the worker; clients live, but for those that DYING records name */
};

/* Of the client that a victim is, or that it played before it was the worker. */
extern struct slabd *me;
extern struct slabd_cache *my_cache;

struct crash_case {
	const char *name;
	enum victim victim;
	int cache;	       /* in which objects move: its total is counted afterwards */
	void (*prepare)(void); /* in the victim, at full speed */
	void (*operate)(void); /* in the victim, one instruction after the other */
	const char *from;      /* stepped is not operate but this function that it calls */
	/* after recovery: whoever asked the dead worker asks again; false: the wrong answer */
	bool (*again)(struct pool *pool, uint32_t client, char *why);
	bool core; /* one of those that are taken in pairs, and whose recovery is killed everywhere */
	bool deep;   /* its recovery is killed everywhere, though it is in no pair */
	bool alone;  /* no worker before it: it begins with what the dead have left, unrepaired */
	bool orphan; /* it takes an orphan; that may be folded meanwhile */
	bool hostile; /* somebody wrote where he should not: all that is asked for is that slabd lives */
};

/* A client's death as the worker goes through it, and a worker's start; client: who is dead. */
extern const struct crash_case recovery_by_worker, recovery_by_restart;
extern uint32_t recovery_client;

extern const struct crash_case alloc_cases[], free_cases[], bulk_cases[], life_cases[];
extern const struct crash_case refill_cases[], cache_cases[], worker_cases[], tomb_cases[];
extern const unsigned alloc_cases_n, free_cases_n, bulk_cases_n, life_cases_n;
extern const unsigned refill_cases_n, cache_cases_n, worker_cases_n, tomb_cases_n;

/* cases.c: the nth of all tables in which this one is killed; NULL: there are no more. */
const struct crash_case *client_case(unsigned nth);
const struct crash_case *worker_case(unsigned nth);
const struct crash_case *tomb_case(unsigned nth); /* a worker, folding */

/* tomb_cases.c: what a fold is for that comes between two steps of a client: an image with three tombs,
 * where the id is free that the client will have; the fold as a victim; all of it, and somebody new who
 * gets an id by it. */
char *graves_make(void);
extern const struct crash_case graves_fold;
void graves_fold_now(void *arg);
bool graves_again(struct pool *pool, uint32_t client, char *why);

/* What goes wrong in the victim, for the paths behind it. */
struct lies {
	unsigned calloc, malloc, mmap; /* the how many-th call from now on fails; 0: none */
	unsigned madvise, setspecific, punch;
	bool extent; /* there is no memory for an extent */
	bool frozen; /* time stands still: a slice of pool_run has no end */
	bool refuse; /* no connection is to be had */
	bool deaf;   /* calls are answered, but nothing is done */
	bool reject; /* calls are answered -ENOMEM */
};
extern struct lies lies;

/* ---------------------------------------------------------------- tracer.c */

/* A state of the regions that a kill can leave, and the first instruction that it is left before. */
struct kill_point {
	char *image;
	uint64_t hash;
	uintptr_t pc;
	uint64_t step;
};

struct trace {
	const struct crash_case *crash_case;
	struct kill_point *points;
	uint32_t n, room;
	uint64_t steps;
	struct objects before, after;
	uint32_t last;	  /* the point that is the operation's end */
	uint32_t client;  /* the victim's id, or of the client that it played last; 0: none */
	uint32_t first;	  /* of two victims, the client that was killed before; 0: none */
	bool client_dies; /* and not only its worker */

	/* what happens in the midst of the operation, when there are so many points, or, if that is 0,
	 * so many steps; then the operation is stepped on, or run to its end at full speed, where the
	 * only point is */
	void (*meanwhile)(void *arg);
	void *arg;
	uint32_t meanwhile_at;
	uint64_t meanwhile_step;
	bool then_run;
};

/* Steps the case's operation from start (an image).  False if its shape can't be had from there, which
 * is an error from world.base. */
bool trace_run(struct trace *trace, const struct crash_case *crash_case, const char *start);
/* Steps the case's operation on the live side as it is, until there are so many points, and kills.  The
 * client that the victim had played before, if any, is in *client. */
bool trace_kill_at(const struct crash_case *crash_case, uint32_t points, uint32_t *client);
/* A new worker for the live side. */
void live_open(void);
void live_close(void);
void trace_free(struct trace *trace);

/* ---------------------------------------------------------------- recover.c */

/* Recovers on the mirror from every kill point; how many fail, each told on stderr. */
unsigned recover_all(const struct trace *trace);
/* One: false, and why. */
bool recover_one(const struct trace *trace, const struct kill_point *point, bool worker_lives,
		 char *why);

/* ---------------------------------------------------------------- effects.c */

/* The operation did to the objects what it is there for, besides what a fold meanwhile did; if not, says
 * so on stderr. */
bool effects_are_right(const struct trace *trace);

/* ---------------------------------------------------------------- coverage.c */

void coverage_open(void);
void coverage_hit(uintptr_t pc);
bool coverage_is_text(uintptr_t pc);
/* By the address as the program's file has it. */
bool coverage_was_hit(unsigned long address);
uintptr_t symbol_find(const char *name);
/* "depot_put+0x12" */
const char *symbol_at(uintptr_t pc, char *text, size_t bytes);

/* ---------------------------------------------------------------- unreached.c */

/* Prints what of the functions under test was never a kill point: 1 if that is more than
 * unreached.txt allows. */
int unreached_report(bool verbose);

/* ---------------------------------------------------------------- suites.c */

/* Each does what is to be done about one case; sample: every so many states only. */
void suite_single(const struct crash_case *c, unsigned sample);
void suite_recovery(const struct crash_case *c, unsigned sample);
void suite_pairs(const struct crash_case *c, unsigned sample);
void suite_meanwhile(const struct crash_case *c, unsigned sample);
void suite_folds(const struct crash_case *c, unsigned sample);

struct totals {
	_Atomic uint64_t cases, steps, points, recoveries, failures, pairs, skipped;
	_Atomic uint32_t next;
};
extern struct totals *totals;

#endif
