/* The keeper's whole life: make the place and the memory, fork a worker, wait for signals.
 *
 * One worker at a time: the next is forked after the last was waited for.  A worker does not outlive
 * its keeper (PR_SET_PDEATHSIG), and until both are gone the lock is held, as they share its open
 * file description.  A stopped worker is left alone: it lives, and clients go on from magazines and
 * depot; only a keeper that is told to end continues it, and kills it when it does not end.  A service
 * manager's watchdog sees further: it hears of us only while workers come round or follow each other, and
 * ends both when that stops. */
#include "daemon/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/backing.h"
#include "daemon/handoff.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/store.h"
#include "daemon/worker.h"
#include "shm/layout.h"
#include "shm/probe.h"

#define QUICK_MS       500 /* a worker that lived no longer is part of a crash loop */
#define DELAY_FIRST_MS 100
#define DELAY_MOST_MS  5000
#define STOP_MS	       5000 /* from SIGTERM to SIGKILL */

struct keeper {
	const struct options *options;
	struct backing backing;
	char program[512];  /* what the next worker runs, if not this process's own code */
	bool other_program; /* it does */
	bool upgrading;	    /* the worker was told to end for it */
	bool worker_ready;
	int lock, listener, signals, channel;
	pid_t worker; /* 0: none at the moment */
	unsigned restarts;
	uint64_t started; /* ms, as all below */
	uint64_t delay;
	uint64_t restart_at; /* 0: no restart is due */
	uint64_t kill_at;    /* 0: not stopping */
	bool ready;	     /* a worker has served */
	bool stopping;
	bool worker_stopping;
	bool done;
	bool socket_is_given; /* by the service manager, who keeps it */
	bool watched;	      /* it wants to hear that all is well */
	enum slabd_exit code;
};

