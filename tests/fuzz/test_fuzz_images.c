/* Images of a segment that somebody damaged, thousands of them: each is refused with a reason, or taken
 * and served; slabd neither crashes nor hangs over it, and a refusal changes nothing.
 *
 * $SLABD_FUZZ_ROUNDS: how many; $SLABD_TEST_SEED: which ones; $SLABD_FUZZ_VERBOSE: says each before it
 * is tried. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/orphans.h"
#include "daemon/reap.h"
#include "daemon/refill.h"
#include "tests/support/pool_fixture.h"

#define ROUNDS	    1500u
#define SECONDS_MAX 25u /* of one image: it hangs */
#define HEAP_BYTES  (8 * MIB)

static struct pool_fixture f;

enum { STATE, CATALOG, DEPOT, HEAP, REGIONS };

static struct image {
	int fd;
	uint64_t bytes;
	char *at; /* the region itself */
	/* its pages that are not all zeros, as they were, and with the damage */
	uint32_t *pages, n;
	char *good, *bad;
} images[REGIONS];

/* Where damage hurts: the bytes that are in use. */
static struct area {
	int region;
	uint64_t offset, bytes;
} areas[64];
static unsigned areas_n;

static void area(int region, uint64_t offset, uint64_t bytes)
{
	areas[areas_n++] = (struct area){region, offset, bytes};
}

/* ---------------------------------------------------------------- a segment with a bit of everything */

static void take(void *arg, const struct result *result)
{
	(void)arg;
	(void)result;
}

static void populate(void)
{
	uint32_t alive = pool_fixture_attach(&f), gone = pool_fixture_attach_gone(&f);
	uint32_t tomb = pool_fixture_attach(&f), dying = pool_fixture_attach_gone(&f);
	struct cache *small = pool_fixture_cache(&f, alive, "small", 64, 0);
	struct cache *large = pool_fixture_cache(&f, alive, "large", 100000, GEOMETRY_STRICT);
	struct cache *mine = pool_fixture_cache(&f, alive, "mine", 300, GEOMETRY_RECLAIM);
	struct cache *old = pool_fixture_cache(&f, alive, "old", 48, GEOMETRY_HWALIGN);
	const uint32_t clients[] = {alive, gone, tomb, dying};
	struct cache *caches[] = {small, large, mine};
	slab_ref refs[300];
	struct fake fake;

	for (unsigned c = 0; c < 4; c++)
		for (unsigned i = 0; i < 3; i++) {
			pool_fixture_cache_with(
				&f, clients[c], caches[i]->view.desc->name,
				&(struct geometry_request){
					.object_size = caches[i]->view.geometry.object_size,
					.flags = caches[i]->view.geometry.flags});
			fake_init(&fake, &f, clients[c], caches[i]);
			fake_alloc_many(&fake, refs, i == 1 ? 2 : 200);
			fake_free_many(&fake, refs, i == 1 ? 1 : 90);
			if (c != 1) /* that one died with a magazine in hand */
				fake_flush(&fake);
		}
	cr_assert_eq(pool_fixture_destroy(&f, alive, old, NULL), 0);
	pool_fixture_kill(&f, tomb);
	clients_died(f.pool, dying, take, NULL); /* and its sweep has not begun */
}

static void choose_areas(void)
{
	const struct superblock *super = f.pool->segment.super;
	const struct state_head *head = (const struct state_head *)(void *)f.pool->segment.state;

	area(CATALOG, 0, sizeof(*super));
	area(CATALOG, super->descriptors, 6 * sizeof(struct cache_desc));
	area(CATALOG, super->slab_table, (super->heap_bytes >> UNIT_SHIFT) * 4);
	area(STATE, 0, sizeof(*head));
	area(STATE, head->clients, 8 * sizeof(struct client_record));
	area(STATE, head->open, 8 * head->bitmap_bytes);
	area(STATE, head->ever, 8 * head->bitmap_bytes);
	for (uint32_t id = 1; id <= 4; id++) {
		const struct cache *cache = f.pool->caches[id];
		const struct geometry *g = &cache->view.geometry;

		area(CATALOG, super->rack_table + (uint64_t)id * super->max_racks * 4, 16);
		area(DEPOT, (uint64_t)id * super->control_bytes, 1024);
		area(DEPOT,
		     super->racks + (load_relaxed(&cache->view.rack_table[0]) - 1ull) * PAGE_BYTES,
		     (uint64_t)g->magazine_bytes * 8);
	}
	for (uint32_t unit = EXTENT_UNITS; unit < super->heap_bytes >> UNIT_SHIFT; unit++)
		if (f.pool->slabs[unit]) {
			uint32_t word = load_relaxed(&f.pool->segment.slab_table[unit]);
			const struct geometry *g =
				&f.pool->caches[slab_word_cache(word)]->view.geometry;

			/* the tags at its end */
			area(HEAP, ((uint64_t)unit << UNIT_SHIFT) + g->tag_offset, 256);
		}
	cr_assert_lt(areas_n, 60);
}

