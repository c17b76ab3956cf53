/* As vmstat: a line an interval.  The first is of all the time since slabd started. */
#include "client/slabctl/verbs.h"

#include <stdio.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/live.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/wire.h"

#define LINES_DEFAULT 24 /* of a terminal that does not say */

struct line {
	uint64_t time, span_ms, caches, clients, live, in_magazines;
	uint64_t allocs_per_s, frees_per_s, claims_per_s, refills_per_s, waits_per_s;
	uint64_t heap_used_bytes, memory_bytes;
};

static const struct json_field fields[] = {
	JSON_COUNT_FIELD(struct line, time),	     JSON_COUNT_FIELD(struct line, span_ms),
	JSON_COUNT_FIELD(struct line, caches),	     JSON_COUNT_FIELD(struct line, clients),
	JSON_COUNT_FIELD(struct line, live),	     JSON_COUNT_FIELD(struct line, in_magazines),
	JSON_COUNT_FIELD(struct line, allocs_per_s), JSON_COUNT_FIELD(struct line, frees_per_s),
	JSON_COUNT_FIELD(struct line, claims_per_s), JSON_COUNT_FIELD(struct line, refills_per_s),
	JSON_COUNT_FIELD(struct line, waits_per_s),  JSON_COUNT_FIELD(struct line, heap_used_bytes),
	JSON_COUNT_FIELD(struct line, memory_bytes),
};

/* What a terminal is too narrow for is left out, from the right. */
static const struct {
	const char *title;
	int width;
	bool bytes;
	size_t offset;
} columns[] = {
	{"caches", 6, false, offsetof(struct line, caches)},
	{"clients", 7, false, offsetof(struct line, clients)},
	{"live", 5, false, offsetof(struct line, live)},
	{"mags", 5, false, offsetof(struct line, in_magazines)},
	{"alloc/s", 7, false, offsetof(struct line, allocs_per_s)},
	{"free/s", 6, false, offsetof(struct line, frees_per_s)},
	{"claim/s", 7, false, offsetof(struct line, claims_per_s)},
	{"refill/s", 8, false, offsetof(struct line, refills_per_s)},
	{"wait/s", 6, false, offsetof(struct line, waits_per_s)},
	{"heap", 6, true, offsetof(struct line, heap_used_bytes)},
	{"memory", 6, true, offsetof(struct line, memory_bytes)},
};

static struct line make_line(const struct moment *now, const struct moment *before)
{
	const struct cache_row *rows = now->caches.rows;
	struct traffic t = live_traffic(now, before);
	struct line line = {
		.time = now->seconds,
		.span_ms = t.span_ms,
		.caches = now->status.caches,
		.clients = now->status.clients,
		.allocs_per_s = live_rate(t.allocs, t.span_ms),
		.frees_per_s = live_rate(t.frees, t.span_ms),
		.claims_per_s = live_rate(t.claims, t.span_ms),
		.refills_per_s = live_rate(t.refills, t.span_ms),
		.waits_per_s = live_rate(t.waits, t.span_ms),
		.heap_used_bytes = now->status.heap_used_bytes,
		.memory_bytes = now->status.memory_bytes,
	};

	for (size_t i = 0; i < now->caches.n; i++) {
		line.live += rows[i].live;
		line.in_magazines += rows[i].in_magazines;
	}
	return line;
}

static size_t columns_that_fit(void)
{
	int room = (int)output_columns(), used = -1;
	size_t n = 0;

	if (!room)
		return LENGTH(columns);
	while (n < LENGTH(columns) && (used += 1 + columns[n].width) <= room)
		n++;
	return n ? n : 1;
}

static void show_titles(void)
{
	size_t n = columns_that_fit();

	fputs(output_colour(BOLD), stdout);
	for (size_t i = 0; i < n; i++)
		printf("%s%*s", i ? " " : "", columns[i].width, columns[i].title);
	printf("%s\n", output_colour(PLAIN));
}

static void show_line(const struct line *line)
{
	size_t n = columns_that_fit();
	char text[UNITS_BYTES];

	for (size_t i = 0; i < n; i++) {
		uint64_t value =
			*(const uint64_t *)(const void *)((const char *)line + columns[i].offset);

		printf("%s%*s", i ? " " : "", columns[i].width,
		       columns[i].bytes ? output_size(text, value) : output_count(text, value));
	}
	putchar('\n');
	fflush(stdout);
}

/* The titles again on each screenful of a terminal; elsewhere once. */
static int show(const struct line *line, bool json, unsigned number)
{
	unsigned lines = output_lines();

	if (json)
		return json_print_line(json_row(fields, LENGTH(fields), line));
	if (!lines && output_columns())
		lines = LINES_DEFAULT;
	if (number % (lines > 2 ? lines - 2 : UINT32_MAX) == 0)
		show_titles();
	show_line(line);
	return ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
}

/* The next line, or a note that there is none; an exit code that is about slabd alone is none that
 * ends us. */
static int one_line(struct query *query, const struct order *order, struct moment *last,
		    unsigned number)
{
	struct moment now = {0};
	bool connected = query->socket >= 0;
	int code = live_take(query, &now);
	struct line line;

	if (code) {
		if (connected && number) /* once, not with each interval */
			output_note(TEXT_AWAY, query->why);
		return code;
	}
	line = make_line(&now, last->at_ms ? last : NULL);
	code = show(&line, order->json, number);
	live_free(last);
	*last = now;
	return code;
}

int verb_stat(struct query *query, const struct order *order)
{
	unsigned lines = order->count ? order->count : order->delay_ms ? 0 : 1;
	uint64_t next = wire_now();
	struct moment last = {0};
	int code = EXIT_DONE;

	for (unsigned i = 0; !lines || i < lines; i++) {
		uint64_t now = wire_now();

		if (i && next > now)
			wire_pause((unsigned)(next - now));
		else
			next = now; /* what was missed while slabd was away is not made up for */
		code = one_line(query, order, &last, i);
		if (code && (!i || !live_may_return(code)))
			break;
		next += order->delay_ms;
	}
	live_free(&last);
	return code;
}
