/* A round: a storm of so many seconds, and the reckoning: everybody stops, what is still in flight is
 * adopted, orphans are freed, and then nothing may be live, and the audit must balance.  A soak is
 * round after round on one slabd. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/storm/storm.h"

#define STOP_MS	     40000 /* for all clients to end */
#define SEVERAL	     8u	   /* every so many kills several die at once */
#define SEVERAL_MOST 3u
#define SPARED	     4u /* one of so many is killed before it has attached */

/* Every so many ticks a client is stopped, and for so many at most. */
#define STOP_EVERY 16u
#define STOP_TICKS 40u

/* Clients that die with a worker, and how long before it at most. */
#define WITH_WORKER_MOST 5u
#define WITH_WORKER_NS	 2000000u

struct round {
	const struct storm_options *options;
	uint64_t seed, began, longest_call;
	uint64_t longest_gap; /* ms between two ticks: the machine had no time for us */
	uint64_t kills, kills_at_work, stops;
	unsigned stopped[PROCESSES_MAX]; /* ticks until it goes on; 0: it runs */
	pid_t pids[PROCESSES_MAX], killer, watcher;
};

static pid_t start(void)
{
	pid_t self = getpid(), pid = fork();

	if (pid < 0) {
		storm_failed("fork: %s", strerror(errno));
		_exit(1);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(0);
	}
	return pid;
}

/* ---------------------------------------------------------------- clients come and go */

static void spawn(struct round *round, unsigned place)
{
	uint64_t seed = next_random(&round->seed);

	ledger_leave(place);
	round->stopped[place] = 0;
	storm->places[place].call_began = 0;
	storm->places[place].works = false;
	storm->places[place].doomed = false;
	round->pids[place] = start();
	if (round->pids[place] == 0) {
		client_run(place, seed);
		_exit(0);
	}
}

/* How long the call takes that it is in, in ms. */
static void see_call(struct round *round, unsigned place)
{
	uint64_t began = storm->places[place].call_began, now = now_ns() / 1000000;

	if (!began || began > now)
		return;
	if (now - began > round->longest_call)
		round->longest_call = now - began;
	if (now - began > CALL_MS_MOST)
		storm_failed("place %u is in one call since %" PRIu64 " ms", place, now - began);
}

