/* One document, its fields in a fixed order. */
#include "client/slabctl/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/texts.h"

json_t *json_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string)
		return string;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

json_t *json_row(const struct json_field *fields, size_t nfields, const void *row)
{
	json_t *object = json_object();

	for (size_t i = 0; i < nfields; i++) {
		const char *at = (const char *)row + fields[i].offset;
		json_t *value;

		if (fields[i].kind == JSON_FIELD_TEXT)
			value = json_text(at);
		else
			value = json_integer((json_int_t) * (const uint64_t *)at);
		if (json_object_set_new(object, fields[i].name, value) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *json_rows(const struct json_field *fields, size_t nfields, const void *rows, size_t stride,
		  size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_row(fields, nfields,
							  (const char *)rows + i * stride)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static int print(json_t *document, size_t flags)
{
	if (!document) {
		output_error(TEXT_NO_MEMORY);
		return EXIT_LIMIT;
	}
	/* a failing write is seen by output_finish() */
	json_dumpf(document, stdout, flags);
	putchar('\n');
	json_decref(document);
	return EXIT_DONE;
}

int json_print(json_t *document)
{
	return print(document, JSON_INDENT(2));
}

int json_print_line(json_t *document)
{
	int code = print(document, JSON_COMPACT);

	fflush(stdout);
	return code;
}
