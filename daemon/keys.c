#include "daemon/keys.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "shm/layout.h"
#include "shm/tag.h"

#define CLIENTS_MAX  (PARTY_MAX - PARTY_FIRST)
#define DEFAULT_SIZE (UINT64_C(1) << 30)

/* ---------------------------------------------------------------- values */

int key_socket(struct options *options, const char *value, char *why, size_t n)
{
	size_t length = strlen(value);

	if (length == 0 || length >= sizeof(options->socket)) {
		snprintf(why, n, "a socket's path has 1 to %zu bytes, not %zu",
			 sizeof(options->socket) - 1, length);
		return -EINVAL;
	}
	memcpy(options->socket, value, length + 1);
	return 0;
}

static void show_socket(const struct options *options, char *text, size_t n)
{
	snprintf(text, n, "%s", options->socket);
}

static int parse_size(struct options *options, const char *value, char *why, size_t n)
{
	unsigned long long number = 0;
	unsigned shift = 0;
	char *end = NULL;

	errno = 0;
	if (value[0] >= '0' && value[0] <= '9')
		number = strtoull(value, &end, 10);
	switch (end ? *end : 0) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	default:
		break;
	}
	if (!end || errno || end[shift ? 1 : 0] || number > UINT64_MAX >> shift ||
	    number << shift < HEAP_BYTES_MIN || number << shift > HEAP_BYTES_MAX) {
		snprintf(why, n, "'%s' is no size from 4M to 64G (bytes, or with K, M or G)",
			 value);
		return -EINVAL;
	}
	options->backing.size = number << shift;
	return 0;
}

