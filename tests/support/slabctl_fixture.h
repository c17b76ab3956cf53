/* slabctl as a test runs it, and a slabd of the test's own.
 *
 * What the fixture itself can't do ends the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_SLABCTL_FIXTURE_H
#define TESTS_SUPPORT_SLABCTL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ctl_daemon {
	pid_t pid; /* of the keeper */
	char socket[100];
};

/* Starts $SLABD_BIN in the test's own directory and waits until it serves; $SLABD_ADDRESS names it from
 * then on.  options: more words of its command line, NULL at the end; NULL: none. */
void ctl_daemon_start(struct ctl_daemon *daemon, const char *const *options);
/* Ends it by SIGTERM, and waits for it. */
void ctl_daemon_stop(struct ctl_daemon *daemon);
/* Stops keeper and worker, or lets them go on. */
void ctl_daemon_freeze(const struct ctl_daemon *daemon, bool frozen);

/* Kills the worker, and waits until another one serves. */
void ctl_daemon_kill_worker(const struct ctl_daemon *daemon);

/* The one of suites for which any will do: 64 MiB in small pages. */
extern struct ctl_daemon ctl_slabd;
void ctl_slabd_start(void);
void ctl_slabd_stop(void);

#define CTL_OUTPUT_BYTES (512 << 10)

struct ctl_run {
	int code; /* exit code; 128 + n: ended by signal n */
	char out[CTL_OUTPUT_BYTES], error[CTL_OUTPUT_BYTES];
};

/* Did it end with this code, and say why: text and next in a sentence of slabctl on stderr, nothing on
 * stdout?  Prints what differs. */
bool ctl_failed(const struct ctl_run *run, int code, const char *text, const char *next);

/* Runs $SLABCTL_BIN with these words, NULL at the end; stdin is /dev/null.  The result lasts until the
 * next run. */
const struct ctl_run *ctl(const char *first, ...) __attribute__((sentinel));

/* The same with stdout on fd; out stays empty. */
const struct ctl_run *ctl_onto(int fd, const char *first, ...) __attribute__((sentinel));

/* The same on a terminal: answer (NULL: none) is typed when it asks.  All output is in out. */
const struct ctl_run *ctl_on_terminal(const char *answer, const char *first, ...)
	__attribute__((sentinel));

/* One that goes on until it is stopped; what it has printed so far. */
struct ctl_follow {
	pid_t pid;
	int out_fd, error_fd; /* of a terminal: the master, and -1 */
	char out[64 << 10], error[64 << 10];
};

void ctl_follow_start(struct ctl_follow *follow, const char *first, ...) __attribute__((sentinel));
/* Waits until its stdout has this. */
void ctl_follow_until(struct ctl_follow *follow, const char *text);
/* Ends it by SIGINT. */
void ctl_follow_stop(struct ctl_follow *follow);
/* Waits until it ends by itself: its exit code. */
int ctl_follow_end(struct ctl_follow *follow);

/* On a terminal of this size: all that it prints is in out; keys can be typed. */
void ctl_follow_on_terminal(struct ctl_follow *follow, unsigned lines, unsigned columns,
			    const char *first, ...) __attribute__((sentinel));
void ctl_follow_type(struct ctl_follow *follow, const char *keys);
void ctl_follow_resize(struct ctl_follow *follow, unsigned lines, unsigned columns);

extern unsigned ctl_terminal_columns; /* of the terminal; 0: it does not say */

/* As ctl(), and once it has printed this the daemon is frozen, until it has ended. */
const struct ctl_run *ctl_while_frozen(const struct ctl_daemon *daemon, const char *printed,
				       const char *first, ...) __attribute__((sentinel));

#endif
