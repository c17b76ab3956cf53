#include "tests/support/pool_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/reap.h"
#include "daemon/refill.h"

#define GONE_PID 0x3fffffff /* above any pid_max */

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("pool_fixture: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

/* ---------------------------------------------------------------- the pool */

static void open_pool(struct pool_fixture *f)
{
	char why[WHY_BYTES] = "";

	if (pool_open(&f->pool, "main", &f->backing, why, sizeof(why)) < 0)
		die("pool_open: %s", why);
}

static uint64_t choose_seed(void)
{
	const char *given = getenv("SLABD_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) ^ pool_now();

	fprintf(stderr, "SLABD_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed | 1;
}

static void make(struct pool_fixture *f)
{
	char why[WHY_BYTES] = "";

	if (backing_make(&f->backing, &f->options, why, sizeof(why)) < 0)
		die("backing_make: %s", why);
	open_pool(f);
}

void pool_fixture_open_with(struct pool_fixture *f, const struct backing_options *options)
{
	*f = (struct pool_fixture){.options = *options, .seed = choose_seed(), .sequence = 1};
	log_init(LOG_LEVEL_ERROR);
	make(f);
}

void pool_fixture_open(struct pool_fixture *f, uint64_t heap_bytes)
{
	const struct backing_options options = {
		.size = heap_bytes,
		.hugepages = HUGEPAGES_NEVER,
		.max_caches = 8,
		.max_clients = 16,
	};

	pool_fixture_open_with(f, &options);
}

void pool_fixture_close(struct pool_fixture *f)
{
	pool_fixture_run(f);
	pool_close(f->pool);
	backing_close(&f->backing);
}

void pool_fixture_renew(struct pool_fixture *f)
{
	pool_close(f->pool);
	backing_close(&f->backing);
	make(f);
}

void pool_fixture_restart(struct pool_fixture *f)
{
	pool_close(f->pool);
	open_pool(f);
}

void pool_fixture_hole(char *at, uint64_t bytes)
{
	FILE *file = tmpfile();

	if (!file || mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fileno(file),
			  0) == MAP_FAILED)
		die("no hole");
	fclose(file);
}

void pool_fixture_run(struct pool_fixture *f)
{
	while (pool_run(f->pool))
		;
}

void pool_fixture_stop_at_finish(struct pool_fixture *f)
{
	struct job *job = TAILQ_FIRST(&f->pool->jobs);

	if (!job)
		die("no job is queued");
	while (!job->step(job, UINT64_MAX))
		;
}

uint32_t pool_fixture_random(struct pool_fixture *f, uint32_t below)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return (uint32_t)(f->seed >> 32) % below;
}

uint64_t pool_fixture_evil(struct pool_fixture *f, uint64_t now)
{
	static const uint64_t words[] = {0,	     1,		 2,
					 3,	     4,		 5,
					 16,	     63,	 64,
					 4095,	     4096,	 0x7fffffff,
					 0x80000000, 0xffffffff, 0xfffffffe,
					 UINT64_MAX, INT64_MAX,	 0x10000,
					 0xffff,     0x01010101, 0x2000000002ull};
	uint32_t kind = pool_fixture_random(f, 4);

	if (kind == 0)
		return now ^ UINT64_C(1) << pool_fixture_random(f, 64);
	if (kind == 1)
		return now + pool_fixture_random(f, 9) - 4;
	if (kind == 2)
		return words[pool_fixture_random(f, sizeof(words) / sizeof(*words))];
	return (uint64_t)pool_fixture_random(f, UINT32_MAX) << 32 |
	       pool_fixture_random(f, UINT32_MAX);
}

/* ---------------------------------------------------------------- clients and caches */

static uint32_t attach(struct pool_fixture *f, const struct peer *peer)
{
	struct result result;
	uint32_t id;

	if (clients_attach(f->pool, peer, &id, &result) < 0)
		die("clients_attach: %s", result.why);
	return id;
}

uint32_t pool_fixture_attach(struct pool_fixture *f)
{
	struct peer peer = {
		.pid = getpid(),
		.uid = getuid(),
		.start_time = clients_start_time(getpid()),
		.image = 1,
		.comm = "fake",
	};

	return attach(f, &peer);
}

uint32_t pool_fixture_attach_gone(struct pool_fixture *f)
{
	return attach(f, &(struct peer){.pid = GONE_PID, .start_time = 1, .comm = "gone"});
}

static void mark_done(void *arg, const struct result *result)
{
	*(struct result *)arg = *result;
}

void pool_fixture_kill(struct pool_fixture *f, uint32_t client)
{
	struct result result = {.status = 1};

	clients_died(f->pool, client, mark_done, &result);
	pool_fixture_run(f);
	if (result.status)
		die("clients_died %u: %d %s", client, result.status, result.why);
}

struct cache *pool_fixture_cache_with(struct pool_fixture *f, uint32_t client, const char *name,
				      const struct geometry_request *request)
{
	struct result result;
	struct cache *cache;

	if (registry_create(f->pool, client, f->sequence++, name, request, &cache, &result) < 0)
		die("registry_create: %s", result.why);
	return cache;
}

struct cache *pool_fixture_cache(struct pool_fixture *f, uint32_t client, const char *name,
				 uint32_t object_size, uint32_t flags)
{
	return pool_fixture_cache_with(
		f, client, name,
		&(struct geometry_request){.object_size = object_size, .flags = flags});
}

struct shrunk {
	int status;
	uint64_t bytes;
};

static void mark_shrunk(void *arg, const struct result *result, uint64_t bytes)
{
	*(struct shrunk *)arg = (struct shrunk){result->status, bytes};
}

uint64_t pool_fixture_shrink(struct pool_fixture *f, struct cache *cache)
{
	struct shrunk shrunk = {.status = 1};

	reap_shrink(f->pool, cache, mark_shrunk, &shrunk);
	pool_fixture_run(f);
	if (shrunk.status)
		die("reap_shrink: %d", shrunk.status);
	return shrunk.bytes;
}

static int destroy(struct pool_fixture *f, uint32_t client, const char *name, uint32_t id,
		   uint64_t serial, struct result *result)
{
	struct result got = {.status = 1};

	registry_destroy(f->pool, client, f->sequence++, name, id, serial, mark_done, &got);
	pool_fixture_run(f);
	if (got.status == 1)
		die("registry_destroy told nobody");
	if (result)
		*result = got;
	return got.status;
}

int pool_fixture_destroy(struct pool_fixture *f, uint32_t client, struct cache *cache,
			 struct result *result)
{
	return destroy(f, client, NULL, cache->view.id, cache->serial, result);
}

int pool_fixture_destroy_name(struct pool_fixture *f, const char *name, struct result *result)
{
	return destroy(f, 0, name, 0, 0, result);
}

/* ---------------------------------------------------------------- the audit */

static enum audit_owner owner_kind(void *arg, uint32_t owner)
{
	const struct pool *pool = arg;

	if (clients_is_attached(pool, owner))
		return AUDIT_CLIENT;
	return clients_is_tomb(pool, owner) ? AUDIT_TOMB : AUDIT_NOBODY;
}

static void take_balance(void *arg, const struct census *census)
{
	*(bool *)arg = census && census->balanced && census->exact;
}

bool pool_fixture_is_balanced(struct pool_fixture *f, struct audit_count *total)
{
	bool lists_agree = false, shared;

	pool_fixture_run(f);
	census_take(f->pool, true, take_balance, &lists_agree);
	pool_fixture_run(f);
	shared = audit_segment(&f->pool->segment, owner_kind, f->pool, total);
	return shared && lists_agree;
}

void pool_fixture_audit_at(struct pool_fixture *f, const char *file, int line)
{
	struct audit_count n;

	if (pool_fixture_is_balanced(f, &n))
		return;
	die("%s:%d: the audit finds damage, or the worker's lists disagree: %llu objects, %llu in "
	    "slabs, %llu in magazines, %llu live, %llu orphaned, %llu freeing, %llu lost, %llu "
	    "doubled; %llu bad magazines",
	    file, line, (unsigned long long)n.objects, (unsigned long long)n.in_slabs,
	    (unsigned long long)n.in_magazines, (unsigned long long)n.live,
	    (unsigned long long)n.orphaned, (unsigned long long)n.freeing,
	    (unsigned long long)n.lost, (unsigned long long)n.doubled,
	    (unsigned long long)n.magazines);
}

struct audit_count pool_fixture_count(struct pool_fixture *f, const struct cache *cache)
{
	struct audit audit;
	struct audit_count count;

	if (audit_init(&audit, &f->pool->segment, owner_kind, f->pool) < 0)
		die("no memory");
	while (!audit_step(&audit, UINT64_MAX))
		;
	count = audit.caches[cache->view.id];
	audit_deinit(&audit);
	return count;
}

/* ---------------------------------------------------------------- a thread of a client */

void fake_init(struct fake *fake, struct pool_fixture *f, uint32_t client, struct cache *cache)
{
	*fake = (struct fake){.f = f, .client = client, .cache = cache->view.id};
	fake_remap(fake);
}

void fake_remap(struct fake *fake)
{
	segment_cache(&fake->f->pool->segment, fake->cache, &fake->view);
	if (fake->held.magazine)
		fake->held.magazine = depot_magazine(&fake->view, fake->held.index);
}

void fake_flush(struct fake *fake)
{
	if (!fake->held.magazine)
		return;
	store_relaxed(&fake->held.magazine->rounds[magazine_count(fake->held.magazine)], REF_NONE);
	depot_put(&fake->view, fake->held.index, fake->held.magazine);
	fake->held.magazine = NULL;
}

static bool claim_full(struct fake *fake)
{
	struct pool *pool = fake->f->pool;
	struct result result;

	for (int tries = 0; tries < 2; tries++) {
		fake->held = depot_claim(&fake->view, MAGAZINE_FULL, fake->client, UINT32_MAX,
					 &fake->full_cursor);
		if (fake->held.magazine)
			return true;
		if (refill_request(pool, pool->caches[fake->cache], 1, false, &result) < 0)
			return false;
	}
	return false;
}

static void claim_room(struct fake *fake)
{
	struct pool *pool = fake->f->pool;
	struct result result;

	fake->held = depot_claim(&fake->view, MAGAZINE_EMPTY, fake->client, UINT32_MAX,
				 &fake->empty_cursor);
	if (!fake->held.magazine)
		fake->held = depot_claim(&fake->view, MAGAZINE_FULL, fake->client,
					 fake->view.geometry.capacity - 1, &fake->full_cursor);
	if (fake->held.magazine)
		return;
	if (refill_request(pool, pool->caches[fake->cache], 0, true, &result) < 0)
		die("no room for a free: %s", result.why);
	fake->held = depot_claim(&fake->view, MAGAZINE_EMPTY, fake->client, UINT32_MAX,
				 &fake->empty_cursor);
	if (!fake->held.magazine)
		die("no room for a free");
}

slab_ref fake_alloc(struct fake *fake)
{
	struct magazine *magazine = fake->held.magazine;
	slab_ref ref;
	slab_tag *tag;
	uint32_t n;

	if (!magazine || magazine_count(magazine) == 0) {
		fake_flush(fake);
		if (!claim_full(fake))
			return REF_NONE;
		magazine = fake->held.magazine;
	}
	n = magazine_count(magazine);
	ref = load_relaxed(&magazine->rounds[n - 1]);
	tag = fake_tag(fake, ref);
	store_relaxed(tag, tag_make(fake->client, TAG_LIVE, tag_generation(load_relaxed(tag))));
	atomic_step();
	store_relaxed(&magazine->count, n - 1);
	atomic_step();
	store_relaxed(&magazine->rounds[n - 1], REF_NONE);
	return ref;
}

bool fake_free(struct fake *fake, slab_ref ref)
{
	uint32_t seen, n;
	slab_tag *tag;

	if (!fake->held.magazine ||
	    magazine_count(fake->held.magazine) == fake->view.geometry.capacity) {
		fake_flush(fake);
		claim_room(fake);
	}
	if (!cache_has_ref(&fake->view, ref))
		return false;
	tag = fake_tag(fake, ref);
	seen = load_relaxed(tag);
	if (tag_state(seen) != TAG_LIVE)
		return false;
	if (tag_owner(seen) != fake->client) {
		uint32_t mine = tag_make(fake->client, TAG_FREEING, tag_generation(seen));

		if (!cas_acq_rel(tag, &seen, mine))
			return false;
		seen = mine;
	}
	n = magazine_count(fake->held.magazine);
	store_relaxed(&fake->held.magazine->rounds[n], ref);
	atomic_step();
	store_relaxed(tag, tag_retired(seen, TAG_CIRC));
	atomic_step();
	store_relaxed(&fake->held.magazine->count, n + 1);
	return true;
}

uint32_t fake_alloc_many(struct fake *fake, slab_ref *refs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		refs[i] = fake_alloc(fake);
		if (refs[i] == REF_NONE)
			return i;
	}
	return n;
}

void fake_free_many(struct fake *fake, const slab_ref *refs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!fake_free(fake, refs[i]))
			die("free of ref 0x%x refused: tag 0x%08x", refs[i],
			    load_relaxed(fake_tag(fake, refs[i])));
}
