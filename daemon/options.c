#include "daemon/options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "proto/limits.h"
#include "proto/version.h"
#include "shm/layout.h"
#include "shm/tag.h"

#define CLIENTS_MAX  (PARTY_MAX - PARTY_FIRST)
#define DEFAULT_SIZE (UINT64_C(1) << 30)
#define KEYS_HELP \
	"socket, size, hugepages, max-caches, max-clients, max-clients-per-user, log-level"

/* ---------------------------------------------------------------- values */

static int parse_socket(struct options *options, const char *value, char *why, size_t n)
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

struct key {
	const char *name, *unit;
	const char *standard; /* NULL: depends on who runs it */
	const char *help;
	int (*parse)(struct options *options, const char *value, char *why, size_t n);
	void (*show)(const struct options *options, char *text, size_t n);
	bool is_option; /* has a switch of its own */
	bool applies;	/* on a reload; else with the next start */
};

static const struct key keys[] = {
	{"socket", "PATH", NULL, "Socket that clients connect to", parse_socket, show_socket, true,
	 false},
	{"size", "BYTES", "1G", "Bound of the heap (K, M, G); memory is taken as it is needed",
	 parse_size, show_size, true, false},
	{"hugepages", "require|prefer|never", "prefer", "2 MiB pages for the heap", parse_hugepages,
	 show_hugepages, true, false},
	{"max-caches", "NUMBER", "1024", "Caches at a time", parse_max_caches, show_max_caches,
	 false, false},
	{"max-clients", "NUMBER", "4096", "Attached processes at a time", parse_max_clients,
	 show_max_clients, false, false},
	{"max-clients-per-user", "NUMBER", "1024", "Of those, of one user", parse_per_user,
	 show_per_user, false, true},
	{"log-level", "error|warning|info|debug", "info", "What is logged", parse_level, show_level,
	 false, true},
};

#define NKEYS (sizeof(keys) / sizeof(*keys))

static_assert(LIMIT_CACHES == 1024 && LIMIT_CLIENTS == 4096 && LIMIT_CLIENTS_PER_UID == 1024,
	      "the defaults above are proto/limits.h's");

int options_set(struct options *options, const char *name, const char *value, char *error, size_t n)
{
	char why[256];

	for (size_t i = 0; i < NKEYS; i++) {
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
	char was[SOCKET_PATH_BYTES], is[SOCKET_PATH_BYTES];

	for (size_t i = 0; i < NKEYS; i++) {
		keys[i].show(before, was, sizeof(was));
		keys[i].show(after, is, sizeof(is));
		if (strcmp(was, is) != 0)
			fn(arg, keys[i].name, was, is, keys[i].applies);
	}
}

uint32_t options_files(const struct options *options)
{
	return 2 * options->backing.max_clients + 256;
}

/* ---------------------------------------------------------------- the file */

struct file_reader {
	struct options *options;
	const char *path;
	FILE *file;
	int line;
	bool in_line;	/* the last piece had no end of line yet */
	int error_line; /* of what error holds; 0: none yet */
	char *error;
	size_t error_bytes;
};

/* As fgets, and counts: inih tells a handler nothing about lines. */
static char *read_piece(char *buffer, int n, void *arg)
{
	struct file_reader *reader = arg;
	char *piece = fgets(buffer, n, reader->file);

	if (!piece)
		return NULL;
	if (!reader->in_line)
		reader->line++;
	else if (!reader->error_line) {
		reader->error_line = reader->line;
		snprintf(reader->error, reader->error_bytes, "%s:%d: a line of more than %d bytes",
			 reader->path, reader->line, n - 2);
	}
	reader->in_line = !strchr(piece, '\n');
	return piece;
}

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct file_reader *reader = arg;
	char why[ERROR_BYTES];

	if (reader->error_line)
		return 0;
	if (strcmp(section, "daemon") != 0)
		snprintf(why, sizeof(why),
			 "'%.64s' stands in %s%.64s%s; the one section is [daemon], "
			 "with: " KEYS_HELP,
			 name, *section ? "the unknown section [" : "no section", section,
			 *section ? "]" : "");
	else if (options_set(reader->options, name, value ? value : "", why, sizeof(why)) == 0)
		return 1;
	reader->error_line = reader->line;
	snprintf(reader->error, reader->error_bytes, "%s:%d: %s", reader->path, reader->line, why);
	return 0;
}

