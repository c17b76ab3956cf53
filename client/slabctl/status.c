#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

static const struct json_field fields[] = {
	JSON_TEXT_FIELD(struct status_row, version),
	JSON_TEXT_FIELD(struct status_row, address),
	JSON_TEXT_FIELD(struct status_row, backing),
	JSON_COUNT_FIELD(struct status_row, heap_bytes),
	JSON_COUNT_FIELD(struct status_row, heap_used_bytes),
	JSON_COUNT_FIELD(struct status_row, memory_bytes),
	JSON_COUNT_FIELD(struct status_row, caches),
	JSON_COUNT_FIELD(struct status_row, clients),
	JSON_COUNT_FIELD(struct status_row, worker_restarts),
	JSON_COUNT_FIELD(struct status_row, refills),
	JSON_COUNT_FIELD(struct status_row, refill_wait_us_p99),
};

static const char *backing_name(const char *backing)
{
	if (strcmp(backing, "hugetlb") == 0)
		return "reserved hugepages (hugetlb)";
	if (strcmp(backing, "thp") == 0)
		return "2 MiB pages made from ordinary memory (thp)";
	if (strcmp(backing, "pages") == 0)
		return "4 KiB pages (pages)";
	return backing;
}

static void show_memory(const struct status_row *s)
{
	char used[UNITS_BYTES], all[UNITS_BYTES];
	double share =
		s->heap_bytes ? 100.0 * (double)s->heap_used_bytes / (double)s->heap_bytes : 0;

	printf("backing   %s\n", backing_name(s->backing));
	if (*s->backing_why)
		printf("          %s%s%s\n", output_colour(YELLOW), s->backing_why,
		       output_colour(PLAIN));
	printf("heap      %s of %s used (%.1f%%)\n", output_bytes(used, s->heap_used_bytes),
	       output_bytes(all, s->heap_bytes), share);
	printf("memory    %s for catalog, depot and heap\n", output_bytes(used, s->memory_bytes));
}

static void show(const struct status_row *s)
{
	char uptime[UNITS_BYTES];

	printf("%sslabd %s%s at %s\n", output_colour(BOLD), s->version, output_colour(PLAIN),
	       s->address);
	printf("uptime    %s, worker pid %llu, %llu worker restarts\n",
	       output_duration(uptime, s->uptime_ms), (unsigned long long)s->pid,
	       (unsigned long long)s->worker_restarts);
	show_memory(s);
	printf("caches    %llu of at most %llu\n", (unsigned long long)s->caches,
	       (unsigned long long)s->max_caches);
	printf("clients   %llu of at most %llu\n", (unsigned long long)s->clients,
	       (unsigned long long)s->max_clients);
	printf("refills   %llu, 99%% of them within %llu us\n", (unsigned long long)s->refills,
	       (unsigned long long)s->refill_wait_us_p99);
}

int verb_status(struct query *query, const struct order *order)
{
	struct status_row status;
	int code = query_status(query, &status);

	if (code)
		return code;
	if (order->json)
		code = json_print(json_row(fields, LENGTH(fields), &status));
	else
		show(&status);
	if (status.damaged)
		output_note(TEXT_DAMAGED_POOL);
	return code;
}
