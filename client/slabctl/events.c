/* What happened lately, and with --follow what happens from now on: slabd is asked again and again,
 * which it hardly notices, and survives its restart. */
#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/live.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/wire.h"

#define FOLLOW_MS    500
#define NARROW	     60 /* columns: below this the date is left out */
#define KIND_COLUMNS 18 /* of the longest */

static const struct json_field fields[] = {
	JSON_COUNT_FIELD(struct event_row, sequence),  JSON_COUNT_FIELD(struct event_row, time_ms),
	JSON_TEXT_FIELD(struct event_row, kind),       JSON_TEXT_FIELD(struct event_row, text),
	JSON_COUNT_FIELD(struct event_row, client),    JSON_COUNT_FIELD(struct event_row, pid),
	JSON_TEXT_FIELD(struct event_row, comm),       JSON_TEXT_FIELD(struct event_row, cache),
	JSON_COUNT_FIELD(struct event_row, magazines), JSON_COUNT_FIELD(struct event_row, objects),
	JSON_COUNT_FIELD(struct event_row, orphans),
};

static enum colour colour_of(const struct event_row *event)
{
	static const char *const warnings[] = {"client-died", "limit-near", "worker-restarted",
					       "hugepages-fallback"};

	if (strcmp(event->kind, "damage") == 0)
		return RED;
	for (size_t i = 0; i < LENGTH(warnings); i++)
		if (strcmp(event->kind, warnings[i]) == 0)
			return YELLOW;
	return PLAIN;
}

static void show(struct event_row *event)
{
	unsigned columns = output_columns();
	bool narrow = columns && columns < NARROW;
	time_t seconds = (time_t)(event->time_ms / 1000);
	enum colour colour = colour_of(event);
	char when[32] = "-";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), narrow ? "%T" : "%F %T", &tm);
	output_clean(event->kind);
	output_clean(event->text);
	if (colour != PLAIN)
		fputs(output_colour(colour), stdout);
	if (narrow)
		printf("%s %s", when, event->text);
	else
		printf("%s.%03u  %-*s  %s", when, (unsigned)(event->time_ms % 1000), KIND_COLUMNS,
		       event->kind, event->text);
	if (*event->comm) {
		output_clean(event->comm);
		if (strstr(event->text, "pid ")) /* it says which itself */
			printf(" (%s)", event->comm);
		else
			printf(" (pid %llu, %s)", (unsigned long long)event->pid, event->comm);
	}
	printf("%s\n", colour != PLAIN ? output_colour(PLAIN) : "");
}

/* All that came after *after, which moves on. */
static int show_news(struct query *query, const struct order *order, uint64_t *after)
{
	struct list events = {0};
	uint64_t lost = 0;
	struct event_row *rows;
	int code = query_events(query, after, &events, &lost);

	if (!code && lost)
		output_note(TEXT_EVENTS_LOST, (unsigned long long)lost);
	rows = events.rows;
	for (size_t i = 0; !code && i < events.n; i++) {
		if (order->json)
			code = json_print_line(json_row(fields, LENGTH(fields), &rows[i]));
		else
			show(&rows[i]);
	}
	free(events.rows);
	if (fflush(stdout) != 0 && !code)
		code = EXIT_FAILED;
	return code;
}

/* The same again, connected anew if need be: another segment's events are counted from 1. */
static int follow_on(struct query *query, const struct order *order, uint64_t *after)
{
	uint64_t segment = query->segment;
	bool closed = query->socket < 0;
	int code = closed ? query_open(query) : EXIT_DONE;

	if (!code && closed)
		output_note(TEXT_BACK, query->shown);
	if (!code && query->segment != segment)
		*after = 0;
	return code ? code : show_news(query, order, after);
}

int verb_events(struct query *query, const struct order *order)
{
	uint64_t after = 0;
	bool away = false;
	int code = show_news(query, order, &after);

	while (order->follow && (!code || live_may_return(code))) {
		if (code && !away)
			output_note(TEXT_AWAY, query->why);
		away = code != EXIT_DONE;
		if (away)
			query_close(query);
		wire_pause(FOLLOW_MS);
		code = follow_on(query, order, &after);
	}
	return code;
}
