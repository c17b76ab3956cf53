/* What slabctl can do: one table, which the command line, --help and the manual go by. */
#ifndef SLABCTL_VERBS_H
#define SLABCTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/slabctl/output.h"
#include "client/slabctl/query.h"

struct order;

/* Options beyond those that every verb takes. */
enum {
	TAKES_YES = 0x1,
	TAKES_CREATE = 0x2,
	TAKES_ALL = 0x4,
	TAKES_FREE = 0x8,
	TAKES_WAIT = 0x10,
	TAKES_TOP = 0x20,
	TAKES_FOLLOW = 0x40,
};

struct verb {
	const char *name;
	const char *argument; /* NAME, [NAME], PID, ... with spaces between; "": takes none */
	const char *line;     /* what it does */
	unsigned takes;
	bool offline; /* opens the conversation by itself */
	int (*run)(struct query *query, const struct order *order);
};

extern const struct verb verbs[];
extern const size_t nverbs;

/* What the command line asks for. */
struct order {
	const struct verb *verb;
	const char *address; /* NULL: the default */
	const char *name;    /* the argument of the verb; NULL: none */
	bool json, yes, all, release, wait, batch, follow;
	int pid;
	unsigned wait_ms;
	unsigned delay_ms, count; /* 0: none was given */
	const char *sort;	  /* a letter */
	const char *setting;	  /* KEY=VALUE */
	struct create_args create;
};

/* Fills *ret, or ends the process: usage errors and --help. */
void options_parse(struct order *ret, int argc, char **argv);

int verb_status(struct query *query, const struct order *order);
int verb_caches(struct query *query, const struct order *order);
int verb_cache(struct query *query, const struct order *order);
int verb_clients(struct query *query, const struct order *order);
int verb_create(struct query *query, const struct order *order);
int verb_destroy(struct query *query, const struct order *order);
int verb_shrink(struct query *query, const struct order *order);
int verb_audit(struct query *query, const struct order *order);
int verb_orphans(struct query *query, const struct order *order);
int verb_evict(struct query *query, const struct order *order);
int verb_set(struct query *query, const struct order *order);
int verb_events(struct query *query, const struct order *order);
int verb_top(struct query *query, const struct order *order);
int verb_doctor(struct query *query, const struct order *order);
int verb_stat(struct query *query, const struct order *order);
int verb_ping(struct query *query, const struct order *order);

/* A cache's row, for those who list one and those who list all. */
extern const struct json_field cache_fields[];
extern const size_t ncache_fields;
#define FLAGS_BYTES 32
const char *cache_flags(char text[FLAGS_BYTES], uint64_t flags); /* "reclaim,strict"; "-": none */

#endif
