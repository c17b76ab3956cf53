#include "tests/bench/report.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "tests/bench/figures.h"
#include "tests/bench/targets.h"

static void print_cell(struct figure figure, unsigned row)
{
	bool few = figure.clean < ROUNDS_FEW && row != ROW_W6;

	if (isnan(figure.value))
		printf("%10s ", "-");
	else
		printf("%10.*f%c",
		       figure.value < 10    ? 2
		       : figure.value < 100 ? 1
					    : 0,
		       figure.value, few ? '?' : ' ');
}

static void print_names(void)
{
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (!peers[peer].absent)
			printf("%10.10s ", peer == PEER_INLINED	 ? "inlined"
					   : peer == PEER_CALLED ? "called"
								 : peers[peer].name);
	putchar('\n');
}

static bool print_figures(unsigned size)
{
	bool any = false;

	for (unsigned row = 0; row < ROWS; row++)
		any |= row_has_figures(size, row);
	if (!any)
		return false;
	printf("\n%zu bytes: ns an object (memory: bytes)\n\n%-32s", sizes[size], "");
	print_names();
	for (unsigned row = 0; row < ROWS; row++) {
		if (!row_has_figures(size, row))
			continue;
		printf("%-5s%-27s", row_workloads[row], row_titles[row]);
		for (unsigned peer = 0; peer < PEERS; peer++)
			if (!peers[peer].absent)
				print_cell(figure_of(size, row, peer), row);
		putchar('\n');
	}
	return true;
}

static void print_verdict(const struct verdict *verdict)
{
	printf("%-5s%-27s%4zu  %-16s %-32s", row_workloads[verdict->row], row_titles[verdict->row],
	       sizes[verdict->size], peers[verdict->who].name, verdict->wanted);
	if (isnan(verdict->seen))
		printf("not measured\n");
	else if (verdict->seen <= verdict->bound)
		printf("%8.2f  met%s\n", verdict->seen, verdict->few ? " (few repetitions)" : "");
	else
		printf("%8.2f  missed by %.0f%%%s\n", verdict->seen,
		       (verdict->seen / verdict->bound - 1) * 100,
		       verdict->few ? " (few repetitions)" : "");
}

void report_table(void)
{
	struct verdict verdict;
	bool any = false;

	for (unsigned size = 0; size < SIZES; size++)
		any |= print_figures(size);
	if (!any)
		return;
	printf("(medians, peers in turn; ?: fewer than %d repetitions were undisturbed)\n\n"
	       "Targets: what is wanted at most, and what was seen\n\n",
	       ROUNDS_FEW);
	for (size_t i = 0; verdict_of(i, &verdict); i++)
		if (!isnan(verdict.seen))
			print_verdict(&verdict);
}

static void print_json_row(unsigned size, unsigned row, const char *comma)
{
	const char *between = "";

	printf("%s\n{\"workload\":\"%s\",\"title\":\"%s\",\"object_size\":%zu,\"unit\":\"%s\","
	       "\"peers\":[",
	       comma, row_workloads[row], row_titles[row], sizes[size],
	       row == ROW_W6 ? "bytes" : "ns");
	for (unsigned peer = 0; peer < PEERS; peer++) {
		struct figure figure = figure_of(size, row, peer);

		if (isnan(figure.value))
			continue;
		printf("%s{\"name\":\"%s\",\"value\":%.3f,\"clean\":%u}", between, peers[peer].name,
		       figure.value, figure.clean);
		between = ",";
	}
	printf("]}");
}

static void print_json_verdicts(void)
{
	const char *comma = "";
	struct verdict verdict;

	for (size_t i = 0; verdict_of(i, &verdict); i++) {
		if (isnan(verdict.seen))
			continue;
		printf("%s\n{\"workload\":\"%s\",\"title\":\"%s\",\"object_size\":%zu,"
		       "\"who\":\"%s\",\"wanted\":\"%s\",\"bound\":%.3f,\"seen\":%.3f,\"met\":%s}",
		       comma, row_workloads[verdict.row], row_titles[verdict.row],
		       sizes[verdict.size], peers[verdict.who].name, verdict.wanted, verdict.bound,
		       verdict.seen, verdict.seen <= verdict.bound ? "true" : "false");
		comma = ",";
	}
}

void report_json(void)
{
	const char *comma = "";

	printf("{\"figures\":[");
	for (unsigned size = 0; size < SIZES; size++)
		for (unsigned row = 0; row < ROWS; row++)
			if (row_has_figures(size, row)) {
				print_json_row(size, row, comma);
				comma = ",";
			}
	printf("],\n\"targets\":[");
	print_json_verdicts();
	printf("]}\n");
}
