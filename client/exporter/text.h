/* The text formats of metrics: OpenMetrics 1.0, and the classic one of Prometheus (0.0.4). */
#ifndef EXPORTER_TEXT_H
#define EXPORTER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum kind {
	KIND_GAUGE,
	KIND_COUNTER, /* its samples end in _total */
	KIND_INFO,    /* its samples end in _info */
	KIND_SUMMARY,
};

struct family {
	const char *name; /* without _total and _info */
	enum kind kind;
	const char *unit; /* "": none; else the name ends in it */
	const char *help;
};

struct label {
	const char *name, *value; /* the value is escaped on its way out */
};

#define LABELS_MAX 3

struct text {
	FILE *to;
	bool openmetrics;
	const struct family *family; /* whose samples follow */
	struct label labels[LABELS_MAX];
	size_t nlabels;
};

/* Begins a family: every one exactly once, its samples right behind it. */
void text_family(struct text *text, const struct family *family);
/* The labels of the samples to come; none after a new family. */
void text_label(struct text *text, size_t at, const char *name, const char *value);
void text_count(struct text *text, uint64_t value);
void text_number(struct text *text, double value);
void text_end(struct text *text);

#endif
