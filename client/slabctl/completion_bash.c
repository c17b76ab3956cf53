/* For bash, whose words are cut at "=" too: "--size=64" comes as three. */
#include "client/slabctl/completion.h"

static const char head[] =
	"# Completion of slabctl for bash; made by: slabctl --completion bash\n"
	"_slabctl()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal verb= arguments=0 value= word words= i\n"
	"\tlocal -a address=()\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\tif [[ $current == '=' ]]; then\n"
	"\t\tcurrent=\n"
	"\telif [[ $previous == '=' ]]; then\n"
	"\t\tprevious=${COMP_WORDS[COMP_CWORD-2]}\n"
	"\tfi\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\t[[ $word == '=' ]] && continue\n"
	"\t\tif [[ -n $value ]]; then\n"
	"\t\t\t[[ $value == address ]] && address=(--address \"$word\")\n"
	"\t\t\tvalue=\n"
	"\t\t\tcontinue\n"
	"\t\tfi\n"
	"\t\t[[ ${COMP_WORDS[i-1]} == '=' ]] && continue\n"
	"\t\tcase $word in\n"
	"\t\t-a|--address) value=address ;;\n";

static const char middle[] =
	"\t\t-*) ;;\n"
	"\t\t*) if [[ -z $verb ]]; then verb=$word; else ((++arguments)); fi ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\n"
	"\tcase $previous in\n"
	"\t-a|--address)\n"
	"\t\tCOMPREPLY=($(compgen -f -- \"$current\"))\n"
	"\t\treturn ;;\n";

static const char tail[] = "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
			   "\t[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null\n"
			   "\treturn 0\n"
			   "}\n"
			   "complete -F _slabctl slabctl\n";

/* "-d|--delay" */
static void print_names(FILE *out, const struct option_row *row)
{
	if (option_letter(row))
		fprintf(out, "-%c|", option_letter(row));
	fprintf(out, "--%s", row->argp.name);
}

/* Those whose value is the next word. */
static void print_valued(FILE *out)
{
	for (size_t i = 0; i < noption_rows; i++) {
		if (!option_wants_value(&option_rows[i]) || option_letter(&option_rows[i]) == 'a')
			continue;
		fputs("\t\t", out);
		print_names(out, &option_rows[i]);
		fputs(") value=other ;;\n", out);
	}
}

static void print_values(FILE *out)
{
	for (size_t i = 0; i < noption_rows; i++) {
		const struct option_row *row = &option_rows[i];

		if (!option_wants_value(row) || option_letter(row) == 'a')
			continue;
		fputs("\t", out);
		print_names(out, row);
		fputs(")\n", out);
		if (row->values)
			fprintf(out, "\t\tCOMPREPLY=($(compgen -W \"%s\" -- \"$current\"))\n",
				row->values);
		fputs("\t\treturn ;;\n", out);
	}
}

static void print_options(FILE *out, const struct verb *verb)
{
	fprintf(out, "\t%s) words=\"", verb ? verb->name : "*");
	for (size_t i = 0; i < noption_rows; i++)
		if (option_is_for(&option_rows[i], verb))
			fprintf(out, "--%s ", option_rows[i].argp.name);
	fputs("\" ;;\n", out);
}

static void print_place(FILE *out, const struct verb *verb, unsigned number)
{
	enum place place = completion_place(verb, number);

	if (place == PLACE_NONE || place == PLACE_OTHER)
		return;
	fprintf(out, "\t%s,%u) words=", verb->name, number);
	if (place == PLACE_SETTING)
		fprintf(out, "'%s'", SETTINGS);
	else
		fprintf(out, place == PLACE_CACHE ? "$(" LIST_CACHES ")" : "$(" LIST_CLIENTS ")",
			"\"${address[@]}\"");
	fputs(" ;;\n", out);
}

void completion_bash(FILE *out)
{
	fputs(head, out);
	print_valued(out);
	fputs(middle, out);
	print_values(out);
	fputs("\tesac\n\n\tif [[ $current == -* ]]; then\n\tcase $verb in\n", out);
	for (size_t i = 0; i < nverbs; i++)
		print_options(out, &verbs[i]);
	print_options(out, NULL);
	fputs("\tesac\n\telse\n\tcase $verb,$arguments in\n\t,0) words=\"", out);
	for (size_t i = 0; i < nverbs; i++)
		fprintf(out, "%s ", verbs[i].name);
	fputs("\" ;;\n", out);
	for (size_t i = 0; i < nverbs; i++)
		for (unsigned place = 0; place < PLACES_MAX; place++)
			print_place(out, &verbs[i], place);
	fputs("\tesac\n\tfi\n", out);
	fputs(tail, out);
}