static int read_stream(struct file_reader *reader)
{
	int line = ini_parse_stream(read_piece, reader, on_key, reader);

	if (ferror(reader->file)) {
		snprintf(reader->error, reader->error_bytes, "%s: %s", reader->path,
			 strerror(errno));
		return -EIO;
	}
	if (line == 0 && !reader->error_line)
		return 0;
	if (line > 0 && (!reader->error_line || line < reader->error_line))
		snprintf(reader->error, reader->error_bytes,
			 "%s:%d: neither a [section] nor KEY = VALUE", reader->path, line);
	else if (!reader->error_line)
		snprintf(reader->error, reader->error_bytes, "%s: no memory to read it",
			 reader->path);
	return -EINVAL;
}

/* The file that is read unless --config names one: empty if there can be none. */
static void default_file(char *path, size_t n)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	path[0] = 0;
	if (geteuid() == 0)
		snprintf(path, n, "/etc/slabd/slabd.conf");
	else if (config && *config)
		snprintf(path, n, "%s/slabd/slabd.conf", config);
	else if (home && *home)
		snprintf(path, n, "%s/.config/slabd/slabd.conf", home);
}

static int read_file(struct options *options, char *error, size_t n)
{
	struct file_reader reader = {.options = options, .error = error, .error_bytes = n};
	int r;

	if (options->config)
		snprintf(options->file, sizeof(options->file), "%s", options->config);
	else
		default_file(options->file, sizeof(options->file));
	if (!options->file[0])
		return 0;
	reader.path = options->file;
	reader.file = fopen(options->file, "re");
	if (!reader.file && errno == ENOENT && !options->config) {
		options->file[0] = 0;
		return 0;
	}
	if (!reader.file) {
		r = -errno;
		snprintf(error, n, "%s: %s", options->file, strerror(-r));
		return r;
	}
	r = read_stream(&reader);
	fclose(reader.file);
	return r;
}

/* ---------------------------------------------------------------- all of it */

/* The socket that a client with the same environment looks for. */
static int default_socket(struct options *options, char *error, size_t n)
{
	const char *address = getenv("SLABD_ADDRESS"), *runtime = getenv("XDG_RUNTIME_DIR");
	char path[SOCKET_PATH_BYTES + 64];
	char why[256];

	if (address && *address) {
		size_t length = strcspn(address, "#");

		if (strcmp(address + length, "#main") != 0 && address[length]) {
			snprintf(error, n,
				 "SLABD_ADDRESS=%.200s names a segment that this slabd does not "
				 "serve; "
				 "say --socket PATH",
				 address);
			return -EINVAL;
		}
		snprintf(path, sizeof(path), "%.*s", (int)length, address);
	} else if (geteuid() == 0) {
		snprintf(path, sizeof(path), "/run/slabd/slabd.sock");
	} else if (runtime && *runtime) {
		snprintf(path, sizeof(path), "%s/slabd/slabd.sock", runtime);
	} else {
		snprintf(error, n,
			 "XDG_RUNTIME_DIR is not set, so there is no default socket for user %u; "
			 "say --socket PATH",
			 geteuid());
		return -EINVAL;
	}
	if (parse_socket(options, path, why, sizeof(why)) == 0)
		return 0;
	snprintf(error, n, "default socket %s: %s; say --socket PATH", path, why);
	return -EINVAL;
}

int options_read(struct options *options, char *error, size_t n)
{
	struct options next = *options;
	char why[ERROR_BYTES - 16];
	int r;

	next.socket[0] = 0;
	for (size_t i = 0; i < NKEYS; i++)
		if (keys[i].standard)
			keys[i].parse(&next, keys[i].standard, why, sizeof(why));
	r = read_file(&next, error, n);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < next.nsettings; i++) {
		const struct setting *setting = &next.settings[i];

		r = options_set(&next, setting->key, setting->value, why, sizeof(why));
		if (r < 0) {
			snprintf(error, n, "%s%s", setting->is_option ? "--" : "--set ", why);
			return r;
		}
	}
	if (!next.socket[0] && next.mode != MODE_CHECK_CONFIG) {
		r = default_socket(&next, error, n);
		if (r < 0)
			return r;
	}
	*options = next;
	return 0;
}

