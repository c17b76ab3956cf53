/* For fish: a line for each option of each verb, and a function that says which place is completed. */
#include "client/slabctl/completion.h"

static const char head[] =
	"# Completion of slabctl for fish; made by: slabctl --completion fish\n"
	"\n"
	"# The words before the cursor that are no options: the verb, then its arguments.\n"
	"function __slabctl_words\n"
	"\tset -l value no\n"
	"\tfor word in (commandline -opc)[2..-1]\n"
	"\t\tif test $value = yes\n"
	"\t\t\tset value no\n"
	"\t\t\tcontinue\n"
	"\t\tend\n"
	"\t\tswitch $word\n"
	"\t\t\tcase";

static const char middle[] =
	"\n"
	"\t\t\t\tset value yes\n"
	"\t\t\tcase '-*'\n"
	"\t\t\tcase '*'\n"
	"\t\t\t\techo $word\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"\n"
	"function __slabctl_is -a verb\n"
	"\tset -l words (__slabctl_words)\n"
	"\ttest \"$words[1]\" = \"$verb\"\n"
	"end\n"
	"\n"
	"function __slabctl_at -a verb place\n"
	"\tset -l words (__slabctl_words)\n"
	"\ttest (count $words) -eq $place; and test \"$words[1]\" = \"$verb\"\n"
	"end\n"
	"\n"
	"# The --address that was given, to ask the same slabd.\n"
	"function __slabctl_address\n"
	"\tset -l words (commandline -opc)\n"
	"\tfor i in (seq (count $words))\n"
	"\t\tswitch $words[$i]\n"
	"\t\t\tcase -a --address\n"
	"\t\t\t\tset -l next (math $i + 1)\n"
	"\t\t\t\ttest $next -le (count $words); and echo --address=$words[$next]\n"
	"\t\t\tcase '--address=*'\n"
	"\t\t\t\techo $words[$i]\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"\n"
	"function __slabctl_caches\n"
	"\t%1$s\n"
	"end\n"
	"\n"
	"function __slabctl_clients\n"
	"\t%2$s\n"
	"end\n"
	"\n"
	"complete -c slabctl -f\n";

static void print_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static void print_option(FILE *out, const struct option_row *row, const struct verb *verb)
{
	fputs("complete -c slabctl", out);
	if (verb)
		fprintf(out, " -n '__slabctl_is %s'", verb->name);
	if (option_letter(row))
		fprintf(out, " -s '%c'", option_letter(row));
	fprintf(out, " -l %s", row->argp.name);
	if (option_letter(row) == 'a')
		fputs(" -r -F", out);
	else if (option_wants_value(row))
		fputs(" -x", out);
	if (row->values)
		fprintf(out, " -a '%s'", row->values);
	fputs(" -d ", out);
	print_quoted(out, row->argp.doc);
	fputc('\n', out);
}

static void print_verb(FILE *out, const struct verb *verb)
{
	static const char *const actions[] = {[PLACE_CACHE] = "(__slabctl_caches)",
					      [PLACE_CLIENT] = "(__slabctl_clients)",
					      [PLACE_SETTING] = SETTINGS};

	fprintf(out, "complete -c slabctl -n 'test (count (__slabctl_words)) -eq 0' -a %s -d ",
		verb->name);
	print_quoted(out, verb->line);
	fputc('\n', out);
	for (size_t i = 0; i < noption_rows; i++)
		if (option_rows[i].takes & verb->takes)
			print_option(out, &option_rows[i], verb);
	for (unsigned i = 0; i < PLACES_MAX; i++) {
		enum place place = completion_place(verb, i);

		if (place >= PLACE_CACHE)
			fprintf(out, "complete -c slabctl -n '__slabctl_at %s %u' -a '%s'\n",
				verb->name, i + 1, actions[place]);
	}
}

void completion_fish(FILE *out)
{
	char caches[256], clients[256];

	snprintf(caches, sizeof(caches), LIST_CACHES, "(__slabctl_address)");
	snprintf(clients, sizeof(clients), LIST_CLIENTS, "(__slabctl_address)");
	fputs(head, out);
	for (size_t i = 0; i < noption_rows; i++) {
		if (!option_wants_value(&option_rows[i]))
			continue;
		if (option_letter(&option_rows[i]))
			fprintf(out, " -%c", option_letter(&option_rows[i]));
		fprintf(out, " --%s", option_rows[i].argp.name);
	}
	fprintf(out, middle, caches, clients);
	for (size_t i = 0; i < noption_rows; i++)
		if (!option_rows[i].takes)
			print_option(out, &option_rows[i], NULL);
	for (size_t i = 0; i < nverbs; i++)
		print_verb(out, &verbs[i]);
}
