/* The command line, by argp.  All options are parsed by one parser, so that they may stand before or
 * behind the verb; afterwards each must be one that the verb takes. */
#include "client/slabctl/verbs.h"

#include <argp.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/values.h"
#include "proto/version.h"
#include "shm/geometry.h"

#define WAIT_SECONDS_DEFAULT 10
#define WAIT_SECONDS_MAX     86400

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
};

struct option_row {
	unsigned takes; /* 0: every verb */
	struct argp_option argp;
};

#define OPTION(takes, name, key, arg, flags, text)     \
	{                                              \
		takes,                                 \
		{                                      \
			name, key, arg, flags, text, 0 \
		}                                      \
	}

static const struct option_row rows[] = {
	OPTION(0, "address", 'a', "ADDRESS", 0,
	       "where slabd is: SOCKET or SOCKET#SEGMENT (default: $SLABD_ADDRESS, else "
	       "$XDG_RUNTIME_DIR/slabd/slabd.sock, for root /run/slabd/slabd.sock)"),
	OPTION(0, "json", 'j', NULL, 0, "one JSON document, for programs"),
	OPTION(TAKES_CREATE, "size", KEY_SIZE, "BYTES", 0, "size of an object, 1 to 128K"),
	OPTION(TAKES_CREATE, "align", KEY_ALIGN, "BYTES", 0,
	       "a power of two up to 4096 (default: 8)"),
	OPTION(TAKES_CREATE, "flags", KEY_FLAGS, "LIST", 0,
	       "any of reclaim,strict,hwalign, with commas between"),
	OPTION(TAKES_CREATE, "reclaim", KEY_RECLAIM, NULL, 0,
	       "objects die with the process that owns them"),
	OPTION(TAKES_CREATE, "strict", KEY_STRICT, NULL, 0,
	       "every free is a compare-and-swap, so that no double free goes unseen"),
	OPTION(TAKES_CREATE, "hwalign", KEY_HWALIGN, NULL, 0, "align to cache lines"),
	OPTION(TAKES_CREATE, "magazine", KEY_MAGAZINE, "N", 0,
	       "objects in a magazine (default: by their size)"),
	OPTION(TAKES_CREATE, "exclusive", KEY_EXCLUSIVE, NULL, 0,
	       "fail if the cache exists, even if it is the same"),
	OPTION(TAKES_ALL, "all", KEY_ALL, NULL, 0, "every cache"),
	OPTION(TAKES_FREE, "free", KEY_FREE, NULL, 0, "free them for good"),
	OPTION(TAKES_YES, "yes", 'y', NULL, 0, "do it without asking"),
	OPTION(TAKES_WAIT, "wait", KEY_WAIT, "SECONDS", OPTION_ARG_OPTIONAL,
	       "wait until slabd is there (default: 10)"),
	OPTION(0, "help", '?', NULL, 0, "this help; behind a verb, that verb's"),
	OPTION(0, "usage", KEY_USAGE, NULL, 0, "the same in short"),
	OPTION(0, "version", 'V', NULL, 0, "the release of slabctl"),
};

/* What was on the command line, before it is held against the verb. */
struct parse {
	struct order *order;
	const char *arguments[2];	 /* verb and its argument */
	const char *surplus;		 /* the first that is too many */
	const char *given[LENGTH(rows)]; /* options that not every verb takes, by row */
	unsigned help;			 /* argp_help's flags; 0: not asked */
};

static void create_option(struct create_args *create, int key, const char *text)
{
	switch (key) {
	case KEY_SIZE:
		create->size = value_number("--size", text, 1, OBJECT_SIZE_MAX, true);
		break;
	case KEY_ALIGN:
		create->align = value_number("--align", text, 1, OBJECT_ALIGN_MAX, true);
		break;
	case KEY_FLAGS:
		create->flags |= value_flags(text);
		break;
	case KEY_RECLAIM:
		create->flags |= GEOMETRY_RECLAIM;
		break;
	case KEY_STRICT:
		create->flags |= GEOMETRY_STRICT;
		break;
	case KEY_HWALIGN:
		create->flags |= GEOMETRY_HWALIGN;
		break;
	case KEY_EXCLUSIVE:
		create->flags |= GEOMETRY_EXCLUSIVE;
		break;
	case KEY_MAGAZINE:
		create->magazine =
			(uint32_t)value_number("--magazine", text, 1, MAGAZINE_ROUNDS_MAX, false);
		break;
	default:
		break;
	}
}

