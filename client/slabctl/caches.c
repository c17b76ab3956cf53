#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "shm/geometry.h"

const struct json_field cache_fields[] = {
	JSON_TEXT_FIELD(struct cache_row, name),
	JSON_COUNT_FIELD(struct cache_row, id),
	JSON_COUNT_FIELD(struct cache_row, object_size),
	JSON_COUNT_FIELD(struct cache_row, stride),
	JSON_COUNT_FIELD(struct cache_row, slab_bytes),
	JSON_COUNT_FIELD(struct cache_row, slabs),
	JSON_COUNT_FIELD(struct cache_row, objects),
	JSON_COUNT_FIELD(struct cache_row, live),
	JSON_COUNT_FIELD(struct cache_row, orphaned),
	JSON_COUNT_FIELD(struct cache_row, in_magazines),
	JSON_COUNT_FIELD(struct cache_row, in_slabs),
	JSON_COUNT_FIELD(struct cache_row, magazine),
	JSON_COUNT_FIELD(struct cache_row, clients),
	JSON_COUNT_FIELD(struct cache_row, flags),
	JSON_COUNT_FIELD(struct cache_row, bytes),
	JSON_COUNT_FIELD(struct cache_row, allocs),
	JSON_COUNT_FIELD(struct cache_row, frees),
	JSON_COUNT_FIELD(struct cache_row, refills),
};
const size_t ncache_fields = LENGTH(cache_fields);

static const struct column columns[] = {
	{"NAME", false},    {"OBJECTS", true}, {"LIVE", true},	 {"USE", true},
	{"SIZE", true},	    {"SLABS", true},   {"MEMORY", true}, {"MAGAZINES", true},
	{"ORPHANED", true}, {"CLIENTS", true}, {"FLAGS", false},
};

const char *cache_flags(char text[FLAGS_BYTES], uint64_t flags)
{
	snprintf(text, FLAGS_BYTES, "%s%s%s", flags & GEOMETRY_RECLAIM ? ",reclaim" : "",
		 flags & GEOMETRY_STRICT ? ",strict" : "",
		 flags & GEOMETRY_HWALIGN ? ",hwalign" : "");
	return *text ? text + 1 : "-";
}

static void add_row(struct table *table, const struct cache_row *cache)
{
	char flags[FLAGS_BYTES];
	double use = cache->objects ? 100.0 * (double)cache->live / (double)cache->objects : 0;

	table_cell(table, "%s%s", cache->name, cache->unlinked ? " (destroyed)" : "");
	table_cell(table, "%llu", (unsigned long long)cache->objects);
	table_cell(table, "%llu", (unsigned long long)cache->live);
	table_cell(table, "%.0f%%", use);
	table_size(table, cache->object_size);
	table_cell(table, "%llu", (unsigned long long)cache->slabs);
	table_size(table, cache->bytes);
	table_cell(table, "%llu", (unsigned long long)cache->in_magazines);
	table_cell(table, "%llu", (unsigned long long)cache->orphaned);
	table_cell(table, "%llu", (unsigned long long)cache->clients);
	table_cell(table, "%s", cache_flags(flags, cache->flags));
	if (cache->orphaned)
		table_colour(table, YELLOW);
}

int verb_caches(struct query *query, const struct order *order)
{
	struct list caches = {0};
	int code = query_caches(query, &caches);
	struct cache_row *rows = caches.rows;

	if (!code && order->json) {
		code = json_print(
			json_rows(cache_fields, ncache_fields, rows, sizeof(*rows), caches.n));
	} else if (!code && caches.n == 0) {
		output_note(TEXT_NO_CACHES);
	} else if (!code) {
		struct table *table = table_new(columns, LENGTH(columns));

		for (size_t i = 0; i < caches.n; i++)
			add_row(table, &rows[i]);
		table_print(table);
	}
	if (!code && query_is_damaged(query))
		output_note(TEXT_DAMAGED_FIGURES);
	free(caches.rows);
	return code;
}
