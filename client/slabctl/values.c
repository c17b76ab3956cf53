#include "client/slabctl/values.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/frame.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "proto/limits.h"
#include "shm/geometry.h"

#define SECONDS_MIN 0.1
#define SECONDS_MAX 86400

void usage(const char *format, ...)
{
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	output_error("%s", text);
	exit(EXIT_USAGE);
}

uint64_t value_number(const char *what, const char *text, uint64_t min, uint64_t max, bool units)
{
	unsigned long long value;
	unsigned shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (units && (*end == 'K' || *end == 'k'))
		shift = 10;
	else if (units && (*end == 'M' || *end == 'm'))
		shift = 20;
	if (!isdigit((unsigned char)*text) || errno || end[shift ? 1 : 0] || value > max >> shift ||
	    value << shift < min)
		usage(TEXT_NO_NUMBER, what, text, (unsigned long long)min, (unsigned long long)max,
		      units ? TEXT_UNITS : "");
	return value << shift;
}

unsigned value_seconds(const char *what, const char *text)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (!isdigit((unsigned char)*text) || *end || errno || value < SECONDS_MIN ||
	    value > SECONDS_MAX)
		usage(TEXT_NO_SECONDS, what, text, SECONDS_MIN, SECONDS_MAX);
	return (unsigned)(value * 1000 + 0.5);
}

struct setting value_setting(const char *text)
{
	struct setting setting = {0};
	size_t n = strcspn(text, "=");

	if (n == 0 || n >= sizeof(setting.key) || !text[n])
		usage(TEXT_NO_SETTING, text);
	memcpy(setting.key, text, n);
	setting.standard = strcmp(text + n + 1, "default") == 0;
	if (!setting.standard)
		setting.value = value_number(setting.key, text + n + 1, 0, UINT32_MAX, false);
	return setting;
}

static uint32_t flag_named(const char *name, size_t n)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} flags[] = {{"reclaim", GEOMETRY_RECLAIM},
		     {"strict", GEOMETRY_STRICT},
		     {"hwalign", GEOMETRY_HWALIGN}};

	for (size_t i = 0; i < LENGTH(flags); i++)
		if (strlen(flags[i].name) == n && memcmp(flags[i].name, name, n) == 0)
			return flags[i].flag;
	usage(TEXT_NO_FLAG, strndupa(name, n < 64 ? n : 64));
}

uint32_t value_flags(const char *list)
{
	uint32_t flags = 0;

	for (;;) {
		size_t n = strcspn(list, ",");

		flags |= flag_named(list, n);
		if (!list[n])
			return flags;
		list += n + 1;
	}
}

void value_name(const char *name)
{
	size_t n = strlen(name);

	if (n < 1 || n > PROTO_NAME_MAX)
		usage(TEXT_NAME_LENGTH, name, n > 20 ? "..." : "", n, PROTO_NAME_MAX);
	for (const char *c = name; *c; c++)
		if (!isascii(*c) || !(isalnum((unsigned char)*c) || strchr("_.-", *c)))
			usage(TEXT_NAME_LETTERS, name);
}

const char *value_sort(const char *text)
{
	if (!*text || text[1] || !frame_sort_name(*text))
		usage(TEXT_NO_SORT, text);
	return text;
}

int value_pid(const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || pid < 1 || pid > INT_MAX)
		usage(TEXT_NO_PID, text, INT_MAX);
	return (int)pid;
}
