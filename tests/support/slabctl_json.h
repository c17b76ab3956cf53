/* What slabctl --json printed.  For Criterion tests. */
#ifndef TESTS_SUPPORT_SLABCTL_JSON_H
#define TESTS_SUPPORT_SLABCTL_JSON_H

#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "tests/support/slabctl_fixture.h"

/* The document that a run printed, which must have ended well. */
static inline json_t *ctl_json(const struct ctl_run *run)
{
	json_error_t error;
	json_t *document;

	cr_assert_eq(run->code, 0, "exit code %d: %s", run->code, run->error);
	document = json_loads(run->out, 0, &error);
	cr_assert_not_null(document, "%s: %s", error.text, run->out);
	return document;
}

/* An object's fields are these, in this order, with commas between. */
static inline void ctl_fields(const json_t *object, const char *wanted)
{
	char got[1024] = "";
	const char *key;
	json_t *value;

	cr_assert(json_is_object(object));
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		cr_assert_lt(strlen(got) + strlen(key) + 2, sizeof(got));
		strcat(strcat(got, *got ? "," : ""), key);
		cr_assert(json_is_string(value) || json_is_integer(value) ||
				  json_is_boolean(value) || json_is_array(value),
			  "field %s", key);
	}
	cr_assert_str_eq(got, wanted);
}

static inline json_int_t ctl_count(const json_t *object, const char *field)
{
	const json_t *value = json_object_get(object, field);

	cr_assert(json_is_integer(value), "field %s is no integer", field);
	return json_integer_value(value);
}

static inline const char *ctl_text(const json_t *object, const char *field)
{
	const json_t *value = json_object_get(object, field);

	cr_assert(json_is_string(value), "field %s is no string", field);
	return json_string_value(value);
}

#endif
