#include "tests/crash/crash.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/internal.h"
#include "daemon/clients.h"
#include "daemon/log.h"
#include "daemon/refill.h"

#define HEAP_BYTES ((1 + SLABS / 2) * EXTENT_BYTES) /* the first is never used */
#define TAG_BYTES  64u				    /* at a slab's tail */
/* The one slab of small objects that some case carves: the first 64 KiB behind those of the base. */
#define SMALL_TAGS_BYTES 1024u
#define SMALL_TAGS	 (EXTENT_BYTES + 3 * (EXTENT_BYTES / 2) + UNIT_BYTES - SMALL_TAGS_BYTES)

struct world world;
const char *const cache_names[CACHES] = {"plain", "strict", "reclaim"};

bool die_silently;

void die(const char *format, ...)
{
	va_list args;

	if (die_silently && is_victim)
		exit(2);
	va_start(args, format);
	fputs("crash: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

void run_jobs(struct pool *pool)
{
	while (pool_run(pool))
		;
}

/* ---------------------------------------------------------------- images */

static struct range {
	uint32_t region, bytes;
	uint64_t offset;
} ranges[16];
static unsigned ranges_n;

static void watch(uint32_t region, uint64_t offset, uint64_t bytes)
{
	ranges[ranges_n++] = (struct range){region, (uint32_t)bytes, offset};
}

#define WATCHED_RACKS 16u /* pages */

bool world_has_all_racks(const struct pool *pool)
{
	for (uint64_t page = WATCHED_RACKS; page < pool->segment.super->depot_pages; page++)
		if (pool->depot_used[page / 64] >> page % 64 & 1)
			return false;
	return true;
}

static void choose_ranges(const struct side *side)
{
	const struct superblock *super = side->segment.super;
	const struct state_head *head = (const struct state_head *)(void *)side->at[STATE];
	uint64_t records = super->max_clients + PARTY_FIRST;

	watch(STATE, 0, head->ever + records * head->bitmap_bytes);
	/* id and base are each side's own */
	watch(CATALOG, offsetof(struct superblock, next_serial),
	      sizeof(*super) - offsetof(struct superblock, next_serial));
	watch(CATALOG, super->descriptors, sizeof(struct cache_desc) * (super->max_caches + 1));
	watch(CATALOG, super->slab_table, (super->heap_bytes >> UNIT_SHIFT) * 4);
	watch(CATALOG, super->rack_table, (uint64_t)super->max_racks * 4 * (super->max_caches + 1));
	watch(DEPOT, 0, (uint64_t)super->control_bytes * (super->max_caches + 1));
	watch(DEPOT, super->racks, WATCHED_RACKS * PAGE_BYTES);
	watch(HEAP, SMALL_TAGS, SMALL_TAGS_BYTES);
	for (uint64_t slab = 0; slab < SLABS; slab++)
		watch(HEAP, EXTENT_BYTES + (slab + 1) * EXTENT_BYTES / 2 - TAG_BYTES, TAG_BYTES);
}

size_t image_bytes(void)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < ranges_n; i++)
		bytes += ranges[i].bytes;
	return bytes;
}

void image_take(const struct side *side, char *image)
{
	for (unsigned i = 0; i < ranges_n; image += ranges[i++].bytes)
		memcpy(image, side->at[ranges[i].region] + ranges[i].offset, ranges[i].bytes);
}

void image_put(const struct side *side, const char *image)
{
	for (unsigned i = 0; i < ranges_n; image += ranges[i++].bytes)
		memcpy(side->at[ranges[i].region] + ranges[i].offset, image, ranges[i].bytes);
}

bool image_is(const struct side *side, const char *image)
{
	for (unsigned i = 0; i < ranges_n; image += ranges[i++].bytes)
		if (memcmp(side->at[ranges[i].region] + ranges[i].offset, image, ranges[i].bytes))
			return false;
	return true;
}

uint64_t image_hash(const char *image)
{
	size_t n = image_bytes();
	uint64_t hash = n;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t word;

		memcpy(&word, image + i, sizeof(word));
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash;
}

/* ---------------------------------------------------------------- objects */

slab_ref object_ref(uint32_t slab, uint32_t object)
{
	return (uint32_t)((EXTENT_BYTES + slab * (EXTENT_BYTES / 2)) >> REF_SHIFT) +
	       object * (OBJECT_BYTES >> REF_SHIFT);
}

