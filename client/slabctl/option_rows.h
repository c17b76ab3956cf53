/* The options in a table: the parser, --help and the shells' completions go by it. */
#ifndef SLABCTL_OPTION_ROWS_H
#define SLABCTL_OPTION_ROWS_H

#include <argp.h>
#include <stdbool.h>

#include "client/slabctl/verbs.h"

enum {
	KEY_SIZE = 0x100,
	KEY_ALIGN,
	KEY_FLAGS,
	KEY_RECLAIM,
	KEY_STRICT,
	KEY_HWALIGN,
	KEY_MAGAZINE,
	KEY_EXCLUSIVE,
	KEY_ALL,
	KEY_FREE,
	KEY_WAIT,
	KEY_USAGE,
	KEY_COMPLETION,
};

struct option_row {
	unsigned takes; /* 0: every verb */
	struct argp_option argp;
	const char *
		values; /* what the shells offer for its value, with spaces between; NULL: nothing */
};

extern const struct option_row option_rows[];
#define OPTION_ROWS_MAX 40
extern const size_t noption_rows;

/* Is this one that the verb takes?  verb NULL: one that every verb takes. */
bool option_is_for(const struct option_row *row, const struct verb *verb);
/* Those, ended as argp wants it; room for OPTION_ROWS_MAX. */
void option_choose(struct argp_option *to, const struct verb *verb);

/* --help and --usage: flags are argp_help's.  NULL: of slabctl as a whole. */
void help(const struct verb *verb, unsigned flags) __attribute__((noreturn));

#endif
