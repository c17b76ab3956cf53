/* Plain libevent: an event a socket, an event a pidfd (watch.c), a timer.  Jobs run between them, a
 * slice of a millisecond at a time, at a lower priority; as sockets that are always busy would starve
 * them, a slice also runs once JOB_PATIENCE has passed without one. */
#include "daemon/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/watch.h"
#include "proto/limits.h"

#define ACCEPTS_PER_WAKEUP 16
#define JOB_PATIENCE	   UINT64_C(10000000) /* ns */
#define SECOND		   UINT64_C(1000000000)

enum { PRIORITY_SOCKETS, PRIORITY_JOBS, PRIORITIES };

struct server {
	struct pool *pool;
	struct event_base *base;
	struct event *accepting, *retry, *signals, *tick, *jobs, *sweep;
	int listener, signals_fd;
	server_signal_fn on_signal;
	void *signal_arg;

	struct session_list silent; /* have not said hello; the oldest first */
	struct session_list speaking;
	struct session_list ended; /* until the loop comes round */
	uint32_t connections;	   /* silent and speaking */
	bool paused;		   /* no descriptors left to accept with */

	struct watches *watches;

	uint64_t sliced_at;
	struct log_limit limit;
	char buffer[PROTO_PACKET_MAX];
};

struct event_base *server_base(struct server *server)
{
	return server->base;
}

struct pool *server_pool(struct server *server)
{
	return server->pool;
}

void *server_buffer(struct server *server)
{
	return server->buffer;
}

bool server_may_log(struct server *server)
{
	return log_allow(&server->limit);
}

struct watches *server_watches(struct server *server)
{
	return server->watches;
}

uint32_t server_connections(const struct server *server)
{
	return server->connections;
}

/* ---------------------------------------------------------------- jobs */

static void run_jobs(struct server *server)
{
	bool more = pool_run(server->pool);

	server->sliced_at = pool_now();
	if (more)
		event_active(server->jobs, EV_TIMEOUT, 0);
}

static void on_jobs(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	run_jobs(arg);
}

void server_jobs(struct server *server)
{
	if (TAILQ_EMPTY(&server->pool->jobs))
		server->sliced_at = pool_now();
	else if (pool_now() - server->sliced_at > JOB_PATIENCE)
		run_jobs(server);
	else
		event_active(server->jobs, EV_TIMEOUT, 0);
}

/* ---------------------------------------------------------------- sessions */

/* The list that a session is in, before it has ended. */
static struct session_list *list_of(struct server *server, const struct session *session)
{
	return session->phase == SESSION_SILENT ? &server->silent : &server->speaking;
}

void server_spoke(struct server *server, struct session *session)
{
	TAILQ_REMOVE(&server->silent, session, link);
	TAILQ_INSERT_TAIL(&server->speaking, session, link);
}

void server_ended(struct server *server, struct session *session)
{
	watch_session_ended(session);
	TAILQ_REMOVE(list_of(server, session), session, link);
	TAILQ_INSERT_TAIL(&server->ended, session, link);
	server->connections--;
	event_active(server->sweep, EV_TIMEOUT, 0);
}

static void free_ended(struct server *server)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&server->ended))) {
		TAILQ_REMOVE(&server->ended, session, link);
		session_free(session);
	}
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	free_ended(arg);
}

/* Those that said nothing for too long. */
static void end_silent(struct server *server)
{
	struct session *session, *next;
	uint64_t now = pool_now();

	for (session = TAILQ_FIRST(&server->silent);
	     session && now - session->accepted >= LIMIT_HELLO_SECONDS * SECOND; session = next) {
		next = TAILQ_NEXT(session, link);
		if (session->busy) /* it has said hello, and we keep it waiting */
			continue;
		if (server_may_log(server))
			log_warning("pid %d, uid %u: said nothing for %d s; its connection ends",
				    session->pid, session->uid, LIMIT_HELLO_SECONDS);
		session_end(session);
	}
}

/* Whoever says nothing can't keep others of his user out: the one that was silent longest makes
 * room for a new one. */
static void bound_silent(struct server *server, uint32_t uid)
{
	struct session *session, *oldest = NULL;
	unsigned n = 0;

	TAILQ_FOREACH (session, &server->silent, link) {
		if (session->uid != uid || session->busy)
			continue;
		if (!oldest)
			oldest = session;
		n++;
	}
	if (n <= LIMIT_SILENT_PER_UID)
		return;
	if (server_may_log(server))
		log_warning(
			"uid %u: more than %d connections that say nothing; the oldest ends (pid "
			"%d)",
			uid, LIMIT_SILENT_PER_UID, oldest->pid);
	session_end(oldest);
}

/* ---------------------------------------------------------------- accepting */

