#include "client/slabctl/verbs.h"

#include <stdlib.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

static const struct json_field fields[] = {
	JSON_COUNT_FIELD(struct client_row, id),
	JSON_COUNT_FIELD(struct client_row, pid),
	JSON_COUNT_FIELD(struct client_row, uid),
	JSON_TEXT_FIELD(struct client_row, comm),
	JSON_COUNT_FIELD(struct client_row, threads),
	JSON_COUNT_FIELD(struct client_row, live),
	JSON_COUNT_FIELD(struct client_row, in_magazines),
	JSON_COUNT_FIELD(struct client_row, refills),
};

static const struct column columns[] = {
	{"ID", true},	{"PID", true},	     {"UID", true},	{"NAME", false},  {"THREADS", true},
	{"LIVE", true}, {"MAGAZINES", true}, {"REFILLS", true}, {"STATE", false},
};

static void add_row(struct table *table, const struct client_row *client)
{
	table_cell(table, "%llu", (unsigned long long)client->id);
	table_cell(table, "%llu", (unsigned long long)client->pid);
	table_cell(table, "%llu", (unsigned long long)client->uid);
	table_cell(table, "%s", client->comm);
	table_cell(table, "%llu", (unsigned long long)client->threads);
	table_cell(table, "%llu", (unsigned long long)client->live);
	table_cell(table, "%llu", (unsigned long long)client->in_magazines);
	table_cell(table, "%llu", (unsigned long long)client->refills);
	table_cell(table, "%s", client->state);
}

int verb_clients(struct query *query, const struct order *order)
{
	struct list clients = {0};
	int code = query_clients(query, &clients);
	struct client_row *rows = clients.rows;

	if (!code && order->json) {
		code = json_print(
			json_rows(fields, LENGTH(fields), rows, sizeof(*rows), clients.n));
	} else if (!code && clients.n == 0) {
		output_note(TEXT_NO_CLIENTS);
	} else if (!code) {
		struct table *table = table_new(columns, LENGTH(columns));

		for (size_t i = 0; i < clients.n; i++)
			add_row(table, &rows[i]);
		table_print(table);
	}
	free(clients.rows);
	return code;
}
