#include "daemon/options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "daemon/keys.h"
#include "proto/version.h"
#include "shm/layout.h"

uint32_t options_files(const struct options *options)
{
	return 2 * options->backing.max_clients + 256;
}

struct backing_options options_backing(const struct options *options)
{
	struct backing_options backing = options->backing;

	backing.directory = options->directory[0] ? options->directory : NULL;
	return backing;
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
	if (key_socket(options, path, why, sizeof(why)) == 0)
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
	for (size_t i = 0; i < keys_count; i++)
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

enum { KEY_CONFIG = 0x200, KEY_SET, KEY_CHECK, KEY_CHECK_CONFIG, KEY_LAYOUT, KEY_FIRST = 0x300 };

const char *argp_program_version;

static int remember(struct options *options, const char *key, size_t n, const char *value,
		    bool is_option)
{
	char *copy = strndup(key, n);

	if (!copy)
		return ENOMEM;
	options->settings[options->nsettings++] =
		(struct setting){.key = copy, .value = value, .is_option = is_option};
	return 0;
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
		return remember(options, arg, (size_t)(equals - arg), equals + 1, false);
	case KEY_LAYOUT:
		options->mode = MODE_LAYOUT;
		return 0;
	case KEY_CHECK:
		options->mode = MODE_CHECK;
		return 0;
	case KEY_CHECK_CONFIG:
		options->mode = MODE_CHECK_CONFIG;
		return 0;
	default:
		if (key < KEY_FIRST || key >= KEY_FIRST + (int)keys_count)
			return ARGP_ERR_UNKNOWN;
		return remember(options, keys[key - KEY_FIRST].name, SIZE_MAX, arg, true);
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
	for (size_t i = 0; i < keys_count; i++)
		fprintf(file, "  %-21s %s (%s)%s\n", keys[i].name, keys[i].help,
			keys[i].standard ? keys[i].standard : "by user",
			keys[i].applies ? ", reloads" : "");
	fprintf(file, "\nFiles: /etc/slabd/slabd.conf for root, $XDG_CONFIG_HOME/slabd/slabd.conf "
		      "for others.\n"
		      "Exit status: 0 done, 1 failed, 2 usage or configuration, 3 no hugepages "
		      "though required,\n"
		      "4 no permission, 5 another slabd has the socket or the files.\n");
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
		{"layout", KEY_LAYOUT, NULL, OPTION_HIDDEN, "Print the layout's number, and end",
		 0},
		{0},
	};
	struct argp_option table[KEYS_MAX + sizeof(others) / sizeof(*others)] = {0};
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
	*options = (struct options){.mode = MODE_RUN, .argv = argv};
	options->settings = calloc((size_t)argc, sizeof(*options->settings));
	if (!options->settings)
		return -ENOMEM;
	for (size_t i = 0; i < keys_count; i++)
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
	for (unsigned i = 0; i < options->nsettings; i++)
		free(options->settings[i].key);
	free(options->settings);
	options->settings = NULL;
	options->nsettings = 0;
}
