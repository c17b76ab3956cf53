#ifndef EXPORTER_OPTIONS_H
#define EXPORTER_OPTIONS_H

struct options {
	const char *listen;  /* ADDR:PORT */
	const char *address; /* of slabd; NULL: the default */
	unsigned timeout_ms; /* of a scrape */
};

/* Fills *ret, or ends the process: usage errors, --help and --version. */
void options_parse(struct options *ret, int argc, char **argv);

#endif