static void show_size(const struct options *options, char *text, size_t n)
{
	static const char units[] = "\0KMG";
	uint64_t size = options->backing.size;
	unsigned unit = 0;

	while (unit < 3 && size && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	snprintf(text, n, "%llu%.1s", (unsigned long long)size, units + unit);
}

struct word {
	const char *name;
	int value;
};

static const struct word hugepages_words[] = {
	{"require", HUGEPAGES_REQUIRE},
	{"prefer", HUGEPAGES_PREFER},
	{"never", HUGEPAGES_NEVER},
	{NULL, 0},
};

static const struct word level_words[] = {
	{"error", LOG_LEVEL_ERROR},
	{"warning", LOG_LEVEL_WARNING},
	{"info", LOG_LEVEL_INFO},
	{"debug", LOG_LEVEL_DEBUG},
	{NULL, 0},
};

static int parse_word(const struct word *words, const char *value, int *ret, char *why, size_t n)
{
	size_t used;

	for (const struct word *word = words; word->name; word++)
		if (strcmp(word->name, value) == 0) {
			*ret = word->value;
			return 0;
		}
	used = (size_t)snprintf(why, n, "'%.64s' is none of", value);
	for (const struct word *word = words; word->name && used < n; word++)
		used += (size_t)snprintf(why + used, n - used, "%s %s", word == words ? "" : ",",
					 word->name);
	return -EINVAL;
}

static void show_word(const struct word *words, int value, char *text, size_t n)
{
	for (; words->name; words++)
		if (words->value == value)
			snprintf(text, n, "%s", words->name);
}

static int parse_hugepages(struct options *options, const char *value, char *why, size_t n)
{
	int found = 0, r = parse_word(hugepages_words, value, &found, why, n);

	if (r == 0)
		options->backing.hugepages = (enum hugepages)found;
	return r;
}

static void show_hugepages(const struct options *options, char *text, size_t n)
{
	show_word(hugepages_words, (int)options->backing.hugepages, text, n);
}

static int parse_backing(struct options *options, const char *value, char *why, size_t n)
{
	size_t length = strlen(value);

	if (length >= sizeof(options->directory)) {
		snprintf(why, n, "a directory of more than %zu bytes",
			 sizeof(options->directory) - 1);
		return -EINVAL;
	}
	memcpy(options->directory, value, length + 1);
	return 0;
}

static void show_backing(const struct options *options, char *text, size_t n)
{
	snprintf(text, n, "%s", options->directory);
}

static int parse_level(struct options *options, const char *value, char *why, size_t n)
{
	int found = 0, r = parse_word(level_words, value, &found, why, n);

	if (r == 0)
		options->log_level = (enum log_level)found;
	return r;
}

static void show_level(const struct options *options, char *text, size_t n)
{
	show_word(level_words, (int)options->log_level, text, n);
}

static int parse_number(uint32_t *ret, const char *value, uint32_t most, char *why, size_t n)
{
	unsigned long long number = 0;
	char *end = NULL;

	errno = 0;
	if (value[0] >= '0' && value[0] <= '9')
		number = strtoull(value, &end, 10);
	if (!end || *end || errno || number < 1 || number > most) {
		snprintf(why, n, "'%.64s' is no number from 1 to %u", value, most);
		return -EINVAL;
	}
	*ret = (uint32_t)number;
	return 0;
}

static int parse_max_caches(struct options *options, const char *value, char *why, size_t n)
{
	return parse_number(&options->backing.max_caches, value, CACHES_MAX, why, n);
}

static void show_max_caches(const struct options *options, char *text, size_t n)
{
	snprintf(text, n, "%u", options->backing.max_caches);
}

static int parse_max_clients(struct options *options, const char *value, char *why, size_t n)
{
	return parse_number(&options->backing.max_clients, value, CLIENTS_MAX, why, n);
}

static void show_max_clients(const struct options *options, char *text, size_t n)
{
	snprintf(text, n, "%u", options->backing.max_clients);
}

static int parse_per_user(struct options *options, const char *value, char *why, size_t n)
{
	return parse_number(&options->max_clients_per_user, value, CLIENTS_MAX, why, n);
}

static void show_per_user(const struct options *options, char *text, size_t n)
{
	snprintf(text, n, "%u", options->max_clients_per_user);
}

/* ---------------------------------------------------------------- the table */

const struct key keys[] = {
	{"socket", "PATH", NULL, "Socket that clients connect to", key_socket, show_socket, true,
	 false},
	{"size", "BYTES", "1G", "Bound of the heap (K, M, G); memory is taken as it is needed",
	 parse_size, show_size, true, false},
	{"hugepages", "require|prefer|never", "prefer", "2 MiB pages for the heap", parse_hugepages,
	 show_hugepages, true, false},
	{"backing", "DIR", "", "Files in DIR instead of anonymous memory: they outlive slabd",
	 parse_backing, show_backing, true, false},
	{"max-caches", "NUMBER", "1024", "Caches at a time", parse_max_caches, show_max_caches,
	 false, false},
	{"max-clients", "NUMBER", "4096", "Attached processes at a time", parse_max_clients,
	 show_max_clients, false, false},
	{"max-clients-per-user", "NUMBER", "1024", "Of those, of one user", parse_per_user,
	 show_per_user, false, true},
	{"log-level", "error|warning|info|debug", "info", "What is logged", parse_level, show_level,
	 false, true},
};

const size_t keys_count = sizeof(keys) / sizeof(*keys);

static_assert(LIMIT_CACHES == 1024 && LIMIT_CLIENTS == 4096 && LIMIT_CLIENTS_PER_UID == 1024,
	      "the defaults above are proto/limits.h's");

int options_set(struct options *options, const char *name, const char *value, char *error, size_t n)
{
	char why[256];

	for (size_t i = 0; i < keys_count; i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if (keys[i].parse(options, value, why, sizeof(why)) == 0)
			return 0;
		snprintf(error, n, "%s: %s", name, why);
		return -EINVAL;
	}
	snprintf(error, n, "unknown key '%.64s'; there are: " KEYS_HELP, name);
	return -EINVAL;
}

void options_diff(const struct options *before, const struct options *after, options_diff_fn fn,
		  void *arg)
{
	char was[KEY_VALUE_BYTES], is[KEY_VALUE_BYTES];

	for (size_t i = 0; i < keys_count; i++) {
		keys[i].show(before, was, sizeof(was));
		keys[i].show(after, is, sizeof(is));
		if (strcmp(was, is) != 0)
			fn(arg, keys[i].name, was, is, keys[i].applies);
	}
}
