#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

#define MAP_COLUMNS 64
#define MAP_INDENT  10

static void show_counts(const struct cache_row *c)
{
	printf("objects   %llu: %llu live, %llu orphaned, %llu in magazines, %llu in slabs\n",
	       (unsigned long long)c->objects, (unsigned long long)c->live,
	       (unsigned long long)c->orphaned, (unsigned long long)c->in_magazines,
	       (unsigned long long)c->in_slabs);
	printf("clients   %llu\n", (unsigned long long)c->clients);
	printf("magazine  %llu objects, %llu rack%s\n", (unsigned long long)c->magazine,
	       (unsigned long long)c->racks, c->racks == 1 ? "" : "s");
	printf("settings  surplus %llu, batch %llu\n", (unsigned long long)c->surplus,
	       (unsigned long long)c->batch);
	printf("traffic   %llu allocs, %llu frees, %llu claims, %llu refills, %llu waits\n",
	       (unsigned long long)c->allocs, (unsigned long long)c->frees,
	       (unsigned long long)c->claims, (unsigned long long)c->refills,
	       (unsigned long long)c->waits);
}

static void show(const struct cache_row *c)
{
	char size[UNITS_BYTES], stride[UNITS_BYTES], slab[UNITS_BYTES], flags[FLAGS_BYTES];

	printf("%s%s%s, id %llu%s\n", output_colour(BOLD), c->name, output_colour(PLAIN),
	       (unsigned long long)c->id, c->unlinked ? ", destroyed" : "");
	printf("object    %s, aligned to %llu, %s apart\n", output_bytes(size, c->object_size),
	       (unsigned long long)c->align, output_bytes(stride, c->stride));
	printf("flags     %s\n", cache_flags(flags, c->flags));
	printf("slabs     %llu of %s, %s\n", (unsigned long long)c->slabs,
	       output_bytes(slab, c->slab_bytes), output_bytes(size, c->bytes));
	show_counts(c);
}

/* Whole eights of slabs, as many as the terminal has room for. */
static size_t map_columns(void)
{
	size_t columns = output_columns();

	if (!columns || columns >= MAP_INDENT + MAP_COLUMNS)
		return MAP_COLUMNS;
	return columns >= MAP_INDENT + 8 ? (columns - MAP_INDENT) / 8 * 8 : 8;
}

static void show_map(const struct cache_row *c, const char *map)
{
	size_t n = strlen(map), columns = map_columns();

	if (!n)
		return;
	puts("map       . empty, 1 to 9 in use by ninths, # full; one character a slab, by "
	     "address");
	for (size_t at = 0; at < n; at += columns)
		printf("%*s%.*s\n", MAP_INDENT, "", (int)columns, map + at);
	if (n < c->slabs)
		output_note(TEXT_MAP_CUT, n, (unsigned long long)c->slabs);
}

int verb_cache(struct query *query, const struct order *order)
{
	struct cache_row cache;
	char *map = NULL;
	int code = query_cache(query, order->name, &cache, &map);

	if (!code && order->json) {
		json_t *document = json_row(cache_fields, ncache_fields, &cache);

		json_object_set_new(document, "slab_map", json_text(map));
		json_object_set_new(document, "surplus", json_integer((json_int_t)cache.surplus));
		json_object_set_new(document, "batch", json_integer((json_int_t)cache.batch));
		code = json_print(document);
	} else if (!code) {
		show(&cache);
		show_map(&cache, map);
	}
	if (!code && query_is_damaged(query))
		output_note(TEXT_DAMAGED_FIGURES);
	free(map);
	return code;
}
