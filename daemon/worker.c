#include "daemon/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/events.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/pool.h"
#include "daemon/server.h"
#include "daemon/stats.h"

struct worker {
	struct options options;
	int keeper;
	bool watched; /* by a service manager */
	struct pool *pool;
	struct server *server;
};

int worker_signals(const int *numbers, unsigned n)
{
	sigset_t all, wanted;
	int fd;

	sigemptyset(&wanted);
	for (unsigned i = 0; i < n; i++) {
		/* an inherited "ignore" would keep it from the signalfd, or children from waitpid */
		signal(numbers[i], SIG_DFL);
		sigaddset(&wanted, numbers[i]);
	}
	all = wanted;
	sigaddset(&all, SIGINT);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void tell(const struct worker *worker, enum keeper_word word)
{
	struct keeper_message message = {.word = word};

	(void)send(worker->keeper, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---------------------------------------------------------------- SIGHUP */

static void say_change(void *arg, const char *key, const char *before, const char *after,
		       bool applies)
{
	(void)arg;
	if (applies)
		log_info("reload: %s is now %s (was %s)", key, after, before);
	else
		log_warning("reload: %s = %s needs a restart; it stays %s", key, after, before);
}

/* Takes over what can change while running; the rest stays as it was at the keeper's start. */
static void apply(struct worker *worker, const struct options *next)
{
	worker->options.max_clients_per_user = next->max_clients_per_user;
	worker->options.log_level = next->log_level;
	log_init(next->log_level);
	worker->pool->max_clients_per_uid = next->max_clients_per_user;
}

static void reload(struct worker *worker)
{
	struct options next = worker->options;
	char error[ERROR_BYTES];
	int r = options_read(&next, error, sizeof(error));

	if (r < 0) {
		log_error("reload: %s; all stays as it was", error);
		return;
	}
	log_info("reload: %s read",
		 next.file[0] ? next.file : "no configuration file; command line");
	options_diff(&worker->options, &next, say_change, NULL);
	apply(worker, &next);
}

/* ---------------------------------------------------------------- SIGUSR1 */

static void say_figures(struct worker *worker)
{
	struct stats s;

	stats_get(worker->pool, &s);
	log_info("figures: up %llu s, %u worker restarts, %u caches of %u, %u clients of %u, %u "
		 "connections",
		 (unsigned long long)(s.uptime_ms / 1000), s.worker_restarts, s.caches,
		 s.max_caches, s.clients, s.max_clients, server_connections(worker->server));
	log_info("figures: heap %llu MiB of %llu MiB backed (%s), %llu MiB counted by the system, "
		 "%llu refills, p99 %llu us%s",
		 (unsigned long long)(s.heap_used_bytes >> 20),
		 (unsigned long long)(s.heap_bytes >> 20), s.backing,
		 (unsigned long long)(s.memory_bytes >> 20), (unsigned long long)s.refills,
		 (unsigned long long)s.refill_wait_us_p99, s.damaged ? ", damaged" : "");
}

/* ---------------------------------------------------------------- life */

static void on_signal(void *arg, int number)
{
	struct worker *worker = arg;

	switch (number) {
	case 0:
		if (worker->watched)
			tell(worker, KEEPER_ALIVE);
		break;
	case SIGTERM:
		tell(worker, KEEPER_STOPPING);
		server_stop(worker->server);
		break;
	case SIGHUP:
		reload(worker);
		tell(worker, KEEPER_READY);
		break;
	case SIGUSR1:
		say_figures(worker);
		break;
	default:
		break;
	}
}

/* What a follower of the events learns of it. */
static void tell_start(const struct worker *worker, const struct worker_setup *setup)
{
	static const struct happening started = {.kind = EVENT_STARTED};
	static const struct happening restarted = {.kind = EVENT_WORKER_RESTARTED};
	static const struct happening fallback = {.kind = EVENT_HUGEPAGES_FALLBACK};
	struct pool *pool = worker->pool;

	if (setup->restarts)
		events_add(pool, &restarted,
			   "worker %d serves after a restart: %u caches and %u clients taken over",
			   (int)getpid(), pool->caches_live, pool->clients_attached);
	else
		events_add(pool, &started, "slabd serves: heap of %llu MiB on %s",
			   (unsigned long long)(pool->segment.heap_bytes >> 20),
			   backing_name(setup->backing->kind));
	if (!setup->restarts && setup->backing->why[0] &&
	    setup->options->backing.hugepages != HUGEPAGES_NEVER)
		events_add(pool, &fallback, "%.200s", setup->backing->why);
}

static void say_hello(const struct worker *worker, const struct worker_setup *setup)
{
	const struct backing *backing = setup->backing;

	if (setup->restarts) {
		log_info("worker %d serves: %u caches and %u clients taken over", (int)getpid(),
			 worker->pool->caches_live, worker->pool->clients_attached);
		return;
	}
	log_info("serving %s: heap of %llu MiB on %s", setup->options->socket,
		 (unsigned long long)(worker->pool->segment.heap_bytes >> 20),
		 backing_name(backing->kind));
	if (backing->adopted)
		log_info("took over a segment of an earlier slabd: %u caches, %u clients",
			 worker->pool->caches_live, worker->pool->clients_attached);
	if (backing->why[0])
		log_info("memory: %s", backing->why);
}

#define SEGMENT "main"

/* Maps what there is.  What another slabd left is looked over first, on a copy: it is taken as a whole
 * or not touched. */
static int open_segment(struct worker *worker, const struct worker_setup *setup, char *why,
			size_t n)
{
	int r = 0;

	if (setup->backing->adopted && !setup->restarts)
		r = pool_rehearse(SEGMENT, setup->backing, why, n);
	return r < 0 ? r : pool_open(&worker->pool, SEGMENT, setup->backing, why, n);
}

static int serve(struct worker *worker, const struct worker_setup *setup, int signals)
{
	char why[WHY_BYTES];
	int r = open_segment(worker, setup, why, sizeof(why));

	if (r < 0) {
		log_error("%s", why);
		return SLABD_EXIT_FAILED;
	}
	pool_set_restarts(worker->pool, setup->restarts);
	worker->pool->max_clients_per_uid = worker->options.max_clients_per_user;
	/* what a reload changed in an earlier worker is in the file alone */
	if (setup->restarts) {
		struct options next = worker->options;

		if (options_read(&next, why, sizeof(why)) == 0)
			apply(worker, &next);
	}
	r = server_open(&worker->server, worker->pool, setup->listener, signals, on_signal, worker);
	if (r < 0) {
		log_error("event loop: %s", strerror(-r));
		pool_close(worker->pool);
		return SLABD_EXIT_FAILED;
	}
	say_hello(worker, setup);
	tell_start(worker, setup);
	tell(worker, KEEPER_READY);
	r = server_run(worker->server);
	server_close(worker->server);
	pool_close(worker->pool);
	return r < 0 ? SLABD_EXIT_FAILED : SLABD_EXIT_OK;
}

int worker_run(const struct worker_setup *setup)
{
	static const int numbers[] = {SIGTERM, SIGHUP, SIGUSR1};
	struct worker worker = {
		.options = *setup->options, .keeper = setup->keeper, .watched = notify_watched()};
	/* SIGINT is the keeper's: a terminal sends it to both */
	int signals = worker_signals(numbers, sizeof(numbers) / sizeof(*numbers)), code;

	if (signals < 0) {
		log_error("signalfd: %s", strerror(-signals));
		return SLABD_EXIT_FAILED;
	}
	code = serve(&worker, setup, signals);
	close(signals);
	return code;
}
