#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

static const struct json_field fields[] = {
	JSON_TEXT_FIELD(struct audit_row, name),
	JSON_COUNT_FIELD(struct audit_row, objects),
	JSON_COUNT_FIELD(struct audit_row, in_slabs),
	JSON_COUNT_FIELD(struct audit_row, in_magazines),
	JSON_COUNT_FIELD(struct audit_row, live),
	JSON_COUNT_FIELD(struct audit_row, orphaned),
	JSON_COUNT_FIELD(struct audit_row, freeing),
	JSON_COUNT_FIELD(struct audit_row, lost),
	JSON_COUNT_FIELD(struct audit_row, doubled),
};

static const struct column columns[] = {
	{"NAME", false},    {"OBJECTS", true}, {"SLABS", true}, {"MAGAZINES", true}, {"LIVE", true},
	{"ORPHANED", true}, {"FREEING", true}, {"LOST", true},	{"DOUBLED", true},
};

static int print_json(const struct audit_verdict *audit)
{
	json_t *caches = json_rows(fields, LENGTH(fields), audit->caches.rows,
				   sizeof(struct audit_row), audit->caches.n);

	return json_print(
		json_pack("{s:b, s:o}", "balanced", (int)audit->balanced, "caches", caches));
}

static void add_row(struct table *table, const struct audit_row *cache)
{
	table_cell(table, "%s", cache->name);
	table_cell(table, "%llu", (unsigned long long)cache->objects);
	table_cell(table, "%llu", (unsigned long long)cache->in_slabs);
	table_cell(table, "%llu", (unsigned long long)cache->in_magazines);
	table_cell(table, "%llu", (unsigned long long)cache->live);
	table_cell(table, "%llu", (unsigned long long)cache->orphaned);
	table_cell(table, "%llu", (unsigned long long)cache->freeing);
	table_cell(table, "%llu", (unsigned long long)cache->lost);
	table_cell(table, "%llu", (unsigned long long)cache->doubled);
	if (cache->lost || cache->doubled)
		table_colour(table, RED);
}

static void show(const struct audit_verdict *audit)
{
	const struct audit_row *rows = audit->caches.rows;
	struct table *table;

	if (audit->caches.n) {
		table = table_new(columns, LENGTH(columns));
		for (size_t i = 0; i < audit->caches.n; i++)
			add_row(table, &rows[i]);
		table_print(table);
	}
	if (audit->balanced)
		printf("%sbalanced%s: every object is in exactly one place\n", output_colour(GREEN),
		       output_colour(PLAIN));
	else
		printf("%snot balanced%s\n", output_colour(RED), output_colour(PLAIN));
}

/* The exit code, and on stderr why it is not 0. */
static int judge(struct query *query, const struct audit_verdict *audit)
{
	const struct audit_row *rows = audit->caches.rows;
	uint64_t lost = 0, doubled = 0;

	if (audit->balanced) {
		if (!audit->exact)
			output_note(TEXT_INEXACT);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < audit->caches.n; i++) {
		lost += rows[i].lost;
		doubled += rows[i].doubled;
	}
	if (!audit->exact)
		return query_fail(query, EXIT_FAILED, TEXT_UNDECIDED);
	if (!lost && !doubled && query_is_damaged(query))
		return query_fail(query, EXIT_DAMAGE, TEXT_DAMAGED_AUDIT);
	return query_fail(query, EXIT_DAMAGE, TEXT_UNBALANCED, (unsigned long long)lost,
			  (unsigned long long)doubled);
}

int verb_audit(struct query *query, const struct order *order)
{
	struct audit_verdict audit;
	int code = query_audit(query, &audit);

	if (!code && order->json)
		code = print_json(&audit);
	else if (!code)
		show(&audit);
	if (!code)
		code = judge(query, &audit);
	free(audit.caches.rows);
	return code;
}
