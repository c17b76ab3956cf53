/* A pool in the test's own process: the daemon's core over real regions, and clients that follow the
 * library's steps one by one.  No event loop, no socket, no threads.
 *
 * Whatever the fixture itself can't do ends the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_POOL_FIXTURE_H
#define TESTS_SUPPORT_POOL_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/backing.h"
#include "daemon/census.h"
#include "daemon/clients.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/stats.h"
#include "shm/audit.h"
#include "shm/depot.h"

#define MIB (UINT64_C(1) << 20)

struct pool_fixture {
	struct pool *pool;
	struct backing backing;
	struct backing_options options;
	uint64_t seed; /* printed; $SLABD_TEST_SEED repeats a run */
	uint64_t sequence;
};

/* A fresh segment on 4 KiB pages with 8 caches and 16 clients. */
void pool_fixture_open(struct pool_fixture *f, uint64_t heap_bytes);
void pool_fixture_open_with(struct pool_fixture *f, const struct backing_options *options);
void pool_fixture_close(struct pool_fixture *f);

/* Another segment, as fresh; what is queued is dropped, and the random numbers go on. */
void pool_fixture_renew(struct pool_fixture *f);

/* The worker dies between two calls and the next one starts: every private list is gone. */
void pool_fixture_restart(struct pool_fixture *f);

/* These pages are beyond the end of what backs them: who touches one gets SIGBUS. */
void pool_fixture_hole(char *at, uint64_t bytes);

/* Works until no job is queued. */
void pool_fixture_run(struct pool_fixture *f);

/* Runs the first job's steps but not what it does at its end. */
void pool_fixture_stop_at_finish(struct pool_fixture *f);

uint32_t pool_fixture_random(struct pool_fixture *f, uint32_t below);
/* Where a number is expected that is now: one near it, one that is a limit somewhere, or any. */
uint64_t pool_fixture_evil(struct pool_fixture *f, uint64_t now);

/* A client of this very process, which is alive, or one whose process is gone. */
uint32_t pool_fixture_attach(struct pool_fixture *f);
uint32_t pool_fixture_attach_gone(struct pool_fixture *f);

/* Dies, or detaches; the jobs are run. */
void pool_fixture_kill(struct pool_fixture *f, uint32_t client);

/* Opens or makes a cache; client 0: nobody has it open. */
struct cache *pool_fixture_cache(struct pool_fixture *f, uint32_t client, const char *name,
				 uint32_t object_size, uint32_t flags);
struct cache *pool_fixture_cache_with(struct pool_fixture *f, uint32_t client, const char *name,
				      const struct geometry_request *request);

/* Bytes that a shrink gave back; the status of a destroy. */
uint64_t pool_fixture_shrink(struct pool_fixture *f, struct cache *cache);
int pool_fixture_destroy(struct pool_fixture *f, uint32_t client, struct cache *cache,
			 struct result *result);
int pool_fixture_destroy_name(struct pool_fixture *f, const char *name, struct result *result);

/* The audit of the shared bytes, and that the worker's own lists agree; true if all balance. */
bool pool_fixture_is_balanced(struct pool_fixture *f, struct audit_count *total);

/* The last line of every test that moves objects. */
void pool_fixture_audit_at(struct pool_fixture *f, const char *file, int line);
#define pool_fixture_audit(f) pool_fixture_audit_at(f, __FILE__, __LINE__)

/* What the worker knows of one cache's objects, and of the owners. */
struct audit_count pool_fixture_count(struct pool_fixture *f, const struct cache *cache);

/* ---------------------------------------------------------------- a thread of a client */

struct fake {
	struct pool_fixture *f;
	uint32_t client;
	uint32_t cache; /* its id: struct cache does not survive a restart */
	struct claim held;
	uint32_t full_cursor, empty_cursor;
	struct cache_view view;
};

void fake_init(struct fake *fake, struct pool_fixture *f, uint32_t client, struct cache *cache);

/* The pool was closed and opened again: other mappings. */
void fake_remap(struct fake *fake);

/* REF_NONE when the heap is full. */
slab_ref fake_alloc(struct fake *fake);

/* False where the library would refuse. */
bool fake_free(struct fake *fake, slab_ref ref);

/* Gives the magazine back. */
void fake_flush(struct fake *fake);

/* Takes objects until there are no more, at most n; how many. */
uint32_t fake_alloc_many(struct fake *fake, slab_ref *refs, uint32_t n);
void fake_free_many(struct fake *fake, const slab_ref *refs, uint32_t n);

static inline slab_tag *fake_tag(const struct fake *fake, slab_ref ref)
{
	return cache_tag(&fake->view, ref);
}

#endif