/* ---------------------------------------------------------------- the command line */

enum { KEY_CONFIG = 0x200, KEY_SET, KEY_CHECK, KEY_CHECK_CONFIG, KEY_FIRST = 0x300 };

const char *argp_program_version;

static void remember(struct options *options, const char *key, const char *value, bool is_option)
{
	options->settings[options->nsettings++] =
		(struct setting){.key = key, .value = value, .is_option = is_option};
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	char *equals;

	switch (key) {
	case KEY_CONFIG:
		options->config = arg;
		return 0;
	case KEY_SET:
		equals = strchr(arg, '=');
		if (!equals || equals == arg)
			argp_error(state, "--set %s: KEY=VALUE is wanted", arg);
		*equals = 0;
		remember(options, arg, equals + 1, false);
		return 0;
	case KEY_CHECK:
		options->mode = MODE_CHECK;
		return 0;
	case KEY_CHECK_CONFIG:
		options->mode = MODE_CHECK_CONFIG;
		return 0;
	default:
		if (key < KEY_FIRST || key >= KEY_FIRST + (int)NKEYS)
			return ARGP_ERR_UNKNOWN;
		remember(options, keys[key - KEY_FIRST].name, arg, true);
		return 0;
	}
}

/* After the switches, the keys that have none. */
static char *help_filter(int key, const char *text, void *input)
{
	char *out = NULL;
	size_t bytes = 0;
	FILE *file;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	file = open_memstream(&out, &bytes);
	if (!file)
		return (char *)(uintptr_t)text;
	fprintf(file, "Keys of the section [daemon] and of --set:\n");
	for (size_t i = 0; i < NKEYS; i++)
		fprintf(file, "  %-21s %s (%s)%s\n", keys[i].name, keys[i].help,
			keys[i].standard ? keys[i].standard : "by user",
			keys[i].applies ? ", reloads" : "");
	fprintf(file, "\nFiles: /etc/slabd/slabd.conf for root, $XDG_CONFIG_HOME/slabd/slabd.conf "
		      "for others.\n"
		      "Exit status: 0 done, 1 failed, 2 usage or configuration, 3 no hugepages "
		      "though required,\n"
		      "4 no permission, 5 another slabd has the socket.\n");
	fclose(file);
	return out;
}

int options_parse(struct options *options, int argc, char **argv)
{
	static const struct argp_option others[] = {
		{"config", KEY_CONFIG, "FILE", 0, "Read FILE instead of the default file", 0},
		{"set", KEY_SET, "KEY=VALUE", 0, "Set a key of the configuration", 0},
		{"check", KEY_CHECK, NULL, 0, "Check all that a start needs, and end", 0},
		{"check-config", KEY_CHECK_CONFIG, NULL, 0, "Check the configuration, and end", 0},
		{0},
	};
	struct argp_option table[NKEYS + sizeof(others) / sizeof(*others)] = {0};
	struct argp argp = {.options = table,
			    .parser = on_option,
			    .doc = "One pool of objects for many processes.\v",
			    .help_filter = help_filter};
	static char version[96];
	size_t n = 0;

	snprintf(version, sizeof(version), "slabd %s (protocol %u.%u, layout %u)",
		 SLABD_VERSION_STRING, PROTO_MAJOR, PROTO_MINOR, SLABD_LAYOUT_VERSION);
	argp_program_version = version;
	argp_err_exit_status = SLABD_EXIT_USAGE;
	*options = (struct options){.mode = MODE_RUN};
	options->settings = calloc((size_t)argc, sizeof(*options->settings));
	if (!options->settings)
		return -ENOMEM;
	for (size_t i = 0; i < NKEYS; i++)
		if (keys[i].is_option)
			table[n++] = (struct argp_option){.name = keys[i].name,
							  .key = KEY_FIRST + (int)i,
							  .arg = keys[i].unit,
							  .doc = keys[i].help};
	memcpy(table + n, others, sizeof(others));
	return argp_parse(&argp, argc, argv, 0, NULL, options) == 0 ? 0 : -ENOMEM;
}

void options_free(struct options *options)
{
	free(options->settings);
	options->settings = NULL;
	options->nsettings = 0;
}
