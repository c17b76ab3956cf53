/* --help: of slabctl, or of one verb. */
#include "client/slabctl/option_rows.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/output.h"

#define VERB_COLUMNS 22 /* of "stat [DELAY [COUNT]]" */

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
		fprintf(stream, "  %s %-*s %s\n", verbs[i].name,
			VERB_COLUMNS - 1 - (int)strlen(verbs[i].name), verbs[i].argument,
			verbs[i].line);
	fputs("\nslabctl VERB --help says more. Exit codes: 0 done, 1 failed, 2 usage, 3 not "
	      "found, "
	      "4 permission, 5 daemon unreachable, 6 audit found damage, 7 limit or no memory, 8 "
	      "timeout.",
	      stream);
	fclose(stream);
	return list;
}

void help(const struct verb *verb, unsigned flags)
{
	struct argp_option options[OPTION_ROWS_MAX];
	struct argp argp = {.options = options, .args_doc = "VERB [ARGUMENT]"};
	char name[64] = "slabctl", doc[160];

	option_choose(options, verb);
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