static void bury(struct round *round, unsigned place, int status)
{
	round->pids[place] = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		round->kills++;
	else
		storm_failed("place %u ended by itself, %s %d", place,
			     WIFSIGNALED(status) ? "signal" : "code",
			     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Whoever is doomed dies in its own time: reap() sees it.  On a machine that has much to do most would
 * never get so far as to work. */
static void kill_client(struct round *round, unsigned place)
{
	if (!round->pids[place] || storm->places[place].doomed)
		return;
	if (!storm->places[place].works && next_random(&round->seed) % SPARED)
		return;
	round->kills_at_work += storm->places[place].works;
	see_call(round, place);
	storm->places[place].doomed = true;
	kill(round->pids[place], SIGKILL);
}

/* A stopped client loses nothing, and nobody waits for it; some are killed before they go on. */
static void stop_and_go(struct round *round)
{
	for (unsigned i = 0; i < round->options->processes; i++)
		if (round->stopped[i] && --round->stopped[i] == 0 && round->pids[i])
			kill(round->pids[i], SIGCONT);
	if (next_random(&round->seed) % STOP_EVERY == 0) {
		unsigned i = (unsigned)(next_random(&round->seed) % round->options->processes);

		if (!round->pids[i] || storm->places[i].doomed)
			return;
		kill(round->pids[i], SIGSTOP);
		round->stopped[i] = (unsigned)(next_random(&round->seed) % STOP_TICKS) + 1;
		round->stops++;
	}
}

static void kill_some(struct round *round)
{
	unsigned n = 1;

	if (next_random(&round->seed) % SEVERAL == 0)
		n = (unsigned)(next_random(&round->seed) % SEVERAL_MOST) + 1;
	while (n--)
		kill_client(round,
			    (unsigned)(next_random(&round->seed) % round->options->processes));
}

/* Some die with it, or a moment before: it is killed in the midst of giving back what they held. */
static void kill_worker(struct round *round)
{
	pid_t worker = storm->worker;
	uint64_t until;

	if (!worker)
		return;
	storm->worker = 0;
	for (uint64_t n = next_random(&round->seed) % WITH_WORKER_MOST; n; n--)
		kill_client(round,
			    (unsigned)(next_random(&round->seed) % round->options->processes));
	until = now_ns() + next_random(&round->seed) % WITH_WORKER_NS;
	while (now_ns() < until)
		;
	if (kill(worker, SIGKILL) == 0)
		storm->worker_kills++;
}

static void bury_pid(struct round *round, pid_t pid, int status)
{
	for (unsigned i = 0; i < round->options->processes; i++)
		if (pid == round->pids[i])
			bury(round, i, status);
	if (pid == round->killer)
		round->killer = 0;
	if (pid == round->watcher)
		round->watcher = 0;
	if (pid == slabd_under_test.keeper) {
		storm_violated("slabd ended, status 0x%x", (unsigned)status);
		slabd_under_test.keeper = 0;
	}
}

/* The killed, whoever ended unasked, and children whose clients were killed, which are ours then. */
static void reap(struct round *round)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury_pid(round, pid, status);
}

static void rage(struct round *round, uint64_t seconds)
{
	unsigned ms = round->options->kill_ms;
	struct itimerspec period = {.it_interval = {ms / 1000, (long)(ms % 1000) * 1000000}};
	struct pollfd p = {.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN};
	uint64_t until = round->began + seconds * 1000000000, ticks, last = round->began;

	period.it_value = period.it_interval;
	timerfd_settime(p.fd, 0, &period, NULL);
	for (unsigned i = 0; i < round->options->processes; i++)
		spawn(round, i);
	while (now_ns() < until && !storm->broken && !storm->enough) {
		if (poll(&p, 1, 1000) != 1 || read(p.fd, &ticks, sizeof(ticks)) < 0)
			continue;
		if ((now_ns() - last) / 1000000 > round->longest_gap)
			round->longest_gap = (now_ns() - last) / 1000000;
		last = now_ns();
		reap(round);
		for (unsigned i = 0; i < round->options->processes; i++)
			if (!round->pids[i])
				spawn(round, i);
		stop_and_go(round);
		kill_some(round);
		kill_worker(round);
	}
	close(p.fd);
}

/* ---------------------------------------------------------------- the end of the storm */

static bool join(pid_t pid, int ms)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	bool ended = p.fd >= 0 && poll(&p, 1, ms) == 1;

	if (p.fd >= 0)
		close(p.fd);
	return ended;
}