static bool is_zero(const char *page)
{
	return !page[0] && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}

static void note_pages(struct image *image)
{
	uint32_t pages = (uint32_t)(image->bytes / PAGE_BYTES);

	image->pages = calloc(pages, sizeof(*image->pages));
	image->good = malloc(image->bytes);
	image->bad = malloc(image->bytes);
	cr_assert(image->pages && image->good && image->bad);
	for (uint32_t page = 0; page < pages; page++) {
		const char *at = image->at + (uint64_t)page * PAGE_BYTES;

		if (is_zero(at))
			continue;
		memcpy(image->good + (uint64_t)image->n * PAGE_BYTES, at, PAGE_BYTES);
		image->pages[image->n++] = page;
	}
}

static char *page_of(const struct image *image, uint32_t i)
{
	return image->at + (uint64_t)image->pages[i] * PAGE_BYTES;
}

static void map_images(void)
{
	const struct superblock *super = f.pool->segment.super;
	const struct backing *b = &f.backing;

	images[STATE] = (struct image){.fd = b->state, .bytes = super->state_bytes};
	images[CATALOG] = (struct image){.fd = b->catalog, .bytes = super->catalog_bytes};
	images[DEPOT] = (struct image){.fd = b->depot, .bytes = super->depot_bytes};
	images[HEAP] = (struct image){.fd = b->heap, .bytes = super->heap_bytes};
	for (int i = 0; i < REGIONS; i++) {
		struct image *image = &images[i];

		cr_assert_eq(segment_map(&image->at, image->fd, image->bytes,
					 PROT_READ | PROT_WRITE, NULL),
			     0);
		note_pages(image);
	}
}

static void set_up(void)
{
	pool_fixture_open(&f, HEAP_BYTES);
	populate();
	choose_areas();
	map_images();
	pool_close(f.pool);
	f.pool = NULL;
}

static void restore(void)
{
	for (int k = 0; k < REGIONS; k++) {
		struct image *image = &images[k];

		cr_assert_eq(backing_punch(image->fd, 0, image->bytes), 0);
		for (uint32_t i = 0; i < image->n; i++)
			memcpy(page_of(image, i), image->good + (uint64_t)i * PAGE_BYTES,
			       PAGE_BYTES);
	}
}

static void keep_damage(void)
{
	for (int k = 0; k < REGIONS; k++)
		for (uint32_t i = 0; i < images[k].n; i++)
			memcpy(images[k].bad + (uint64_t)i * PAGE_BYTES, page_of(&images[k], i),
			       PAGE_BYTES);
}

/* At the end all is as it was, so what the audit says counts. */
static void tear_down(void)
{
	char why[WHY_BYTES];

	restore();
	cr_assert_eq(pool_rehearse("main", &f.backing, why, sizeof(why)), 0, "%s", why);
	cr_assert_eq(pool_open(&f.pool, "main", &f.backing, why, sizeof(why)), 0, "%s", why);
	pool_fixture_audit(&f);
	pool_fixture_close(&f);
}

TestSuite(fuzz_images, .init = set_up, .fini = tear_down, .timeout = 100);

/* ---------------------------------------------------------------- damage */

static uint64_t word_at(int region, uint64_t offset, unsigned width)
{
	uint64_t word = 0;

	memcpy(&word, images[region].at + offset, width);
	return word;
}

static void damage_word(const struct area *a)
{
	unsigned width = pool_fixture_random(&f, 2) ? 4 : 8;
	uint64_t offset = a->offset + pool_fixture_random(&f, (uint32_t)(a->bytes / width)) * width;
	uint64_t word = pool_fixture_evil(&f, word_at(a->region, offset, width));

	memcpy(images[a->region].at + offset, &word, width);
}