static void pause_accepting(struct server *server, int error)
{
	const struct timeval soon = {.tv_usec = 100000};

	if (!server->paused)
		log_error("no new connections at the moment: %s; raise LimitNOFILE= (ulimit -n) or "
			  "lower "
			  "max-clients",
			  strerror(error));
	server->paused = true;
	event_del(server->accepting);
	event_add(server->retry, &soon);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	event_add(server->accepting, NULL);
}

/* True if there may be another. */
static bool accept_one(struct server *server)
{
	struct session *session;
	int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), r;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(server, errno);
		return errno == ECONNABORTED || errno == EINTR;
	}
	server->paused = false;
	if (server->connections >= LIMIT_CONNECTIONS) {
		if (server_may_log(server))
			log_warning("%d connections, the limit; another was refused",
				    LIMIT_CONNECTIONS);
		close(fd);
		return true;
	}
	r = session_open(&session, server, fd);
	if (r < 0) {
		if (server_may_log(server))
			log_warning("a connection could not be served: %s", strerror(-r));
		return true;
	}
	TAILQ_INSERT_TAIL(&server->silent, session, link);
	server->connections++;
	bound_silent(server, session->uid);
	return true;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	int left = ACCEPTS_PER_WAKEUP;

	(void)fd;
	(void)what;
	while (left-- > 0 && accept_one(arg))
		;
}

/* ---------------------------------------------------------------- signals and time */

static void on_signals(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		server->on_signal(server->signal_arg, (int)info.ssi_signo);
}

static void tick_pool(void *arg)
{
	pool_tick(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	end_silent(server);
	pool_guarded(server->pool, tick_pool, server->pool);
	server_jobs(server);
	server->on_signal(server->signal_arg, 0);
}

/* ---------------------------------------------------------------- life */

static struct event *make(struct server *server, int fd, short what, event_callback_fn fn,
			  int priority)
{
	struct event *event = event_new(server->base, fd, what, fn, server);

	if (event)
		event_priority_set(event, priority);
	return event;
}

static int make_events(struct server *server)
{
	const struct timeval second = {.tv_sec = 1};

	server->base = event_base_new();
	if (!server->base || event_base_priority_init(server->base, PRIORITIES) < 0)
		return -ENOMEM;
	server->accepting = make(server, server->listener, EV_READ | EV_PERSIST, on_connection,
				 PRIORITY_SOCKETS);
	server->retry = make(server, -1, EV_TIMEOUT, on_retry, PRIORITY_SOCKETS);
	server->signals = make(server, server->signals_fd, EV_READ | EV_PERSIST, on_signals,
			       PRIORITY_SOCKETS);
	server->tick = make(server, -1, EV_TIMEOUT | EV_PERSIST, on_tick, PRIORITY_SOCKETS);
	server->sweep = make(server, -1, EV_TIMEOUT, on_sweep, PRIORITY_SOCKETS);
	server->jobs = make(server, -1, EV_TIMEOUT, on_jobs, PRIORITY_JOBS);
	if (!server->accepting || !server->retry || !server->signals || !server->tick ||
	    !server->sweep || !server->jobs)
		return -ENOMEM;
	if (event_add(server->accepting, NULL) < 0 || event_add(server->signals, NULL) < 0 ||
	    event_add(server->tick, &second) < 0)
		return -ENOMEM;
	return 0;
}

int server_open(struct server **ret, struct pool *pool, int listener, int signals,
		server_signal_fn on_signal, void *arg)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->pool = pool;
	server->listener = listener;
	server->signals_fd = signals;
	server->on_signal = on_signal;
	server->signal_arg = arg;
	TAILQ_INIT(&server->silent);
	TAILQ_INIT(&server->speaking);
	TAILQ_INIT(&server->ended);
	r = make_events(server);
	if (r == 0)
		r = watches_open(&server->watches, server);
	if (r < 0) {
		server_close(server);
		return r;
	}
	server_jobs(server);
	*ret = server;
	return 0;
}

int server_run(struct server *server)
{
	return event_base_dispatch(server->base) < 0 ? -EIO : 0;
}

void server_stop(struct server *server)
{
	event_base_loopbreak(server->base);
}

static void end_all(struct session_list *list)
{
	struct session *session;

	while ((session = TAILQ_FIRST(list)))
		session_end(session);
}

void server_close(struct server *server)
{
	struct event *events[] = {server->accepting, server->retry, server->signals,
				  server->tick,	     server->jobs,  server->sweep};

	end_all(&server->silent);
	end_all(&server->speaking);
	free_ended(server);
	watches_close(server->watches);
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (events[i])
			event_free(events[i]);
	if (server->base)
		event_base_free(server->base);
	free(server);
}