static void stop_client(struct round *round, unsigned place)
{
	pid_t pid = round->pids[place];
	int status;

	if (!pid)
		return;
	kill(pid, SIGCONT);
	if (!join(pid, STOP_MS)) {
		storm_violated("place %u, pid %d, is stuck", place, (int)pid);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	round->pids[place] = 0;
	round->kills += storm->places[place].doomed;
	if (!storm->places[place].doomed && (!WIFEXITED(status) || WEXITSTATUS(status)))
		storm_failed("place %u ended with status 0x%x", place, (unsigned)status);
}

static void stop_operator(pid_t pid, const char *name)
{
	int status;

	if (!pid)
		return;
	if (!join(pid, STOP_MS)) {
		storm_violated("%s does not end", name);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		storm_failed("%s ended with status 0x%x", name, (unsigned)status);
}

static void calm(struct round *round)
{
	uint64_t one = 1;

	storm->stop = true;
	if (write(storm_stopped, &one, sizeof(one)) < 0)
		storm_failed("eventfd: %s", strerror(errno));
	for (unsigned i = 0; i < round->options->processes; i++)
		stop_client(round, i);
	stop_operator(round->killer, "the killer of workers");
	stop_operator(round->watcher, "the watcher");
	reap(round);
	if (read(storm_stopped, &one, sizeof(one)) < 0)
		storm_failed("eventfd: %s", strerror(errno));
}

/* ---------------------------------------------------------------- the reckoning */

static bool is_quiet(const struct daemon_fixture *d, const void *arg)
{
	struct daemon_audit audit = daemon_audit(d);

	(void)arg;
	return audit.live == 0 && audit.freeing == 0 && daemon_stats(d).clients == 0;
}

static bool is_without_orphans(const struct daemon_fixture *d, const void *arg)
{
	(void)arg;
	storm->orphans_freed += operator_free_orphans();
	return daemon_audit(d).orphaned == 0;
}

/* What is in flight belongs to the dead: orphans are adopted, the reclaimed come too late. */
static void reckon(uint64_t restarts)
{
	const struct daemon_fixture *d = &slabd_under_test;
	struct daemon_stats stats;
	struct daemon_audit audit;

	DAEMON_UNTIL(d, is_quiet, NULL);
	client_drain();
	DAEMON_UNTIL(d, is_quiet, NULL);
	DAEMON_UNTIL(d, is_without_orphans, NULL);
	stats = daemon_stats(d);
	if (stats.damaged)
		storm_violated("slabd says that the segment is damaged");
	if (daemon_logged(d, "writes where it should not"))
		storm_violated("slabd found words that no operation leaves");
	if (stats.worker_restarts != restarts)
		storm_violated("%u restarts of the worker are shown, %" PRIu64 " were kills",
			       stats.worker_restarts, restarts);
	if (operator_shrink_all() < 0)
		storm_violated("slabd did not shrink all caches");
	audit = daemon_audit(d);
	if (audit.objects)
		storm_violated("%" PRIu64 " objects are left after a shrink", audit.objects);
}

/* In a process of its own: the parent of clients is no client, and an audit that fails ends it. */
static void reckon_apart(uint64_t restarts)
{
	pid_t pid = start();
	int status;

	if (pid == 0) {
		reckon(restarts);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		storm_violated("the reckoning failed, status 0x%x; see above", (unsigned)status);
}

/* ---------------------------------------------------------------- a round */

static uint64_t total(enum count kind)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < PROCESSES_MAX; i++)
		n += storm->places[i].counts[kind];
	return n;
}

static void print_line(const struct round *round)
{
	printf("%.0f s: killed %" PRIu64 " clients (%" PRIu64 " at work), %" PRIu64
	       " workers; alloc %" PRIu64 ", free %" PRIu64 ", passed %" PRIu64 ", adopted %" PRIu64
	       ", freed by handle %" PRIu64 ", too late %" PRIu64 ", orphans freed %" PRIu64
	       "; attach %" PRIu64 ", caches %" PRIu64 " (busy %" PRIu64 "), shrink %" PRIu64
	       ", threads %" PRIu64 ", forks %" PRIu64 "; no memory %" PRIu64
	       ", longest call seen %" PRIu64 " ms, longest gap between ticks %" PRIu64
	       " ms; failed calls %" PRIu64 ", lost, doubled or damaged %" PRIu64 "\n",
	       (double)(now_ns() - round->began) / 1e9, round->kills, round->kills_at_work,
	       storm->worker_kills, total(COUNT_ALLOCS), total(COUNT_FREES), total(COUNT_PASSED),
	       total(COUNT_ADOPTED), total(COUNT_FREED_BY_HANDLE), total(COUNT_LATE),
	       storm->orphans_freed, total(COUNT_ATTACHES), total(COUNT_CACHES), total(COUNT_BUSY),
	       total(COUNT_SHRINKS), total(COUNT_THREADS), total(COUNT_FORKS),
	       total(COUNT_NO_MEMORY), round->longest_call, round->longest_gap, storm->failed_calls,
	       storm->violations);
	for (unsigned i = 0; i < storm->failures && i < FAILURES_KEPT; i++)
		printf("\t%s\n", storm->failure[i]);
	fflush(stdout);
}

static void reset(void)
{
	storm->stop = storm->enough = false;
	storm->worker = 0;
	storm->worker_kills = storm->orphans_freed = 0;
	for (unsigned i = 0; i < PROCESSES_MAX; i++)
		memset(storm->places[i].counts, 0, sizeof(storm->places[i].counts));
}

bool round_run(const struct storm_options *options, uint64_t seconds, struct tally *tally)
{
	struct round round = {.options = options, .seed = tally->seed, .began = now_ns()};

	reset();
	if (options->worker_kill_ms || options->worker_kills) {
		round.killer = start();
		if (round.killer == 0) {
			operator_doom_workers(options);
			_exit(0);
		}
	}
	round.watcher = start();
	if (round.watcher == 0) {
		operator_watch();
		_exit(0);
	}
	rage(&round, seconds);
	calm(&round);
	tally->worker_kills += storm->worker_kills;
	if (!storm->broken)
		reckon_apart(tally->worker_kills);
	if (seconds >= 30 && total(COUNT_LATE) == 0)
		storm_violated("no adopt came too late: the storm did not test reclaim");
	tally->kills += round.kills;
	tally->late += total(COUNT_LATE);
	tally->seed = round.seed;
	print_line(&round);
	return storm->failed_calls == 0 && storm->violations == 0;
}
