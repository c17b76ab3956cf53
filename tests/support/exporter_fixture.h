/* A slabd-exporter of the test's own, and a web client that says exactly what it is told to.
 *
 * What the fixture itself can't do ends the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_EXPORTER_FIXTURE_H
#define TESTS_SUPPORT_EXPORTER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* For everything that is waited for; far beyond what it takes. */
#define EXPORTER_PATIENCE_MS 30000

struct exporter {
	pid_t pid;
	unsigned port;
};

/* Starts $SLABD_EXPORTER_BIN on any port of 127.0.0.1, with these options (NULL at the end); slabd is where
 * $SLABD_ADDRESS says. */
void exporter_start(struct exporter *exporter, ...) __attribute__((sentinel));
/* SIGTERM; aborts unless it ends with 0. */
void exporter_stop(struct exporter *exporter);
/* Runs it with exactly these options to its end, NULL at the end: its exit code; what it printed, on both
 * streams, is in text. */
int exporter_run(char *text, size_t bytes, ...) __attribute__((sentinel));

#define WEB_BYTES (1 << 20)

struct web_reply {
	int code; /* 0: closed without an answer */
	size_t bytes;
	char head[4096]; /* status line and headers, each ended by \r\n */
	char body[WEB_BYTES];
};

/* A connection; -1: refused. */
int web_connect(const struct exporter *exporter);
/* Sends the text as it is; the other side may have hung up. */
void web_send(int fd, const char *text);
/* Reads up to the end of the connection, which it closes: valid until the next call. */
const struct web_reply *web_receive(int fd);
/* GET with a header line or two (NULL: none; else each ended by \r\n). */
const struct web_reply *web_get(const struct exporter *exporter, const char *path,
				const char *headers);
/* Is there a header line of this text? */
bool web_has(const struct web_reply *reply, const char *line);

#endif