static void wait_option(struct order *order, const char *text)
{
	uint64_t seconds = WAIT_SECONDS_DEFAULT;

	if (text)
		seconds = value_number("--wait", text, 0, WAIT_SECONDS_MAX, false);
	order->wait = true;
	order->wait_ms = (unsigned)seconds * 1000;
}

/* ---------------------------------------------------------------- argp */

static void note_given(struct parse *parse, int key)
{
	for (size_t i = 0; i < LENGTH(rows); i++)
		if (rows[i].argp.key == key && rows[i].takes)
			parse->given[i] = rows[i].argp.name;
}

static void take_argument(struct parse *parse, const char *text)
{
	if (!parse->arguments[0])
		parse->arguments[0] = text;
	else if (!parse->arguments[1])
		parse->arguments[1] = text;
	else if (!parse->surplus)
		parse->surplus = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct parse *parse = state->input;
	struct order *order = parse->order;

	note_given(parse, key);
	switch (key) {
	case 'a':
		order->address = text;
		break;
	case 'j':
		order->json = true;
		break;
	case 'y':
		order->yes = true;
		break;
	case KEY_ALL:
		order->all = true;
		break;
	case KEY_FREE:
		order->release = true;
		break;
	case KEY_WAIT:
		wait_option(order, text);
		break;
	case '?':
		parse->help = ARGP_HELP_LONG | ARGP_HELP_DOC | ARGP_HELP_SHORT_USAGE;
		break;
	case KEY_USAGE:
		parse->help = ARGP_HELP_USAGE;
		break;
	case 'V':
		puts("slabctl " SLABD_VERSION_STRING);
		exit(output_finish());
	case ARGP_KEY_ARG:
		take_argument(parse, text);
		break;
	default:
		if (key < KEY_SIZE || key >= KEY_ALL)
			return ARGP_ERR_UNKNOWN;
		create_option(&order->create, key, text);
	}
	return 0;
}

/* The options that verb takes; NULL: those that every verb takes. */
static void choose_options(struct argp_option *to, const struct verb *verb)
{
	for (size_t i = 0; i < LENGTH(rows); i++)
		if (!rows[i].takes || (verb && verb->takes & rows[i].takes))
			*to++ = rows[i].argp;
	*to = (struct argp_option){0};
}

/* The list of verbs, behind the options. */
static char *list_verbs(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t n;
	FILE *stream;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	stream = open_memstream(&list, &n);
	if (!stream)
		return NULL;
	fputs("Verbs:\n", stream);
	for (size_t i = 0; i < nverbs; i++)
		fprintf(stream, "  %-7s %-7s  %s\n", verbs[i].name, verbs[i].argument,
			verbs[i].line);
	fputs("\nslabctl VERB --help says more. Exit codes: 0 done, 1 failed, 2 usage, 3 not "
	      "found, "
	      "4 permission, 5 daemon unreachable, 6 audit found damage, 7 limit or no memory, 8 "
	      "timeout.",
	      stream);
	fclose(stream);
	return list;
}

static void __attribute__((noreturn)) help(const struct verb *verb, unsigned flags)
{
	struct argp_option options[LENGTH(rows) + 1];
	struct argp argp = {.options = options, .args_doc = "VERB [ARGUMENT]"};
	char name[64] = "slabctl", doc[160];

	choose_options(options, verb);
	if (verb) {
		snprintf(name, sizeof(name), "slabctl %s", verb->name);
		snprintf(doc, sizeof(doc), "%c%s.", toupper((unsigned char)*verb->line),
			 verb->line + 1);
		argp.args_doc = verb->argument;
	} else {
		/* behind the \v stands what list_verbs() replaces */
		snprintf(doc, sizeof(doc),
			 "See and steer slabd, the pool that processes share.\v-");
		argp.help_filter = list_verbs;
	}
	argp.doc = doc;
	argp_help(&argp, stdout, flags, name);
	exit(output_finish());
}

