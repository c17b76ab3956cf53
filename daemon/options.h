/* What slabd is told: built-in defaults, then the configuration file, then the command line.
 *
 * One table of keys (options.c) serves all three and the reload on SIGHUP. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/backing.h"
#include "daemon/log.h"

/* How slabd ends. */
enum slabd_exit {
	SLABD_EXIT_OK = 0,
	SLABD_EXIT_FAILED = 1,
	SLABD_EXIT_USAGE = 2,	  /* command line or configuration */
	SLABD_EXIT_HUGEPAGES = 3, /* hugepages=require, and there are none */
	SLABD_EXIT_PERMISSION = 4,
	SLABD_EXIT_TAKEN = 5, /* another slabd has this socket or these files */
};

#define SOCKET_PATH_BYTES 108 /* with the terminating 0 */
#define ERROR_BYTES	  512

enum options_mode { MODE_RUN, MODE_CHECK, MODE_CHECK_CONFIG, MODE_LAYOUT };

/* A KEY=VALUE of the command line. */
struct setting {
	char *key;
	const char *value;
	bool is_option; /* --KEY=VALUE, not --set KEY=VALUE */
};

struct options {
	/* keys */
	char socket[SOCKET_PATH_BYTES];
	struct backing_options backing; /* but its directory */
	char directory[256];		/* empty: none */
	uint32_t max_clients_per_user;
	enum log_level log_level;

	/* the command line, kept for a reload */
	enum options_mode mode;
	const char *config; /* --config; NULL: the default file, if there is one */
	struct setting *settings;
	unsigned nsettings;

	char **argv; /* as it was given */

	char file[256]; /* the file that was read; empty: none */
};

/* Takes the command line apart.  As argp does, prints and exits on --help, --version and wrong
 * usage.  0, or -ENOMEM. */
int options_parse(struct options *options, int argc, char **argv);

/* Sets all keys from defaults, file and command line.  0, or -errno with a sentence in error, and
 * *options is as it was. */
int options_read(struct options *options, char *error, size_t error_bytes);

void options_free(struct options *options);

/* Sets one key.  0, or -EINVAL with a sentence in error. */
int options_set(struct options *options, const char *key, const char *value, char *error,
		size_t error_bytes);

/* What backing_make is told; its strings are those of *options. */
struct backing_options options_backing(const struct options *options);

/* How many files the worker opens at most: a socket and a pidfd for each client, and some. */
uint32_t options_files(const struct options *options);

/* Calls fn for each key whose value differs between before and after; applies: at once on a reload,
 * or with the next start. */
typedef void (*options_diff_fn)(void *arg, const char *key, const char *before, const char *after,
				bool applies);
void options_diff(const struct options *before, const struct options *after, options_diff_fn fn,
		  void *arg);

#endif
