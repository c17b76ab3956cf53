/* The shared bytes.  Everything that more than one process, or more than one life of the daemon,
 * reads or writes is declared here and nowhere else.
 *
 * A segment is four regions, each one memfd (or file):
 *
 *	state		daemon only	client table, what the worker must remember
 *	catalog		clients read	superblock | descriptors | slab table | rack tables
 *	depot		all write	controls (a cache's hints and root) | racks of magazines
 *	heap		all write	2 MiB unused | extents of 2 MiB: slabs
 *
 *	catalog		bytes			what
 *	0		4096			struct superblock
 *	descriptors	256 * max_caches	struct cache_desc, by cache id (id 0 is never used)
 *	slab_table	4 * heap_bytes/65536	SLAB_WORD, by 64 KiB unit of the heap
 *	rack_table	4 * max_racks a cache	where a rack lies in the depot, in pages + 1; 0: none
 *
 *	depot		bytes			what
 *	0		control_bytes a cache	struct control, then the two hint arrays
 *	racks		4096 * depot_pages	racks: 64 magazines of one cache, 1 to 16 pages each
 *
 *	control		bytes
 *	0		64	root: a handle
 *	64		64	rung: nonzero while a doorbell is on its way
 *	128		512	8 stripes of counters
 *	640		64*n	"may be full": a word a rack, a bit a magazine
 *	640+64*n	64*n	"may be empty"
 *
 * All regions are made at their full span and sealed; they are sparse, so span costs nothing.  The
 * catalog and state are written so that a kill leaves them whole: a record is filled first and made
 * real by one store of its state word. */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/atomic.h"

#define SLABD_LAYOUT_VERSION 2u
#define SLABD_MAGIC	     UINT64_C(0x31646c626173bea7) /* "sabld1" after a byte no text begins with */

#define PAGE_BYTES     4096u
#define UNIT_SHIFT     16 /* 64 KiB: the smallest slab, and a step of the slab table */
#define UNIT_BYTES     (1u << UNIT_SHIFT)
#define EXTENT_SHIFT   21 /* 2 MiB: what is backed and given back */
#define EXTENT_BYTES   (1u << EXTENT_SHIFT)
#define EXTENT_UNITS   (EXTENT_BYTES / UNIT_BYTES)
#define RACK_MAGAZINES 64u

#define HEAP_BYTES_MAX (UINT64_C(64) << 30)
#define HEAP_BYTES_MIN (UINT64_C(2) * EXTENT_BYTES)
#define CACHES_MAX     65535u
#define NAME_BYTES     64u

/* Where the heap lies: BASE_FIRST + 64 GiB * (hash of the segment's id mod BASE_SLOTS). */
#define BASE_FIRST UINT64_C(0x110000000000)
#define BASE_SLOTS 240u

/* ---------------------------------------------------------------- catalog */

struct superblock {
	uint64_t magic;
	uint32_t layout;
	_Atomic uint32_t ready; /* stored last; 0: the segment was never finished */
	uint64_t segment_high, segment_low;
	uint64_t base;
	uint64_t state_bytes, catalog_bytes, depot_bytes, heap_bytes;
	uint32_t max_caches, max_clients;
	uint32_t max_racks; /* a cache's */
	uint32_t control_bytes;
	uint64_t descriptors, slab_table, rack_table; /* offsets in the catalog */
	uint64_t racks;				      /* offset in the depot */
	uint64_t depot_pages;
	_Atomic uint64_t next_serial;
	_Atomic uint32_t damaged; /* nonzero: nothing more is handed out */
};

/* Arithmetic of one cache, from shm/geometry.c; constant over its life. */
struct geometry {
	uint32_t object_size; /* bytes, as asked for */
	uint32_t align;	      /* bytes */
	uint32_t flags;	      /* SLABD_RECLAIM, SLABD_STRICT, SLABD_HWALIGN */
	uint32_t stride;      /* bytes from object to object, a multiple of 16 */
	uint32_t slab_shift;  /* 16 to 21 */
	uint32_t objects;     /* in a slab */
	uint32_t reserved;
	uint32_t capacity;	 /* rounds of a magazine */
	uint32_t magazine_bytes; /* 64 to 1024, a power of two */
	uint32_t tag_base_mask;	 /* m1, in refs */
	uint32_t tag_mask;	 /* m2, in refs */
	uint32_t tag_shift;	 /* k */
	uint64_t tag_offset;	 /* c, in bytes; of the slab, or of the object where m2 is 0 */
	uint32_t twos;		 /* stride / 16 is 2^twos times an odd number, */
	uint32_t inverse;	 /* whose inverse modulo 2^32 this is: is it an object's base? */
};

/* state: FREE --create--> LIVE --destroy--> UNLINKED --last close--> RELEASING --> FREE.  In RELEASING
 * slabs and racks leave one after the other, so what is left of them does not add up. */
enum { CACHE_FREE = 0, CACHE_LIVE = 1, CACHE_UNLINKED = 2, CACHE_RELEASING = 3 };

