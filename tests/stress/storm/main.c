/* slabd-storm: arguments, and what every part of it uses. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/stress/storm/storm.h"

#define ROUND_SECONDS 60u

struct storm *storm;
struct daemon_fixture slabd_under_test;
int storm_stopped;

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t next_random(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ---------------------------------------------------------------- what went wrong */

static void __attribute__((format(printf, 1, 0))) note(const char *format, va_list args)
{
	uint32_t i = storm->failures++;
	char text[sizeof(storm->failure[0])];
	int n;

	if (i >= FAILURES_KEPT)
		return;
	n = snprintf(text, sizeof(text), "at %.3f s, pid %d: ", (double)now_ns() / 1e9,
		     (int)getpid());
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	memcpy(storm->failure[i], text, sizeof(text));
}

void storm_failed(const char *format, ...)
{
	va_list args;

	storm->failed_calls++;
	va_start(args, format);
	note(format, args);
	va_end(args);
}

void storm_violated(const char *format, ...)
{
	va_list args;

	storm->violations++;
	va_start(args, format);
	note(format, args);
	va_end(args);
	storm->broken = true;
}

/* ---------------------------------------------------------------- arguments */

enum { KEY_WORKER_KILL_MS = 256, KEY_WORKER_KILLS, KEY_RECOVERY, KEY_HOLD };

struct arguments {
	struct storm_options storm;
	unsigned recoveries;
	bool hold;
};

static const struct argp_option rows[] = {
	{"seconds", 's', "N", 0, "One storm of N seconds (30)", 0},
	{"hours", 'h', "N", 0, "A minute's storm after the other, for N hours; a line each", 0},
	{"seed", 'r', "N", 0, "Repeats the draws of a run; it is printed", 0},
	{"processes", 'p', "N", 0, "Client processes (8)", 0},
	{"kill-ms", 'k', "N", 0, "A client is killed every N ms (4)", 0},
	{"worker-kill-ms", KEY_WORKER_KILL_MS, "N", 0,
	 "The worker is killed every N ms (1000); 0: not at all", 0},
	{"worker-kills", KEY_WORKER_KILLS, "N", 0,
	 "Ends after N kills of workers; with --worker-kill-ms 0 each is killed as soon as it "
	 "serves",
	 0},
	{"measure-recovery", KEY_RECOVERY, "RUNS", OPTION_ARG_OPTIONAL,
	 "Instead: time from a SIGKILL to the last of 10,000 objects back (100 runs)", 0},
	{"hold", KEY_HOLD, NULL, 0, "After a failure slabd is left running until a key is pressed",
	 0},
	{0},
};

static error_t on_argument(int key, char *text, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct storm_options *o = &a->storm;
	uint64_t n = text ? strtoull(text, NULL, 0) : 0;

	switch (key) {
	case 's':
		o->seconds = n;
		break;
	case 'h':
		o->hours = strtod(text, NULL);
		break;
	case 'r':
		o->seed = n;
		break;
	case 'p':
		o->processes = (unsigned)n;
		break;
	case 'k':
		o->kill_ms = (unsigned)n;
		break;
	case KEY_WORKER_KILL_MS:
		o->worker_kill_ms = (unsigned)n;
		break;
	case KEY_WORKER_KILLS:
		o->worker_kills = n;
		o->seconds = UINT32_MAX;
		break;
	case KEY_RECOVERY:
		a->recoveries = text ? (unsigned)n : 100;
		break;
	case KEY_HOLD:
		a->hold = true;
		break;
	case ARGP_KEY_END:
		if (o->processes < 1 || o->processes >= PROCESSES_MAX || o->kill_ms < 1)
			argp_error(state, "1 to %u processes, and at least 1 ms between kills",
				   PROCESSES_MAX - 1);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---------------------------------------------------------------- life */

static void prepare(void)
{
	void *p = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	storm_stopped = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p == MAP_FAILED || storm_stopped < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		perror("slabd-storm");
		exit(2);
	}
	storm = p;
	/* that a machine is busy is no failed call; how long the longest took is told apart */
	setenv("SLABD_TIMEOUT_MS", "60000", 0);
	/* few client ids, so that they are used again and again */
	daemon_start(&slabd_under_test, "--size=256M", "--set", "log-level=warning", "--set",
		     "max-clients=512", NULL);
}

static void hold(void)
{
	char key;

	printf("slabd is left running: socket %s, log %s\n", slabd_under_test.socket,
	       slabd_under_test.log);
	fflush(stdout);
	if (read(STDIN_FILENO, &key, 1) < 0)
		perror("read");
}

static bool run_storm(const struct storm_options *options)
{
	struct tally tally = {.seed = options->seed};
	uint64_t until = now_ns() + (uint64_t)(options->hours * 3600e9);
	bool fine;

	printf("seed %" PRIu64 ", %u processes, a client killed every %u ms, the worker every %u "
	       "ms\n",
	       options->seed, options->processes, options->kill_ms, options->worker_kill_ms);
	fflush(stdout);
	do
		fine = round_run(options, options->hours > 0 ? ROUND_SECONDS : options->seconds,
				 &tally);
	while (fine && now_ns() < until);
	printf("%s: %" PRIu64 " kills of clients, %" PRIu64 " of workers, %" PRIu64
	       " adopts came too late; %" PRIu64 " failed calls, %" PRIu64
	       " lost, doubled or damaged\n",
	       fine ? "passed" : "FAILED", tally.kills, tally.worker_kills, tally.late,
	       storm->failed_calls, storm->violations);
	return fine;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = rows,
		.parser = on_argument,
		.doc = "Kills clients and workers of a slabd of its own ($SLABD_BIN) while they "
		       "work, and counts what that costs: nothing may be lost, nothing doubled."};
	struct arguments a = {.storm = {.seconds = 30,
					.processes = 8,
					.kill_ms = 4,
					.worker_kill_ms = 1000,
					.seed = now_ns() % 1000000007}};
	bool fine;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	prepare();
	fine = a.recoveries ? recovery_measure(a.recoveries) : run_storm(&a.storm);
	if (!fine && a.hold)
		hold();
	if (slabd_under_test.keeper)
		daemon_stop(&slabd_under_test);
	return fine ? 0 : 1;
}
