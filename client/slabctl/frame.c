#include "client/slabctl/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

#define LINE_BYTES 256
#define NAME_LEAST 12 /* columns that the name keeps on a narrow terminal */

/* ---------------------------------------------------------------- sorting */

static uint64_t use_of(const struct frame_row *row)
{
	return row->cache->objects ? row->cache->live * 1000 / row->cache->objects : 0;
}

static uint64_t objects_in_slab(const struct cache_row *cache)
{
	return cache->slabs ? cache->objects / cache->slabs : 0;
}

static uint64_t key_of(const struct frame_row *row, char sort)
{
	const struct cache_row *cache = row->cache;

	switch (sort) {
	case 'a':
		return cache->live;
	case 'b':
		return objects_in_slab(cache);
	case 'c':
		return cache->bytes;
	case 'l':
		return cache->slabs;
	case 'p':
		return cache->slab_bytes;
	case 's':
		return cache->object_size;
	case 'u':
		return use_of(row);
	case 'k':
		return cache->clients;
	case 'r':
		return row->allocs_per_s;
	case 'w':
		return row->waits_per_s;
	default:
		return cache->objects;
	}
}

const char *frame_sort_name(char letter)
{
	static const char *const names[] = {
		['a'] = "active objects",
		['b'] = "objects in a slab",
		['c'] = "cache size",
		['l'] = "slabs",
		['n'] = "name",
		['o'] = "objects",
		['p'] = "pages in a slab",
		['s'] = "object size",
		['u'] = "use",
		['k'] = "clients",
		['r'] = "allocs a second",
		['w'] = "waits a second",
	};

	return letter > 0 && (size_t)letter < LENGTH(names) ? names[(size_t)letter] : NULL;
}

/* The largest first, names from a to z; among equals by name, so that lines keep their places. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct frame_row *x = a, *y = b;
	char sort = *(const char *)arg;

	if (sort != 'n' && key_of(x, sort) != key_of(y, sort))
		return key_of(x, sort) < key_of(y, sort) ? 1 : -1;
	return strcmp(x->cache->name, y->cache->name);
}

int frame_make(struct frame *ret, const struct moment *now, const struct moment *before, char sort)
{
	const struct cache_row *caches = now->caches.rows;

	*ret = (struct frame){
		.now = now, .traffic = live_traffic(now, before), .n = now->caches.n, .sort = sort};
	ret->rows = calloc(ret->n + 1, sizeof(*ret->rows));
	if (!ret->rows) {
		output_error(TEXT_NO_MEMORY);
		return EXIT_LIMIT;
	}
	for (size_t i = 0; i < ret->n; i++) {
		const struct cache_row *old =
			before ? live_find(before, caches[i].serial, i) : NULL;
		struct traffic t = live_cache_traffic(&caches[i], old);

		ret->rows[i] = (struct frame_row){
			.cache = &caches[i],
			.allocs_per_s = live_rate(t.allocs, ret->traffic.span_ms),
			.frees_per_s = live_rate(t.frees, ret->traffic.span_ms),
			.waits_per_s = live_rate(t.waits, ret->traffic.span_ms),
		};
	}
	qsort_r(ret->rows, ret->n, sizeof(*ret->rows), compare, &ret->sort);
	return EXIT_DONE;
}

void frame_free(struct frame *frame)
{
	free(frame->rows);
	frame->rows = NULL;
}

/* ---------------------------------------------------------------- columns */

enum cell { OBJECTS, ACTIVE, USE, SIZE, SLABS, PER_SLAB, BYTES, CLIENTS, ALLOCS, WAITS, CELLS };

/* In the order in which they stand; rank: in which they are wanted where room is scarce. */
static const struct {
	const char *title;
	unsigned width, rank;
} columns[CELLS] = {
	[OBJECTS] = {"OBJS", 6, 2},    [ACTIVE] = {"ACTIVE", 6, 0},
	[USE] = {"USE", 4, 1},	       [SIZE] = {"OBJSIZE", 7, 7},
	[SLABS] = {"SLABS", 6, 8},     [PER_SLAB] = {"OBJ/SLAB", 8, 9},
	[BYTES] = {"CACHESIZE", 9, 3}, [CLIENTS] = {"CLIENTS", 7, 5},
	[ALLOCS] = {"ALLOC/S", 7, 6},  [WAITS] = {"WAIT/S", 6, 4},
};

static void choose(bool shown[CELLS], unsigned width)
{
	unsigned used = NAME_LEAST;

	for (unsigned rank = 0; rank < CELLS; rank++)
		for (unsigned i = 0; i < CELLS; i++) {
			if (columns[i].rank != rank)
				continue;
			used += columns[i].width + 1;
			shown[i] = !width || used <= width;
		}
}