static void unlink_socket(const struct keeper *keeper)
{
	if (!keeper->socket_is_given)
		unlink(keeper->options->socket);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void notify_reloading(void)
{
	char text[96];
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
	notify_send(text);
}

static void notify_alive(const struct keeper *keeper)
{
	if (keeper->watched)
		notify_send("WATCHDOG=1");
}

/* ---------------------------------------------------------------- the worker's birth and death */

static void be_worker(struct keeper *keeper, int channel, pid_t parent)
{
	struct worker_setup setup = {.options = keeper->options,
				     .backing = &keeper->backing,
				     .listener = keeper->listener,
				     .keeper = channel,
				     .lock = keeper->lock,
				     .restarts = keeper->restarts};

	/* the keeper may have died before this took effect */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(SLABD_EXIT_FAILED);
	prctl(PR_SET_NAME, "slabd-worker");
	close(keeper->signals);
	if (keeper->other_program) {
		int r = handoff_exec(keeper->program, keeper->options->argv, &setup);

		log_error("%s: %s", keeper->program, strerror(-r));
		_exit(SLABD_EXIT_FAILED);
	}
	exit(worker_run(&setup));
}

static int start_worker(struct keeper *keeper)
{
	pid_t parent = getpid();
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	keeper->worker = fork();
	if (keeper->worker == 0) {
		close(pair[0]);
		be_worker(keeper, pair[1], parent);
	}
	r = keeper->worker < 0 ? -errno : 0;
	close(pair[1]);
	if (r < 0) {
		keeper->worker = 0;
		close(pair[0]);
		return r;
	}
	keeper->channel = pair[0];
	keeper->started = now_ms();
	keeper->restart_at = 0;
	keeper->worker_stopping = false;
	keeper->worker_ready = false;
	notify_alive(keeper); /* a recovery has the whole period */
	return 0;
}

/* At once after a long life; with growing patience when they die one after the other. */
static void plan_restart(struct keeper *keeper, uint64_t lived)
{
	if (lived >= QUICK_MS)
		keeper->delay = 0;
	keeper->restart_at = now_ms() + keeper->delay;
	if (!keeper->delay)
		keeper->delay = DELAY_FIRST_MS;
	else if (keeper->delay * 2 < DELAY_MOST_MS)
		keeper->delay *= 2;
	else
		keeper->delay = DELAY_MOST_MS;
}

static void say_death(const struct keeper *keeper, pid_t pid, int status, uint64_t lived)
{
	char how[96], when[64] = "at once";
	uint64_t now = now_ms();

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended with exit code %d", WEXITSTATUS(status));
	if (keeper->restart_at > now)
		snprintf(when, sizeof(when), "in %llu ms",
			 (unsigned long long)(keeper->restart_at - now));
	log_warning(
		"worker %d %s after %llu.%03llu s; the next one starts %s (restart %u). Clients go "
		"on meanwhile",
		(int)pid, how, (unsigned long long)(lived / 1000),
		(unsigned long long)(lived % 1000), when, keeper->restarts);
}

static void close_channel(struct keeper *keeper)
{
	if (keeper->channel >= 0)
		close(keeper->channel);
	keeper->channel = -1;
}

static void on_death(struct keeper *keeper, int status)
{
	uint64_t lived = now_ms() - keeper->started;
	pid_t pid = keeper->worker;

	keeper->worker = 0;
	close_channel(keeper);
	if (keeper->stopping) {
		keeper->done = true;
		return;
	}
	if (!keeper->ready && WIFEXITED(status)) { /* it has said why */
		keeper->code = WEXITSTATUS(status) ? (enum slabd_exit)WEXITSTATUS(status)
						   : SLABD_EXIT_FAILED;
		keeper->done = true;
		return;
	}
	keeper->restarts++;
	if (keeper->other_program && !keeper->worker_ready && !keeper->upgrading) {
		log_error("%s can't serve this segment; the next worker is of the old binary",
			  keeper->program);
		keeper->other_program = false;
	}
	plan_restart(keeper, keeper->upgrading ? QUICK_MS : lived);
	keeper->upgrading = false;
	PROBE3(worker__restart, pid, status, keeper->restarts);
	say_death(keeper, pid, status, lived);
}

/* ---------------------------------------------------------------- what happens */

static void on_ready(struct keeper *keeper)
{
	char text[256];

	keeper->ready = true;
	keeper->worker_ready = true;
	if (keeper->restarts)
		snprintf(text, sizeof(text),
			 "READY=1\nSTATUS=serving %s, worker restarted %u times",
			 keeper->options->socket, keeper->restarts);
	else
		snprintf(text, sizeof(text), "READY=1\nSTATUS=serving %s", keeper->options->socket);
	notify_send(text);
}

static void on_message(struct keeper *keeper)
{
	struct keeper_message message;
	ssize_t n = recv(keeper->channel, &message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);

	if (n != sizeof(message))
		return;
	if (message.word == KEEPER_READY && !keeper->stopping)
		on_ready(keeper);
	else if (message.word == KEEPER_ALIVE)
		notify_alive(keeper);
	else if (message.word == KEEPER_STOPPING)
		keeper->worker_stopping = true;
}

static void stop(struct keeper *keeper, int number)
{
	if (keeper->stopping)
		return;
	log_info("%s: ending", number == SIGINT ? "interrupted" : "told to end");
	notify_send("STOPPING=1\nSTATUS=ending");
	keeper->stopping = true;
	keeper->kill_at = now_ms() + STOP_MS;
	unlink_socket(keeper);
	if (!keeper->worker) {
		keeper->done = true;
		return;
	}
	kill(keeper->worker, SIGTERM);
	kill(keeper->worker, SIGCONT); /* a stopped worker ends too */
}

/* Another binary lies where this one was started from: the next worker is of that one. */
static void upgrade(struct keeper *keeper)
{
	int layout = keeper->program[0] ? handoff_layout(keeper->program) : -ENOENT;

	if (layout < 0) {
		log_error("upgrade: %s does not tell its layout (%s); all stays as it was",
			  keeper->program, strerror(-layout));
		return;
	}
	if (layout != (int)SLABD_LAYOUT_VERSION) {
		log_error("upgrade: %s has layout %d, the segment has layout %u; restart slabd "
			  "with a new segment instead",
			  keeper->program, layout, SLABD_LAYOUT_VERSION);
		return;
	}
	log_info("upgrade: the next worker runs %s", keeper->program);
	keeper->other_program = true;
	if (!keeper->worker)
		return;
	keeper->upgrading = true;
	kill(keeper->worker, SIGTERM);
}

static void on_signal(struct keeper *keeper, uint32_t number)
{
	int status;

	switch (number) {
	case SIGTERM:
	case SIGINT:
		stop(keeper, (int)number);
		break;
	case SIGHUP:
		if (keeper->worker && keeper->ready) {
			notify_reloading();
			kill(keeper->worker, SIGHUP);
		}
		break;
	case SIGUSR1:
		if (keeper->worker)
			kill(keeper->worker, SIGUSR1);
		break;
	case SIGUSR2:
		if (!keeper->stopping)
			upgrade(keeper);
		break;
	case SIGCHLD:
		if (keeper->worker && waitpid(keeper->worker, &status, WNOHANG) == keeper->worker)
			on_death(keeper, status);
		break;
	default:
		break;
	}
}

static void on_time(struct keeper *keeper, uint64_t now)
{
	int r;

	if (keeper->restart_at && now >= keeper->restart_at && !keeper->stopping) {
		r = start_worker(keeper);
		if (r < 0) {
			log_error("no new worker: %s; trying again in %u ms", strerror(-r),
				  DELAY_MOST_MS);
			keeper->restart_at = now + DELAY_MOST_MS;
		}
	}
	if (keeper->kill_at && now >= keeper->kill_at && keeper->worker) {
		log_warning("worker %d did not end within %u ms: killed", (int)keeper->worker,
			    STOP_MS);
		kill(keeper->worker, SIGKILL);
		keeper->kill_at = now + STOP_MS;
	}
}

static int wait_ms(const struct keeper *keeper)
{
	uint64_t at = keeper->stopping ? keeper->kill_at : keeper->restart_at, now = now_ms();

	if (!at)
		return -1;
	return at > now ? (int)(at - now) : 0;
}

static void loop(struct keeper *keeper)
{
	while (!keeper->done) {
		struct pollfd fds[] = {{.fd = keeper->signals, .events = POLLIN},
				       {.fd = keeper->channel, .events = POLLIN}};
		struct signalfd_siginfo info;

		if (poll(fds, 2, wait_ms(keeper)) < 0 && errno != EINTR) {
			log_error("poll: %s", strerror(errno));
			keeper->code = SLABD_EXIT_FAILED;
			stop(keeper, SIGTERM);
		}
		if (fds[1].revents & POLLIN)
			on_message(keeper);
		else if (fds[1].revents) /* its end is closed: SIGCHLD says the rest */
			close_channel(keeper);
		if (read(keeper->signals, &info, sizeof(info)) == sizeof(info))
			on_signal(keeper, info.ssi_signo);
		on_time(keeper, now_ms());
	}
}

/* ---------------------------------------------------------------- setting up */

static enum slabd_exit exit_code(int r)
{
	switch (r) {
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return SLABD_EXIT_PERMISSION;
	case -EADDRINUSE:
	case -EBUSY:
		return SLABD_EXIT_TAKEN;
	case -EINVAL:
		return SLABD_EXIT_USAGE;
	default:
		return SLABD_EXIT_FAILED;
	}
}

/* Two descriptors for each client: its socket, its pidfd. */
static void raise_files(const struct options *options)
{
	struct rlimit limit;
	rlim_t need = options_files(options);

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < need)
		log_warning(
			"%llu open files allowed, %llu needed for max-clients=%u; raise the hard "
			"limit (ulimit -Hn, LimitNOFILE=) or lower max-clients",
			(unsigned long long)limit.rlim_max, (unsigned long long)need,
			options->backing.max_clients);
}

