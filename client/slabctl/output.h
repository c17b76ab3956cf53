/* What slabctl prints: tables, units and colour for people, JSON for programs. */
#ifndef SLABCTL_OUTPUT_H
#define SLABCTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names come from elsewhere: no control character of theirs shall reach a terminal. */
void output_clean(char *text);

/* ---- stderr */

/* "slabctl: ..." on one line, whatever bytes the arguments bring. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool output_can_ask(void); /* is there a terminal to ask on? */
/* Asks on it: 0 for yes; anything else is no, said so, and an exit code. */
int output_ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- stdout */

enum colour { PLAIN, BOLD, RED, GREEN, YELLOW };

/* The escape that begins a colour, PLAIN ends it; "" where no colour is wanted. */
const char *output_colour(enum colour colour);

/* Writes out what is buffered: 0, or an exit code when not everything arrived. */
int output_finish(void);

#define UNITS_BYTES 24
/* "64 B", "1.5 KiB": returns text. */
const char *output_bytes(char text[UNITS_BYTES], uint64_t bytes);
/* "3 d 2 h", "2 min 5 s". */
const char *output_duration(char text[UNITS_BYTES], uint64_t ms);

/* At most 5 characters: "99999", "123k", "1.2M"; and at most 6: "512", "64.0M", "1023M". */
const char *output_count(char text[UNITS_BYTES], uint64_t count);
const char *output_size(char text[UNITS_BYTES], uint64_t bytes);

/* Of the terminal on stdout; 0: it is none, or it does not say. */
unsigned output_columns(void);
unsigned output_lines(void);

struct column {
	const char *title;
	bool right;
};

struct table;
struct table *table_new(const struct column *columns, size_t n);
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_size(struct table *table, uint64_t bytes);
void table_colour(struct table *table, enum colour colour); /* of the row that is being filled */
void table_print(struct table *table);			    /* and frees it */

/* ---- JSON: a row of plain C as an object, its fields in the order of a table */

struct json_field {
	const char *name;
	enum { JSON_FIELD_TEXT, JSON_FIELD_COUNT } kind; /* char[], uint64_t */
	size_t offset;
};

#define JSON_TEXT_FIELD(type, field)                           \
	{                                                      \
#field, JSON_FIELD_TEXT, offsetof(type, field) \
	}
#define JSON_COUNT_FIELD(type, field)                           \
	{                                                       \
#field, JSON_FIELD_COUNT, offsetof(type, field) \
	}
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

json_t *json_row(const struct json_field *fields, size_t nfields, const void *row);
json_t *json_rows(const struct json_field *fields, size_t nfields, const void *rows, size_t stride,
		  size_t n);
json_t *json_text(const char *text); /* bytes that are no UTF-8 become ? */
/* Prints the document, and gives it back: an exit code. */
int json_print(json_t *document);
/* The same on one line, at once. */
int json_print_line(json_t *document);

#endif