void objects_read(struct objects *ret, const struct side *side)
{
	for (uint32_t slab = 0; slab < SLABS; slab++) {
		ret->word[slab] = load_relaxed(
			&side->segment.slab_table[object_ref(slab, 0) >> (UNIT_SHIFT - REF_SHIFT)]);
		for (uint32_t i = 0; i < SLAB_OBJECTS; i++)
			ret->tag[slab][i] =
				load_relaxed(cache_tag(&side->any, object_ref(slab, i)));
	}
}

slab_ref object_of(const struct side *side, int cache, uint32_t owner, unsigned nth)
{
	struct objects now;

	objects_read(&now, side);
	for (uint32_t s = 0; s < SLABS; s++)
		for (uint32_t i = 0; i < SLAB_OBJECTS; i++)
			if (slab_word_cache(now.word[s]) == (uint32_t)cache + 1 &&
			    tag_state(now.tag[s][i]) == TAG_LIVE &&
			    tag_owner(now.tag[s][i]) == owner && !nth--)
				return object_ref(s, i);
	return REF_NONE;
}

struct client_record *side_record(const struct side *side, uint32_t id)
{
	const struct state_head *head = (const struct state_head *)(void *)side->at[STATE];

	return (struct client_record *)(void *)(side->at[STATE] + head->clients) + id;
}

/* ---------------------------------------------------------------- the world */

static void side_open(struct side *side)
{
	const struct backing_options options = {.size = HEAP_BYTES,
						.hugepages = HUGEPAGES_NEVER,
						.max_caches = CACHES + 1,
						.max_clients = 8};
	struct superblock *super;
	char why[WHY_BYTES] = "";
	struct backing *b = &side->backing;

	if (backing_make(b, &options, why, sizeof(why)) < 0)
		die("regions: %s", why);
	if (segment_map(&side->at[CATALOG], b->catalog, PAGE_BYTES, PROT_READ, NULL) < 0)
		die("catalog: no mapping");
	super = (struct superblock *)(void *)side->at[CATALOG];
	if (segment_map(&side->at[STATE], b->state, super->state_bytes, PROT_READ | PROT_WRITE,
			NULL) < 0 ||
	    segment_map(&side->at[CATALOG], b->catalog, super->catalog_bytes,
			PROT_READ | PROT_WRITE, NULL) < 0 ||
	    segment_map(&side->at[DEPOT], b->depot, super->depot_bytes, PROT_READ | PROT_WRITE,
			NULL) < 0 ||
	    segment_map(&side->at[HEAP], b->heap, super->heap_bytes, PROT_READ | PROT_WRITE, NULL) <
		    0 ||
	    segment_view(&side->segment, side->at[CATALOG], super->catalog_bytes, side->at[DEPOT],
			 super->depot_bytes, side->at[HEAP], super->heap_bytes) < 0)
		die("a region can't be mapped");
}

static void make_caches(void)
{
	static const uint32_t flags[CACHES] = {0, SLABD_STRICT, SLABD_RECLAIM};

	world.no_slots = slabd_fast_slots;
	if (slabd_attach(&world.survivor, "crash") < 0)
		die("attach: %s", slabd_error());
	for (int i = 0; i < CACHES; i++) {
		const struct slabd_cache_args args = {.size_of_args = sizeof(args),
						      .object_size = OBJECT_BYTES,
						      .flags = flags[i],
						      .magazine = ROUNDS};

		if (slabd_cache_create(world.survivor, cache_names[i], &args, &world.caches[i]) < 0)
			die("create: %s", slabd_error());
		for (unsigned n = 0; n < SURVIVOR_HOLDS; n++)
			if (!slabd_alloc(world.caches[i], 0))
				die("alloc: %s", slabd_error());
	}
	world.survivor_id = load_relaxed(&world.survivor->identity->client);
}

/* A client that died: it had adopted an object of the survivor's in each cache. */
static void make_tomb(struct pool *pool)
{
	struct peer peer = {.pid = 1, .comm = "tomb"};
	struct result result;
	struct cache *cache;

	if (clients_attach(pool, &peer, &world.tomb_id, &result) < 0)
		die("%s", result.why);
	for (int i = 0; i < CACHES; i++) {
		slab_ref ref = object_of(&world.mirror, i, world.survivor_id, SURVIVOR_HOLDS - 1);
		slab_tag *tag = cache_tag(&world.mirror.any, ref);

		if (registry_open_cache(pool, world.tomb_id, cache_names[i], 0, 0, &cache,
					&result) < 0)
			die("%s", result.why);
		store_relaxed(tag,
			      tag_make(world.tomb_id, TAG_LIVE, tag_generation(load_relaxed(tag))));
	}
	clients_died(pool, world.tomb_id, NULL, NULL);
	run_jobs(pool);
	if (!clients_is_tomb(pool, world.tomb_id))
		die("a dead client is no tomb");
}