static void cell_text(char text[UNITS_BYTES], const struct frame_row *row, enum cell cell)
{
	const struct cache_row *cache = row->cache;

	switch (cell) {
	case USE:
		snprintf(text, UNITS_BYTES, "%llu%%", (unsigned long long)use_of(row) / 10);
		break;
	case SIZE:
		output_size(text, cache->object_size);
		break;
	case BYTES:
		output_size(text, cache->bytes);
		break;
	default:
		output_count(text, cell == OBJECTS    ? cache->objects
				   : cell == ACTIVE   ? cache->live
				   : cell == SLABS    ? cache->slabs
				   : cell == PER_SLAB ? objects_in_slab(cache)
				   : cell == CLIENTS  ? cache->clients
				   : cell == ALLOCS   ? row->allocs_per_s
						      : row->waits_per_s);
	}
}

/* ---------------------------------------------------------------- lines */

struct sink {
	unsigned width;
	frame_line_fn line;
	void *arg;
};

static void __attribute__((format(printf, 3, 4)))
put(const struct sink *sink, enum look look, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	output_clean(text);
	if (sink->width && strlen(text) > sink->width)
		text[sink->width] = 0;
	sink->line(sink->arg, look, text);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void put_heads(const struct sink *sink, const struct frame *frame)
{
	const struct status_row *s = &frame->now->status;
	const struct traffic *t = &frame->traffic;
	char a[UNITS_BYTES], b[UNITS_BYTES], c[UNITS_BYTES];
	uint64_t live = 0, objects = 0, orphaned = 0;

	for (size_t i = 0; i < frame->n; i++) {
		live += frame->rows[i].cache->live;
		objects += frame->rows[i].cache->objects;
		orphaned += frame->rows[i].cache->orphaned;
	}
	if (frame->away)
		put(sink, LOOK_ALERT, TEXT_TOP_AWAY, frame->away);
	else if (s->damaged)
		put(sink, LOOK_ALERT, TEXT_DAMAGED_POOL);
	else
		put(sink, LOOK_BOLD, "slabd %s: %llu clients, %llu caches, up %s", s->version,
		    (unsigned long long)s->clients, (unsigned long long)s->caches,
		    output_duration(a, s->uptime_ms));
	put(sink, LOOK_PLAIN, "Active/total objects: %s / %s (%.1f%%)%s%s", output_count(a, live),
	    output_count(b, objects), percent(live, objects), orphaned ? ", orphaned " : "",
	    orphaned ? output_count(c, orphaned) : "");
	put(sink, LOOK_PLAIN, "Heap used/bound: %s / %s (%.1f%%), memory %s",
	    output_size(a, s->heap_used_bytes), output_size(b, s->heap_bytes),
	    percent(s->heap_used_bytes, s->heap_bytes), output_size(c, s->memory_bytes));
	put(sink, LOOK_PLAIN, "Refills %s/s, waits %s/s, p99 %llu us, restarts %llu",
	    output_count(a, live_rate(t->refills, t->span_ms)),
	    output_count(b, live_rate(t->waits, t->span_ms)),
	    (unsigned long long)s->refill_wait_us_p99, (unsigned long long)s->worker_restarts);
	put(sink, LOOK_PLAIN, "Sorted by %s", frame_sort_name(frame->sort));
}

static void put_row(const struct sink *sink, const bool shown[CELLS], const struct frame_row *row)
{
	enum look look = !row ? LOOK_TITLES : row->cache->orphaned ? LOOK_WARNING : LOOK_PLAIN;
	char line[LINE_BYTES], text[UNITS_BYTES];
	size_t used = 0;

	for (unsigned i = 0; i < CELLS; i++) {
		if (!shown[i])
			continue;
		if (row)
			cell_text(text, row, (enum cell)i);
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%*s ",
					 (int)columns[i].width, row ? text : columns[i].title);
	}
	put(sink, look, "%s%s%s", line, row ? row->cache->name : "NAME",
	    row && row->cache->unlinked ? " (destroyed)" : "");
}

void frame_show(const struct frame *frame, unsigned width, size_t first, frame_line_fn line,
		void *arg)
{
	struct sink sink = {width, line, arg};
	bool shown[CELLS];

	choose(shown, width);
	put_heads(&sink, frame);
	put_row(&sink, shown, NULL);
	for (size_t i = first; i < frame->n; i++)
		put_row(&sink, shown, &frame->rows[i]);
}
