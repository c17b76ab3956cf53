/* The command line, by argp.  All options are parsed by one parser, so that they may stand before or
 * behind the verb; afterwards each must be one that the verb takes. */
#include "client/slabctl/option_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/completion.h"
#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/values.h"
#include "proto/version.h"
#include "shm/geometry.h"

#define WAIT_SECONDS_DEFAULT 10
#define WAIT_SECONDS_MAX     86400
#define ARGUMENTS_MAX	     3 /* no verb takes that many */

/* What was on the command line, before it is held against the verb. */
struct parse {
	struct order *order;
	const char *arguments[1 + ARGUMENTS_MAX]; /* verb and its arguments */
	size_t narguments;			  /* some may be too many */
	const char *given[OPTION_ROWS_MAX];	  /* options that not every verb takes, by row */
	unsigned help;				  /* argp_help's flags; 0: not asked */
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

/* Options of the verbs that go on; false if it is none of theirs. */
static bool live_option(struct order *order, int key, const char *text)
{
	switch (key) {
	case 'b':
		order->batch = true;
		return true;
	case 'n':
		order->count = (unsigned)value_number("--iterations", text, 1, UINT32_MAX, false);
		return true;
	case 'd':
		order->delay_ms = value_seconds("--delay", text);
		return true;
	case 's':
		order->sort = value_sort(text);
		return true;
	case 'f':
		order->follow = true;
		return true;
	default:
		return false;
	}
}

/* ---------------------------------------------------------------- argp */

static void note_given(struct parse *parse, int key)
{
	for (size_t i = 0; i < noption_rows; i++)
		if (option_rows[i].argp.key == key && option_rows[i].takes)
			parse->given[i] = option_rows[i].argp.name;
}

static void take_argument(struct parse *parse, const char *text)
{
	if (parse->narguments < LENGTH(parse->arguments))
		parse->arguments[parse->narguments++] = text;
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
	case KEY_COMPLETION:
		completion_print(text);
		exit(output_finish());
	case ARGP_KEY_ARG:
		take_argument(parse, text);
		break;
	default:
		if (key >= KEY_SIZE && key < KEY_ALL)
			create_option(&order->create, key, text);
		else if (!live_option(order, key, text))
			return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---------------------------------------------------------------- verb and argument */

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < nverbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	usage(TEXT_UNKNOWN_VERB, name);
}

/* The word of a verb's arguments with this number, from 0: NAME, [COUNT]]; its end is in *n. */
static const char *argument_word(const struct verb *verb, size_t number, size_t *n)
{
	const char *word = verb->argument;

	for (; number && *word; number--) {
		word += strcspn(word, " ");
		word += strspn(word, " ");
	}
	*n = strcspn(word, " ");
	return *n ? word : NULL;
}

static void take_value(struct order *order, const char *word, const char *text)
{
	if (strstr(word, "KEY=VALUE") == word) {
		order->setting = text;
	} else if (strstr(word, "PID") == word) {
		order->pid = value_pid(text);
	} else if (strstr(word, "[DELAY") == word) {
		order->delay_ms = value_seconds("DELAY", text);
	} else if (strstr(word, "[COUNT") == word) {
		order->count = (unsigned)value_number("COUNT", text, 1, UINT32_MAX, false);
	} else {
		value_name(text);
		order->name = text;
	}
}

static void check_arguments(struct order *order, const struct parse *parse)
{
	const struct verb *verb = order->verb;
	const char *word;
	size_t n;

	for (size_t i = 1; i < parse->narguments; i++)
		if (!argument_word(verb, i - 1, &n))
			usage(TEXT_MORE_ARGUMENT, verb->name, parse->arguments[i], verb->name);
	for (size_t i = 0; (word = argument_word(verb, i, &n)); i++) {
		if (i + 1 < parse->narguments)
			take_value(order, word, parse->arguments[i + 1]);
		else if (*word != '[')
			usage(TEXT_NO_ARGUMENT, verb->name, (int)n, word, verb->name);
	}
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

	for (size_t i = 0; i < noption_rows; i++)
		if (parse->given[i] && !(option_rows[i].takes & verb->takes)) {
			char option[32];

			snprintf(option, sizeof(option), "--%s", parse->given[i]);
			usage(TEXT_FOREIGN, verb->name, option, verb->name);
		}
	check_arguments(order, parse);
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
	struct argp_option options[OPTION_ROWS_MAX] = {0};
	struct argp argp = {.options = options, .parser = parse_option};
	struct parse parse = {.order = ret};

	for (size_t i = 0; i < noption_rows; i++)
		options[i] = option_rows[i].argp;
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