/* Part of it becomes garbage, nothing, or what stands elsewhere in it. */
static void damage_run(const struct area *a)
{
	uint64_t n = 1 + pool_fixture_random(&f, (uint32_t)a->bytes);
	uint64_t from = pool_fixture_random(&f, (uint32_t)(a->bytes - n + 1));
	char *at = images[a->region].at + a->offset;
	uint32_t kind = pool_fixture_random(&f, 3);

	if (kind == 0)
		for (uint64_t i = 0; i < n; i++)
			at[from + i] = (char)pool_fixture_random(&f, 256);
	else if (kind == 1)
		memset(at + from, 0, n);
	else
		memmove(at + from, at + pool_fixture_random(&f, (uint32_t)(a->bytes - n + 1)), n);
}

static void damage_page(const struct image *image)
{
	char *at = page_of(image, pool_fixture_random(&f, image->n));
	uint32_t hole = pool_fixture_random(&f, 2);

	for (unsigned i = 0; i < PAGE_BYTES; i++)
		at[i] = hole ? 0 : (char)pool_fixture_random(&f, 256);
}

static void damage(void)
{
	for (unsigned n = 1 + pool_fixture_random(&f, 3); n; n--) {
		const struct area *a = &areas[pool_fixture_random(&f, areas_n)];
		uint32_t kind = pool_fixture_random(&f, 16);

		if (kind == 0)
			damage_page(&images[pool_fixture_random(&f, REGIONS)]);
		else if (kind < 4)
			damage_run(a);
		else
			damage_word(a);
	}
}

/* ---------------------------------------------------------------- what slabd makes of it */

static void see_shrunk(void *arg, const struct result *result, uint64_t bytes)
{
	(void)arg;
	(void)result;
	(void)bytes;
}

static void see_census(void *arg, const struct census *census)
{
	(void)arg;
	(void)census;
}

static void see_orphans(void *arg, const struct orphans *orphans)
{
	(void)arg;
	(void)orphans;
}

/* All that a worker does, on whatever it has taken. */
static void serve(void *arg)
{
	struct pool *pool = f.pool;
	struct result result;

	(void)arg;
	for (uint32_t id = 1; id <= pool->segment.max_caches; id++) {
		struct cache *cache = pool->caches[id];

		if (!cache || cache->releasing)
			continue;
		refill_request(pool, cache, 5, true, &result);
		refill_doorbell(cache);
		refill_drain(cache, 4, UINT32_MAX);
		reap_shrink(pool, cache, see_shrunk, NULL);
	}
	for (int i = 0; i < 16; i++)
		pool_tick(pool);
	census_take(pool, true, see_census, NULL);
	orphans_walk(pool, 0, true, 0, see_orphans, NULL);
}

static void serve_all(void)
{
	pool_fixture_run(&f);
	pool_guarded(f.pool, serve, NULL);
	pool_fixture_run(&f);
}

static bool was_touched(void)
{
	for (int k = 0; k < REGIONS; k++)
		for (uint32_t i = 0; i < images[k].n; i++)
			if (memcmp(page_of(&images[k], i), images[k].bad + (uint64_t)i * PAGE_BYTES,
				   PAGE_BYTES))
				return true;
	return false;
}

static unsigned rounds(void)
{
	const char *given = getenv("SLABD_FUZZ_ROUNDS");

	return given ? (unsigned)strtoul(given, NULL, 0) : ROUNDS;
}

Test(fuzz_images, refused_or_served)
{
	unsigned refused = 0, served = 0, taken = 0, n = rounds();
	bool verbose = getenv("SLABD_FUZZ_VERBOSE");
	uint64_t seed = f.seed;

	for (unsigned i = 0; i < n; i++) {
		char why[WHY_BYTES] = "";

		f.seed = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		if (verbose)
			fprintf(stderr, "image %u\n", i);
		alarm(SECONDS_MAX);
		damage();
		keep_damage();
		if (pool_rehearse("main", &f.backing, why, sizeof(why)) < 0) {
			cr_assert(why[0], "image %u is refused without a reason", i);
			cr_assert_not(was_touched(), "image %u was changed: %s", i, why);
			refused++;
			restore();
			continue;
		}
		cr_assert_not(was_touched(), "image %u was changed by a rehearsal", i);
		served++;
		if (pool_open(&f.pool, "main", &f.backing, why, sizeof(why)) == 0) {
			serve_all();
			pool_close(f.pool);
			taken++;
		} else {
			cr_assert(why[0]);
			cr_assert_not(was_touched(), "image %u was changed by a refusal: %s", i,
				      why);
		}
		f.pool = NULL;
		restore();
	}
	alarm(0);
	fprintf(stderr, "%u images: %u refused, %u served; %u that a new worker took\n", n, refused,
		served, taken);
	cr_assert_gt(refused, n / 4);
	cr_assert_gt(served, n / 50);
}
