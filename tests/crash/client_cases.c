/* The client's operations, each on each tier.  prepare attaches a client of its own and brings its
 * magazines into the shape that leads the operation down the path that the case is named after. */
#include "tests/crash/crash.h"

#include <pthread.h>
#include <string.h>

#include "client/internal.h"

#define MOST 32u

/* Of the victim. */
static struct slabd *me;
static struct slabd_cache *cache;
static void *objects[MOST];
static unsigned n;

static void attach_to(int which)
{
	if (slabd_attach(&me, "crash") < 0 || slabd_cache_open(me, cache_names[which], &cache) < 0)
		die("victim: %s", slabd_error());
	n = 0;
}

static void take(unsigned wanted)
{
	for (; wanted; wanted--) {
		objects[n] = slabd_alloc(cache, 0);
		if (!objects[n++])
			die("victim: %s", slabd_error());
	}
}

static void give(unsigned wanted)
{
	for (; wanted; wanted--)
		slabd_free(cache, objects[--n]);
}

/* The i-th object of the survivor in the victim's cache. */
static void *theirs(unsigned i)
{
	struct objects now;

	objects_read(&now, &world.live);
	for (uint32_t s = 0; s < SLABS; s++)
		for (uint32_t k = 0; k < SLAB_OBJECTS; k++)
			if (now.word[s] == cache->view.word &&
			    tag_state(now.tag[s][k]) == TAG_LIVE &&
			    tag_owner(now.tag[s][k]) == world.survivor_id && !i--)
				return ref_address(cache->view.heap, object_ref(s, k));
	die("victim: the survivor has not so many objects");
}

/* ---------------------------------------------------------------- operations */

static void do_alloc(void)
{
	slabd_alloc(cache, 0);
}

static void do_free(void)
{
	slabd_free(cache, objects[0]);
}

/* ---------------------------------------------------------------- alloc */

static void plain_first(void)
{
	attach_to(PLAIN);
}

static void plain_one(void)
{
	attach_to(PLAIN);
	take(1);
}

static void plain_last(void)
{
	attach_to(PLAIN);
	take(ROUNDS - 1);
}

/* loaded is empty, previous is full */
static void plain_swap(void)
{
	attach_to(PLAIN);
	take(ROUNDS + 1);
	give(2);
	take(1);
}

static void plain_claim(void)
{
	attach_to(PLAIN);
	take(ROUNDS);
}

static void plain_claim_and_put(void)
{
	attach_to(PLAIN);
	take(2 * ROUNDS);
}

/* ---------------------------------------------------------------- free */

static void plain_two(void)
{
	attach_to(PLAIN);
	take(2);
}

/* loaded is full, previous has room */
static void plain_free_swap(void)
{
	attach_to(PLAIN);
	take(ROUNDS + 1);
	give(1);
}

static void plain_free_claim(void)
{
	attach_to(PLAIN);
	take(2 * ROUNDS);
	give(ROUNDS);
}

static void remote(void)
{
	attach_to(PLAIN);
	take(1);
	objects[0] = theirs(0);
}

static void strict_own(void)
{
	attach_to(STRICT);
	take(2);
}

static void reclaim_two(void)
{
	attach_to(RECLAIM);
	take(2);
}

const struct crash_case client_cases[] = {
	{"alloc, first", VICTIM_CLIENT, PLAIN, plain_first, do_alloc, NULL, NULL},
	{"alloc, magazine", VICTIM_CLIENT, PLAIN, plain_one, do_alloc, NULL, NULL},
	{"alloc, last round", VICTIM_CLIENT, PLAIN, plain_last, do_alloc, NULL, NULL},
	{"alloc, swap", VICTIM_CLIENT, PLAIN, plain_swap, do_alloc, NULL, NULL},
	{"alloc, claim", VICTIM_CLIENT, PLAIN, plain_claim, do_alloc, NULL, NULL},
	{"alloc, claim and put", VICTIM_CLIENT, PLAIN, plain_claim_and_put, do_alloc, NULL, NULL},
	{"alloc, reclaim cache", VICTIM_CLIENT, RECLAIM, reclaim_two, do_alloc, NULL, NULL},
	{"free, magazine", VICTIM_CLIENT, PLAIN, plain_two, do_free, NULL, NULL},
	{"free, swap", VICTIM_CLIENT, PLAIN, plain_free_swap, do_free, NULL, NULL},
	{"free, claim", VICTIM_CLIENT, PLAIN, plain_free_claim, do_free, NULL, NULL},
	{"free, another's", VICTIM_CLIENT, PLAIN, remote, do_free, NULL, NULL},
	{"free, strict", VICTIM_CLIENT, STRICT, strict_own, do_free, NULL, NULL},
	{"free, reclaim cache", VICTIM_CLIENT, RECLAIM, reclaim_two, do_free, NULL, NULL},
};

const unsigned client_cases_n = sizeof(client_cases) / sizeof(*client_cases);
