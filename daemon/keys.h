/* The keys that slabd can be told, with their defaults; one table for the configuration file, the
 * command line, --help and the reload. */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include "daemon/options.h"

#define KEYS_HELP                                                                           \
	"socket, size, hugepages, backing, max-caches, max-clients, max-clients-per-user, " \
	"log-level"

struct key {
	const char *name, *unit;
	const char *standard; /* NULL: depends on who runs it */
	const char *help;
	int (*parse)(struct options *options, const char *value, char *why, size_t n);
	void (*show)(const struct options *options, char *text, size_t n);
	bool is_option; /* has a switch of its own */
	bool applies;	/* on a reload; else with the next start */
};

#define KEYS_MAX 16

extern const struct key keys[];
extern const size_t keys_count;

/* The longest value that show writes, with its 0. */
#define KEY_VALUE_BYTES 256

int key_socket(struct options *options, const char *value, char *why, size_t n);

#endif
