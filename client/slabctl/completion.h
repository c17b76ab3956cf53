/* The shells' completions, made from the tables of verbs and options. */
#ifndef SLABCTL_COMPLETION_H
#define SLABCTL_COMPLETION_H

#include <stdio.h>

#include "client/slabctl/option_rows.h"

/* Prints the script for bash, zsh or fish; any other name is a usage error. */
void completion_print(const char *shell);

void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);

/* What stands in a verb's place number, from 0. */
enum place { PLACE_NONE, PLACE_OTHER, PLACE_CACHE, PLACE_CLIENT, PLACE_SETTING };
enum place completion_place(const struct verb *verb, unsigned number);
#define PLACES_MAX 2

#define SETTINGS "surplus= batch="

/* Commands that list caches and clients; %s: how the shell adds an --address that was given. */
#define LIST_CACHES                                                   \
	"SLABD_TIMEOUT_MS=1000 command slabctl caches %s 2>/dev/null" \
	" | awk 'NR > 1 && $2 != \"(destroyed)\" { print $1 }'"
#define LIST_CLIENTS                                                   \
	"SLABD_TIMEOUT_MS=1000 command slabctl clients %s 2>/dev/null" \
	" | awk 'NR > 1 { print $2 }'"

/* Is there a value that must follow? */
static inline bool option_wants_value(const struct option_row *row)
{
	return row->argp.arg && !(row->argp.flags & OPTION_ARG_OPTIONAL);
}

/* Its letter; 0: none. */
static inline char option_letter(const struct option_row *row)
{
	return row->argp.key < 0x80 ? (char)row->argp.key : 0;
}

#endif