/* The survivor keeps a magazine of each cache, with rounds in it where that is PLAIN. */
static void save_survivor(void)
{
	world.slots_base = calloc(CACHES, sizeof(*world.slots_base));
	if (!world.slots_base)
		die("no memory");
	slabd_free(world.caches[PLAIN], slabd_alloc(world.caches[PLAIN], 0));
	for (int i = 0; i < CACHES; i++) {
		const struct geometry *g = &world.caches[i]->view.geometry;

		if (g->objects != SLAB_OBJECTS || g->slab_shift != EXTENT_SHIFT - 1 ||
		    g->stride != OBJECT_BYTES || g->capacity != ROUNDS)
			die("the world's numbers are not those of its caches");
		world.slots[i] = thread_slot(world.caches[i]);
		world.slots_base[i] = *world.slots[i];
	}
}

void world_open(void)
{
	struct pool *pool;
	char why[WHY_BYTES] = "";

	log_init(LOG_LEVEL_ERROR);
	mallopt(M_MMAP_THRESHOLD, 64 << 20); /* an audit's tables: no system call for them */
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	proxy_open();
	side_open(&world.live);
	side_open(&world.mirror);
	choose_ranges(&world.mirror);
	if (pool_open(&pool, "mirror", &world.mirror.backing, why, sizeof(why)) < 0)
		die("pool: %s", why);
	served_by = pool;
	served_side = &world.mirror;
	make_caches();
	segment_cache(&world.mirror.segment, 1, &world.mirror.any);
	make_tomb(pool);
	save_survivor();
	pool_close(pool);
	world.base = malloc(image_bytes());
	if (!world.base)
		die("no memory");
	image_take(&world.mirror, world.base);
	image_put(&world.live, world.base);
	/* the geometry of cache 1 is all that any is for; the live side has had none until now */
	segment_cache(&world.live.segment, 1, &world.live.any);
}

/* ---------------------------------------------------------------- the mirror is kept mapped */

/* Mapping four regions, backing and punching 2 MiB take longer than all the rest of a recovery.  So
 * pool_open gets this process's own mapping of the mirror, the mirror's heap stays backed, and a punch
 * of it zeroes the only words that anyone reads. */
int __real_segment_map(char **ret, int fd, uint64_t bytes, int prot, void *address);
int __wrap_segment_map(char **ret, int fd, uint64_t bytes, int prot, void *address);
int __real_munmap(void *address, size_t bytes);
int __wrap_munmap(void *address, size_t bytes);
int __real_backing_extent(const struct backing *backing, char *heap, uint64_t offset);
int __wrap_backing_extent(const struct backing *backing, char *heap, uint64_t offset);
int __real_backing_punch(int fd, uint64_t offset, uint64_t bytes);
int __wrap_backing_punch(int fd, uint64_t offset, uint64_t bytes);

static bool is_mirror(int heap)
{
	return !is_victim && world.mirror.at[HEAP] && heap == world.mirror.backing.heap;
}

int __wrap_segment_map(char **ret, int fd, uint64_t bytes, int prot, void *address)
{
	const struct backing *b = &world.mirror.backing;
	const int fds[REGIONS] = {b->state, b->catalog, b->depot, b->heap};

	for (int i = 0; i < REGIONS && world.base && !is_victim && prot & PROT_READ; i++)
		if (fd == fds[i]) {
			*ret = world.mirror.at[i];
			return 0;
		}
	return __real_segment_map(ret, fd, bytes, prot, address);
}

int __wrap_munmap(void *address, size_t bytes)
{
	for (int i = 0; i < REGIONS && world.base; i++)
		if (address == world.mirror.at[i])
			return 0;
	return __real_munmap(address, bytes);
}

int __wrap_backing_extent(const struct backing *backing, char *heap, uint64_t offset)
{
	if (lies.extent)
		return -ENOMEM;
	return is_mirror(backing->heap) ? 0 : __real_backing_extent(backing, heap, offset);
}

int __wrap_backing_punch(int fd, uint64_t offset, uint64_t bytes)
{
	if (lies.punch && --lies.punch == 0)
		return -EIO;
	if (!is_mirror(fd))
		return __real_backing_punch(fd, offset, bytes);
	for (unsigned i = 0; i < ranges_n; i++)
		if (ranges[i].region == HEAP && ranges[i].offset >= offset &&
		    ranges[i].offset < offset + bytes)
			memset(world.mirror.at[HEAP] + ranges[i].offset, 0, ranges[i].bytes);
	return 0;
}
