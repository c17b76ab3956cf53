/* Columns as wide as their widest cell. */
#include "client/slabctl/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/texts.h"

#define CELL_BYTES 72

struct row {
	enum colour colour;
	char cells[][CELL_BYTES];
};

struct table {
	const struct column *columns;
	size_t ncolumns, nrows, room, at; /* at: the next cell of the last row */
	struct row **rows;
	size_t widths[];
};

static void *need(void *memory)
{
	if (!memory) {
		output_error(TEXT_NO_MEMORY);
		exit(EXIT_LIMIT);
	}
	return memory;
}

struct table *table_new(const struct column *columns, size_t n)
{
	struct table *table = need(calloc(1, sizeof(*table) + n * sizeof(*table->widths)));

	table->columns = columns;
	table->ncolumns = n;
	table->at = n;
	for (size_t i = 0; i < n; i++)
		table->widths[i] = strlen(columns[i].title);
	return table;
}

static void table_row(struct table *table)
{
	if (table->nrows == table->room) {
		table->room = table->room ? table->room * 2 : 16;
		table->rows = need(realloc(table->rows, table->room * sizeof(*table->rows)));
	}
	table->rows[table->nrows++] =
		need(calloc(1, sizeof(struct row) + table->ncolumns * CELL_BYTES));
	table->at = 0;
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *cell;

	if (table->at == table->ncolumns)
		table_row(table);
	cell = table->rows[table->nrows - 1]->cells[table->at];
	va_start(arguments, format);
	vsnprintf(cell, CELL_BYTES, format, arguments);
	va_end(arguments);
	output_clean(cell);
	if (strlen(cell) > table->widths[table->at])
		table->widths[table->at] = strlen(cell);
	table->at++;
}

void table_size(struct table *table, uint64_t bytes)
{
	char text[UNITS_BYTES];

	table_cell(table, "%s", output_bytes(text, bytes));
}

void table_colour(struct table *table, enum colour colour)
{
	table->rows[table->nrows - 1]->colour = colour;
}

/* What a terminal is too narrow for is left out, from the right; the first column always stands. */
static void fit(struct table *table)
{
	size_t room = output_columns(), used = table->widths[0], n = 1;

	for (; room && n < table->ncolumns; n++) {
		used += 2 + table->widths[n];
		if (used > room)
			break;
	}
	if (!room || n == table->ncolumns)
		return;
	output_note(TEXT_COLUMNS_CUT, table->ncolumns - n);
	table->ncolumns = n;
}

static void print_cell(const struct table *table, size_t column, const char *text)
{
	bool last = column + 1 == table->ncolumns;
	int width = (int)table->widths[column];

	if (column)
		fputs("  ", stdout);
	if (table->columns[column].right)
		printf("%*s", width, text);
	else
		printf("%-*s", last ? 0 : width, text);
}

void table_print(struct table *table)
{
	fit(table);
	fputs(output_colour(BOLD), stdout);
	for (size_t c = 0; c < table->ncolumns; c++)
		print_cell(table, c, table->columns[c].title);
	printf("%s\n", output_colour(PLAIN));
	for (size_t r = 0; r < table->nrows; r++) {
		struct row *row = table->rows[r];

		if (row->colour)
			fputs(output_colour(row->colour), stdout);
		for (size_t c = 0; c < table->ncolumns; c++)
			print_cell(table, c, row->cells[c]);
		printf("%s\n", row->colour ? output_colour(PLAIN) : "");
		free(row);
	}
	free(table->rows);
	free(table);
}
