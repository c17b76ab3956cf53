/* A slabd of the test's own, in a directory of its own, and what can be asked of it over the wire as
 * any observer may: figures, lists, and the audit that every test which moves objects ends with.
 *
 * No Criterion in here, so that plain programs can use it too.  What the fixture can't do, and an
 * audit that does not balance, end the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_DAEMON_FIXTURE_H
#define TESTS_SUPPORT_DAEMON_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* For everything that is waited for; far beyond what it takes. */
#define DAEMON_PATIENCE_MS 30000

struct daemon_fixture {
	pid_t keeper; /* 0: not running */
	int notify;   /* our end of NOTIFY_SOCKET */
	char directory[64];
	char socket[80];
	char log[80]; /* stderr of keeper and workers, over all starts */
	char notify_path[80];
};

/* Makes the directory.  daemon_start does it too, where it was not done. */
void daemon_prepare(struct daemon_fixture *d);

/* Starts $SLABD_BIN with --socket, --size=64M, then these options (NULL at the end), and waits until it
 * says READY=1. */
void daemon_start(struct daemon_fixture *d, ...) __attribute__((sentinel));

/* Runs it with exactly these options to its end: the exit code, 128 + n for signal n.  What it printed
 * is in the log. */
int daemon_run(struct daemon_fixture *d, ...) __attribute__((sentinel));

/* SIGTERM; aborts unless it ends with 0. */
void daemon_stop(struct daemon_fixture *d);
/* SIGKILL to the keeper; returns when keeper and worker are gone. */
void daemon_kill(struct daemon_fixture *d);

/* The worker's pid at the moment. */
pid_t daemon_worker(const struct daemon_fixture *d);
/* SIGKILL to the worker; returns when another one serves. */
void daemon_kill_worker(const struct daemon_fixture *d);

/* Waits for a datagram on NOTIFY_SOCKET that contains text. */
void daemon_expect_notice(const struct daemon_fixture *d, const char *text);

/* ---------------------------------------------------------------- over the wire */

struct daemon_stats {
	uint32_t caches, clients, worker_restarts, max_caches, max_clients;
	uint64_t heap_bytes, heap_used_bytes, memory_bytes, refills, uptime_ms;
	bool damaged;
	char backing[16];
	int32_t worker;
};

struct daemon_stats daemon_stats(const struct daemon_fixture *d);

/* One cache; false if there is none of this name. */
struct daemon_cache {
	uint64_t objects, live, orphaned, in_magazines, in_slabs, slabs, allocs, frees, serial;
	uint32_t id, clients, magazine, racks, flags;
	bool unlinked;
};

bool daemon_cache(const struct daemon_fixture *d, const char *name, struct daemon_cache *ret);

/* One client, by its process; false if it is none. */
struct daemon_client {
	uint32_t id, threads;
	uint64_t live, in_magazines;
	char state[16];
};

bool daemon_client(const struct daemon_fixture *d, pid_t pid, struct daemon_client *ret);

/* All caches together. */
struct daemon_audit {
	uint64_t objects, in_slabs, in_magazines, live, orphaned, freeing, moving;
};

/* Audits until one was exact and nothing was moving; aborts unless it balances, with nothing lost or
 * doubled. */
struct daemon_audit daemon_audit(const struct daemon_fixture *d);
/* The same while clients are in the middle of operations. */
struct daemon_audit daemon_audit_at_work(const struct daemon_fixture *d);

/* Asks until condition holds; aborts after DAEMON_PATIENCE_MS. */
void daemon_until(const struct daemon_fixture *d,
		  bool (*condition)(const struct daemon_fixture *d, const void *arg),
		  const void *arg, const char *what);
#define DAEMON_UNTIL(d, condition, arg) daemon_until(d, condition, arg, #condition)

/* ---------------------------------------------------------------- its log */

bool daemon_logged(const struct daemon_fixture *d, const char *text);
/* Waits until it is logged. */
void daemon_expect_log(const struct daemon_fixture *d, const char *text);

#endif
