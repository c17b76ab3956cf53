/* What the cases of a worker share: the worker that this process is, and what it finds. */
#ifndef TESTS_CRASH_WORKER_SHAPES_H
#define TESTS_CRASH_WORKER_SHAPES_H

#include "tests/crash/crash.h"

#include "client/internal.h"
#include "daemon/pool.h"

#define SEQUENCE 77u /* of the request that the worker dies over */
#define MADE	 "made"
#define MADE_ID	 (CACHES + 1)

#define CASE(name_, cache_, prepare_, operate_, ...)                                          \
	{                                                                                     \
		.name = name_, .victim = VICTIM_WORKER, .cache = cache_, .prepare = prepare_, \
		.operate = operate_, __VA_ARGS__                                              \
	}

/* Of the worker that this process plays. */
extern struct pool *pool;
extern struct cache *cache;
extern struct result result;
extern uint64_t slice; /* of a job, ns */

extern const struct geometry_request made;

/* Jobs, as pool_run has them, but by another clock: under single steps a millisecond is nothing. */
void run(void);
void take_result(void *arg, const struct result *got);

uint32_t client_id(void);
/* This process is the worker from here on. */
void work_on(int which);
void work(void);
/* A client with live objects, and rounds in both of its magazines. */
void client_of(int which);
void plain_client(void);
void idle_client(void);
/* One magazine, whatever the batch would be. */
void fill_one(struct cache *c);
/* There are full magazines in the depot. */
void plain_full(void);
void plain_threads(void);
/* A cache of the client's own, with slabs and racks. */
void made_cache(void);
void made_unlinked(void);
/* Live objects of one's own do not stand in the way, where they die with their owner. */
void made_reclaim(void);
/* The client has nothing of it but magazines. */
void made_unlinked_held(void);

#endif
