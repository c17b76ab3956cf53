#include "client/exporter/text.h"

static const char *kind_name(const struct text *text, enum kind kind)
{
	switch (kind) {
	case KIND_COUNTER:
		return "counter";
	case KIND_SUMMARY:
		return "summary";
	case KIND_INFO: /* the classic format knows no info */
		return text->openmetrics ? "info" : "gauge";
	case KIND_GAUGE:
		break;
	}
	return "gauge";
}

static const char *suffix(enum kind kind)
{
	return kind == KIND_COUNTER ? "_total" : kind == KIND_INFO ? "_info" : "";
}

void text_family(struct text *text, const struct family *family)
{
	/* in OpenMetrics a family is named without the suffix of its samples */
	const char *end = text->openmetrics ? "" : suffix(family->kind);

	text->family = family;
	text->nlabels = 0;
	fprintf(text->to, "# HELP %s%s %s\n", family->name, end, family->help);
	fprintf(text->to, "# TYPE %s%s %s\n", family->name, end, kind_name(text, family->kind));
	if (text->openmetrics && *family->unit)
		fprintf(text->to, "# UNIT %s %s\n", family->name, family->unit);
}

void text_label(struct text *text, size_t at, const char *name, const char *value)
{
	text->labels[at] = (struct label){name, value};
	if (at >= text->nlabels)
		text->nlabels = at + 1;
}

/* Both formats are UTF-8; what is not plain ASCII could be anything, so it does not go out. */
static void put_value(FILE *to, const char *value)
{
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '\\' || c == '"')
			fprintf(to, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", to);
		else
			fputc(c < ' ' || c >= 0x7f ? '?' : c, to);
	}
}

static void put_name(struct text *text)
{
	fprintf(text->to, "%s%s", text->family->name, suffix(text->family->kind));
	for (size_t i = 0; i < text->nlabels; i++) {
		fprintf(text->to, "%c%s=\"", i ? ',' : '{', text->labels[i].name);
		put_value(text->to, text->labels[i].value);
		fputc('"', text->to);
	}
	fputs(text->nlabels ? "} " : " ", text->to);
}

void text_count(struct text *text, uint64_t value)
{
	put_name(text);
	fprintf(text->to, "%llu\n", (unsigned long long)value);
}

void text_number(struct text *text, double value)
{
	put_name(text);
	fprintf(text->to, "%.6f\n", value);
}

void text_end(struct text *text)
{
	if (text->openmetrics)
		fputs("# EOF\n", text->to);
}
