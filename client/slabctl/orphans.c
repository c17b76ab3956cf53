#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

static const struct json_field fields[] = {
	JSON_TEXT_FIELD(struct orphan_row, cache),
	JSON_COUNT_FIELD(struct orphan_row, owner_pid),
	JSON_TEXT_FIELD(struct orphan_row, owner_comm),
	JSON_COUNT_FIELD(struct orphan_row, owners),
	JSON_COUNT_FIELD(struct orphan_row, objects),
	JSON_COUNT_FIELD(struct orphan_row, bytes),
};

static const struct column columns[] = {
	{"CACHE", false},  {"PID", true},    {"OWNER", false},
	{"OBJECTS", true}, {"MEMORY", true}, {"DIED", false},
};

/* Owners whose entries were folded into one have no pid any more. */
static void add_row(struct table *table, const struct orphan_row *orphan)
{
	time_t died = (time_t)orphan->died_at;
	char when[32] = "-";
	struct tm tm;

	if (died && localtime_r(&died, &tm))
		strftime(when, sizeof(when), "%F %T", &tm);
	table_cell(table, "%s", orphan->cache);
	if (orphan->owner_pid)
		table_cell(table, "%llu", (unsigned long long)orphan->owner_pid);
	else
		table_cell(table, "-");
	if (orphan->owners > 1)
		table_cell(table, "unknown, %llu owners", (unsigned long long)orphan->owners);
	else
		table_cell(table, "%s", *orphan->owner_comm ? orphan->owner_comm : "unknown");
	table_cell(table, "%llu", (unsigned long long)orphan->objects);
	table_size(table, orphan->bytes);
	table_cell(table, "%s", when);
}

static int show(const struct list *orphans, bool json)
{
	const struct orphan_row *rows = orphans->rows;
	struct table *table;

	if (json)
		return json_print(
			json_rows(fields, LENGTH(fields), rows, sizeof(*rows), orphans->n));
	if (orphans->n == 0) {
		output_note(TEXT_NO_ORPHANS);
		return EXIT_DONE;
	}
	table = table_new(columns, LENGTH(columns));
	for (size_t i = 0; i < orphans->n; i++)
		add_row(table, &rows[i]);
	table_print(table);
	return EXIT_DONE;
}

/* Asks with what is at stake. */
static int confirm(struct query *query, const struct order *order)
{
	unsigned long long objects = 0, bytes = 0;
	struct list orphans = {0};
	char size[UNITS_BYTES];
	uint64_t freed;
	int code;

	if (!order->release || order->yes)
		return EXIT_DONE;
	code = query_orphans(query, order->name, false, &orphans, &freed);
	for (size_t i = 0; !code && i < orphans.n; i++) {
		objects += ((struct orphan_row *)orphans.rows)[i].objects;
		bytes += ((struct orphan_row *)orphans.rows)[i].bytes;
	}
	free(orphans.rows);
	if (code || objects == 0)
		return code;
	return output_ask(TEXT_ASK_FREE, objects, output_bytes(size, bytes),
			  order->name ? order->name : "all caches");
}

int verb_orphans(struct query *query, const struct order *order)
{
	struct list orphans = {0};
	uint64_t freed;
	int code = confirm(query, order);

	if (!code)
		code = query_orphans(query, order->name, order->release, &orphans, &freed);
	if (!code)
		code = show(&orphans, order->json);
	if (!code && query_is_damaged(query))
		output_note(TEXT_DAMAGED_FIGURES);
	if (!code && order->release && !order->json)
		printf("%llu objects freed\n", (unsigned long long)freed);
	free(orphans.rows);
	return code;
}
