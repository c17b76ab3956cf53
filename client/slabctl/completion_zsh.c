/* For zsh: the verb by one _arguments, what stands behind it by another. */
#include "client/slabctl/completion.h"

static const char head[] = "#compdef slabctl\n"
			   "# Completion of slabctl for zsh; made by: slabctl --completion zsh\n"
			   "_slabctl_caches() {\n"
			   "\tlocal -a found\n"
			   "\tfound=(${(f)\"$(%1$s)\"})\n"
			   "\tcompadd -a found\n"
			   "}\n"
			   "_slabctl_clients() {\n"
			   "\tlocal -a found\n"
			   "\tfound=(${(f)\"$(%2$s)\"})\n"
			   "\tcompadd -a found\n"
			   "}\n"
			   "_slabctl_settings() { compadd -S '' -- " SETTINGS " }\n"
			   "_slabctl() {\n"
			   "\tlocal context state state_descr line i\n"
			   "\tlocal -a slabctl_address verbs\n"
			   "\ttypeset -A opt_args\n"
			   "\n"
			   "\tfor ((i = 2; i < CURRENT; i++)); do\n"
			   "\t\tcase $words[i] in\n"
			   "\t\t-a|--address) slabctl_address=(--address $words[i+1]) ;;\n"
			   "\t\t--address=*) slabctl_address=($words[i]) ;;\n"
			   "\t\tesac\n"
			   "\tdone\n"
			   "\tverbs=(\n";

/* Inside '...', and where _arguments takes [ ] and : for its own. */
static void print_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (*text == '[' || *text == ']' || *text == ':')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void print_option(FILE *out, const struct option_row *row)
{
	const struct argp_option *o = &row->argp;
	const char *equals = o->arg ? "=" : "", *joined = o->flags & OPTION_ARG_OPTIONAL ? "-" : "";

	fputs("\t\t\t'", out);
	if (option_letter(row))
		fprintf(out, "(-%c --%s)'{-%c%s,--%s%s}'", option_letter(row), o->name,
			option_letter(row), o->arg ? "+" : "", o->name, equals);
	else
		fprintf(out, "--%s%s%s", o->name, equals, joined);
	fputc('[', out);
	print_quoted(out, o->doc);
	fputc(']', out);
	if (o->arg) {
		fprintf(out, "%s:%s:", *joined ? ":" : "", o->arg);
		if (row->values)
			fprintf(out, "(%s)", row->values);
		else if (option_letter(row) == 'a')
			fputs("_files", out);
	}
	fputs("' \\\n", out);
}

static void print_options(FILE *out, const struct verb *verb)
{
	for (size_t i = 0; i < noption_rows; i++)
		if (option_is_for(&option_rows[i], verb))
			print_option(out, &option_rows[i]);
}

static void print_verb(FILE *out, const struct verb *verb)
{
	static const char *const actions[] = {[PLACE_OTHER] = " ",
					      [PLACE_CACHE] = "_slabctl_caches",
					      [PLACE_CLIENT] = "_slabctl_clients",
					      [PLACE_SETTING] = "_slabctl_settings"};

	fprintf(out, "\t%s)\n\t\t_arguments \\\n", verb->name);
	print_options(out, verb);
	for (unsigned i = 0; i < PLACES_MAX; i++) {
		enum place place = completion_place(verb, i);

		if (place != PLACE_NONE)
			fprintf(out, "\t\t\t'%u:argument:%s' \\\n", i + 1, actions[place]);
	}
	fputs("\t\t\t&& return 0 ;;\n", out);
}

void completion_zsh(FILE *out)
{
	char caches[256], clients[256];

	snprintf(caches, sizeof(caches), LIST_CACHES, "$slabctl_address");
	snprintf(clients, sizeof(clients), LIST_CLIENTS, "$slabctl_address");
	fprintf(out, head, caches, clients);
	for (size_t i = 0; i < nverbs; i++) {
		fprintf(out, "\t\t'%s:", verbs[i].name);
		print_quoted(out, verbs[i].line);
		fputs("'\n", out);
	}
	fputs("\t)\n\t_arguments -C \\\n", out);
	print_options(out, NULL);
	fputs("\t\t\t'1:verb:->verb' '*::argument:->argument' && return 0\n"
	      "\tif [[ $state == verb ]]; then\n"
	      "\t\t_describe verb verbs\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase $words[1] in\n",
	      out);
	for (size_t i = 0; i < nverbs; i++)
		print_verb(out, &verbs[i]);
	fputs("\tesac\n\treturn 1\n}\n_slabctl \"$@\"\n", out);
}