/* The regions: those that the service manager kept, or files, or new ones. */
static int make_memory(struct keeper *keeper, const struct backing *kept, char *error, size_t n)
{
	struct backing_options wanted = options_backing(keeper->options);
	int r;

	if (kept->heap >= 0 && !wanted.directory)
		return backing_adopt(&keeper->backing, kept, &wanted, error, n);
	r = backing_make(&keeper->backing, &wanted, error, n);
	if (r == 0 && !wanted.directory)
		store_keep(&keeper->backing);
	return r;
}

static enum slabd_exit setup(struct keeper *keeper)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
	const struct options *options = keeper->options;
	struct backing kept;
	char error[ERROR_BYTES];
	int r = listen_directory(options->socket, error, sizeof(error));

	store_take(&kept, &keeper->listener);
	keeper->socket_is_given = keeper->listener >= 0;
	if (handoff_program(keeper->program, sizeof(keeper->program)) < 0)
		keeper->program[0] = 0;
	if (r == 0)
		r = keeper->lock = listen_lock(options->socket, error, sizeof(error));
	if (r >= 0 && keeper->listener < 0)
		r = keeper->listener = listen_open(options->socket, error, sizeof(error));
	if (r < 0) {
		log_error("%s", error);
		return exit_code(r);
	}
	r = make_memory(keeper, &kept, error, sizeof(error));
	if (r < 0) {
		log_error("%s", error);
		unlink_socket(keeper);
		return r == -ENOMEM && options->backing.hugepages == HUGEPAGES_REQUIRE
			       ? SLABD_EXIT_HUGEPAGES
			       : exit_code(r);
	}
	raise_files(options);
	r = keeper->signals = worker_signals(numbers, sizeof(numbers) / sizeof(*numbers));
	if (r >= 0)
		r = start_worker(keeper);
	if (r >= 0)
		return SLABD_EXIT_OK;
	log_error("no worker: %s", strerror(-r));
	unlink_socket(keeper);
	return SLABD_EXIT_FAILED;
}

enum slabd_exit keeper_run(const struct options *options)
{
	struct keeper keeper = {.options = options,
				.backing = {.state = -1, .catalog = -1, .depot = -1, .heap = -1},
				.lock = -1,
				.listener = -1,
				.signals = -1,
				.channel = -1,
				.watched = notify_watched()};

	keeper.code = setup(&keeper);
	if (keeper.code == SLABD_EXIT_OK) {
		loop(&keeper);
		unlink_socket(&keeper);
	}
	backing_close(&keeper.backing);
	if (keeper.listener >= 0)
		close(keeper.listener);
	if (keeper.signals >= 0)
		close(keeper.signals);
	if (keeper.lock >= 0)
		close(keeper.lock);
	return keeper.code;
}