struct cache_desc {
	_Atomic uint32_t state;
	_Atomic uint32_t racks; /* published; rack_table entries below this are valid */
	uint64_t serial;	/* never used again, unlike the id */
	char name[NAME_BYTES];
	struct geometry geometry;
	uint64_t maker_sequence; /* the request that made it, so that a retry is recognised */
	uint64_t breaker_sequence;
	uint32_t maker, breaker; /* client ids */
	/* what an operator set, plus 1; 0: as slabd finds it best */
	_Atomic uint32_t surplus; /* full magazines that the reaper leaves in the depot */
	_Atomic uint32_t batch;	  /* magazines that a fill makes at least */
	uint8_t reserved[80];
};

/* The slab table: one word for each unit of the heap, on the first unit of a slab; stored after the
 * slab's tags.  cache id:16 | slab shift:8 | 1. */
#define SLAB_WORD(cache, shift) ((uint32_t)(cache) << 16 | (uint32_t)(shift) << 8 | 1u)
#define SLAB_WORD_NONE		0u

static inline uint32_t slab_word_cache(uint32_t word)
{
	return word >> 16;
}

static inline uint32_t slab_word_shift(uint32_t word)
{
	return word >> 8 & 0xff;
}

/* ---------------------------------------------------------------- depot */

struct magazine {
	_Atomic uint64_t owner;
	_Atomic uint32_t count;
	uint32_t reserved;
	_Atomic uint32_t rounds[]; /* capacity + 1 */
};

/* Derived at magazine exchange, never counted per object; striped so that clients seldom meet. */
struct counters {
	_Atomic uint64_t allocs;  /* rounds that left the depot */
	_Atomic uint64_t frees;	  /* rounds that came back */
	_Atomic uint64_t claims;  /* magazines taken */
	_Atomic uint64_t refills; /* requests to the daemon */
	_Atomic uint64_t waits;	  /* of those, allocs that had to wait */
	uint64_t reserved[3];
};

#define COUNTER_STRIPES 8u

struct control {
	_Atomic uint64_t root;
	uint64_t pad0[7];
	_Atomic uint32_t rung;
	uint32_t pad1[15];
	struct counters counters[COUNTER_STRIPES];
	/* then the hint arrays */
};

/* ---------------------------------------------------------------- state */

/* state: FREE --hello--> ATTACHED <--resume/EOF--> LINGERING; either --death, detach--> DYING
 * --repair and sweep--> TOMB while a tag names the id, else FREE.  A TOMB whose last orphan went, or
 * was folded into another's (fold_to), is FREE again. */
enum {
	CLIENT_FREE = 0,
	CLIENT_ATTACHED = 1,
	CLIENT_LINGERING = 2,
	CLIENT_DYING = 3,
	CLIENT_TOMB = 4
};

struct client_record {
	_Atomic uint32_t state;
	uint32_t uid;
	int32_t pid;
	uint32_t threads;
	uint64_t start_time; /* of the process, in clock ticks since boot: pid and this name it */
	uint64_t image;
	uint64_t token_high, token_low;
	uint64_t last_sequence; /* the last request answered, and what was said */
	int32_t last_status;
	uint32_t last_cache;
	uint64_t last_serial;
	uint64_t refills;
	_Atomic uint64_t orphans; /* of a tomb */
	uint64_t died_at;	  /* seconds since the epoch */
	char comm[16];
	/* tombs.c: of a tomb that took others in, how many owners it stands for, itself counted; of one
	 * that is being taken in, by whom, and how many that one stands for with it */
	uint32_t owners;
	uint32_t fold_sum;
	_Atomic uint32_t fold_to;
	uint8_t reserved[4];
};

struct state_head {
	uint64_t magic;
	uint32_t layout;
	uint32_t max_clients, max_caches;
	uint32_t bitmap_bytes;	      /* one client's caches, rounded up to 8 */
	uint64_t clients, open, ever; /* offsets: records, caches open now, caches ever opened */
	_Atomic uint64_t worker_starts;
	uint64_t started_at_ms; /* CLOCK_BOOTTIME of slabd's first worker */
};

/* ---------------------------------------------------------------- the numbers, again */

static_assert(sizeof(struct superblock) <= PAGE_BYTES, "superblock");
static_assert(sizeof(struct geometry) == 64, "geometry");
static_assert(sizeof(struct cache_desc) == 256, "cache descriptor");
static_assert(offsetof(struct cache_desc, geometry) == 80, "geometry in descriptor");
static_assert(offsetof(struct cache_desc, surplus) == 168, "settings in descriptor");
static_assert(sizeof(struct magazine) == 16, "magazine header");
static_assert(offsetof(struct magazine, rounds) == 16, "rounds");
static_assert(sizeof(struct counters) == 64, "counters");
static_assert(offsetof(struct control, rung) == 64, "rung");
static_assert(offsetof(struct control, counters) == 128, "counters in control");
static_assert(sizeof(struct control) == 640, "control");
static_assert(sizeof(struct client_record) == 128, "client record");

#endif