/* ---------------------------------------------------------------- verb and argument */

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < nverbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	usage(TEXT_UNKNOWN_VERB, name);
}

static void check_argument(struct order *order, const struct parse *parse)
{
	const struct verb *verb = order->verb;
	const char *argument = parse->arguments[1];
	const char *surplus = *verb->argument ? parse->surplus : argument;

	if (surplus)
		usage(TEXT_MORE_ARGUMENT, verb->name, surplus, verb->name);
	if (!argument && *verb->argument && *verb->argument != '[')
		usage(TEXT_NO_ARGUMENT, verb->name, verb->argument, verb->name);
	if (!argument)
		return;
	if (strcmp(verb->argument, "PID") == 0) {
		order->pid = value_pid(argument);
		return;
	}
	value_name(argument);
	order->name = argument;
}

static void check_create(struct order *order)
{
	struct geometry_request request = {.object_size = order->create.size,
					   .align = order->create.align,
					   .flags = order->create.flags,
					   .magazine = order->create.magazine};
	struct geometry geometry;
	char why[256];

	if (!order->create.size)
		usage(TEXT_NO_SIZE, order->name);
	/* a small heap in many racks: no limit that depends on slabd's own */
	if (geometry_make(&geometry, &request, HEAP_BYTES_MIN, UINT32_MAX, why, sizeof(why)) < 0)
		usage(TEXT_CREATE_WRONG, order->name, why);
	order->create.name = order->name;
}

static void check_order(struct order *order, const struct parse *parse)
{
	const struct verb *verb = order->verb;

	for (size_t i = 0; i < LENGTH(rows); i++)
		if (parse->given[i] && !(rows[i].takes & verb->takes)) {
			char option[32];

			snprintf(option, sizeof(option), "--%s", parse->given[i]);
			usage(TEXT_FOREIGN, verb->name, option, verb->name);
		}
	check_argument(order, parse);
	if (verb->takes & TAKES_CREATE)
		check_create(order);
	if (verb->takes & TAKES_ALL && order->all == !!order->name)
		usage(TEXT_SHRINK_WHAT);
	if (verb->takes & TAKES_FREE && order->yes && !order->release)
		usage(TEXT_ORPHANS_YES);
}

/* A destructive order with nobody to ask must say yes by itself; what to type is the command again. */
static void check_consent(const struct order *order)
{
	const struct verb *verb = order->verb;
	bool destructive = verb->takes & TAKES_FREE ? order->release : verb->takes & TAKES_YES;
	char command[128];

	if (!destructive || order->yes || output_can_ask())
		return;
	if (order->pid)
		snprintf(command, sizeof(command), "%s %d", verb->name, order->pid);
	else
		snprintf(command, sizeof(command), "%s%s%s%s", verb->name, order->name ? " " : "",
			 order->name ? order->name : "", order->release ? " --free" : "");
	usage(TEXT_WANTS_YES, verb->name, command);
}

void options_parse(struct order *ret, int argc, char **argv)
{
	struct argp_option options[LENGTH(rows) + 1];
	struct argp argp = {.options = options, .parser = parse_option};
	struct parse parse = {.order = ret};

	for (size_t i = 0; i < LENGTH(rows); i++)
		options[i] = rows[i].argp;
	options[LENGTH(rows)] = (struct argp_option){0};
	argp_err_exit_status = EXIT_USAGE;
	if (argc > 0)
		argv[0] = (char *)(uintptr_t) "slabctl";
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &parse) != 0)
		exit(EXIT_USAGE);
	if (parse.arguments[0])
		ret->verb = find_verb(parse.arguments[0]);
	if (parse.help)
		help(ret->verb, parse.help);
	if (!ret->verb)
		usage(TEXT_NO_VERB);
	check_order(ret, &parse);
	check_consent(ret);
}
