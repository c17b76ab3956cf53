/* A process that ends is told of by its pidfd: then what its client held is given back.  Killing one on
 * somebody's behalf is waiting for the same. */
#include "daemon/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <event2/event.h>

#include "daemon/clients.h"
#include "daemon/dispatch.h"
#include "daemon/log.h"
#include "daemon/peer.h"
#include "daemon/session.h"

/* A client of the pool: its process, and the session through which it talks. */
struct watch {
	struct server *server;
	uint32_t client;
	int pidfd; /* -1: not watched */
	struct event *event;
	struct session *session;
	struct session *evictor; /* whoever had it killed, and waits */
};

struct watches {
	uint32_t n;
	struct watch by_client[];
};

static struct watch *watch_of(const struct session *session)
{
	return &server_watches(session->server)->by_client[session->client];
}

/* ---------------------------------------------------------------- death */

/* One client that this session had killed is gone. */
static void evict_one(struct session *session)
{
	static const struct result done = {0};

	if (--session->evicting == 0 && session->busy)
		dispatch_evicted(session, session->evicted, &done);
}

static void stop_watching(struct watch *watch)
{
	if (watch->event)
		event_free(watch->event);
	if (watch->pidfd >= 0)
		close(watch->pidfd);
	watch->event = NULL;
	watch->pidfd = -1;
}

/* The session that talked for this client may not do so any more. */
static void unbind(struct watch *watch)
{
	struct session *session = watch->session;

	watch->session = NULL;
	if (session)
		session_end(session);
}

/* All that it held is back. */
static void on_reclaimed(void *arg, const struct result *result)
{
	struct watch *watch = arg;
	struct session *evictor = watch->evictor;

	(void)result;
	watch->evictor = NULL;
	if (evictor)
		evict_one(evictor);
}

static void client_died(void *arg)
{
	struct watch *watch = arg;

	clients_died(server_pool(watch->server), watch->client, on_reclaimed, watch);
}

static void on_death(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	struct server *server = watch->server;

	(void)fd;
	(void)what;
	stop_watching(watch);
	unbind(watch); /* a forked child may hold the socket open */
	if (pool_guarded(server_pool(server), client_died, watch) < 0)
		job_forget(server_pool(server), watch);
	server_jobs(server);
}

static int watch_process(struct watch *watch, int pidfd)
{
	stop_watching(watch);
	watch->pidfd = pidfd;
	watch->event =
		event_new(server_base(watch->server), pidfd, EV_READ | EV_PERSIST, on_death, watch);
	if (watch->event && event_add(watch->event, NULL) == 0)
		return 0;
	stop_watching(watch);
	return -ENOMEM;
}

int watch_client(struct session *session, int pidfd)
{
	struct watch *watch = watch_of(session);

	if (watch->session != session)
		unbind(watch);
	watch->session = session;
	return pidfd >= 0 ? watch_process(watch, pidfd) : 0;
}

void watch_stop(struct session *session)
{
	struct watch *watch = watch_of(session);

	if (watch->session != session)
		return;
	watch->session = NULL;
	stop_watching(watch);
}

void watch_session_ended(struct session *session)
{
	struct watches *watches = server_watches(session->server);
	struct watch *watch = watch_of(session);

	if (session->phase == SESSION_ATTACHED && watch->session == session) {
		watch->session = NULL;
		clients_linger(session->pool, session->client);
	}
	for (uint32_t id = 0; id < watches->n && session->evicting; id++)
		if (watches->by_client[id].evictor == session)
			watches->by_client[id].evictor = NULL;
}

/* ---------------------------------------------------------------- eviction */

/* May this user have that client's process killed? */
static bool may_evict(const struct session *session, const struct client_record *record)
{
	return session->uid == 0 || session->uid == geteuid() || session->uid == record->uid;
}

/* By pidfd, so that no other process which got the pid meanwhile is hit. */
static int evict_client(struct watch *watch, struct session *session)
{
	const struct client_record *record =
		clients_record(server_pool(watch->server), watch->client);

	if (!may_evict(session, record) || watch->pidfd < 0)
		return -EPERM;
	if (syscall(SYS_pidfd_send_signal, watch->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	if (watch->evictor) /* somebody else waits for it too: he is told, this one at once */
		return 1;
	watch->evictor = session;
	session->evicting++;
	return 0;
}

void watch_evict(struct session *session, int32_t pid)
{
	struct watches *watches = server_watches(session->server);
	struct result result = {0};

	session->evicting = 0;
	session->evicted = 0;
	for (uint32_t id = PARTY_FIRST; id < watches->n && result.status == 0; id++) {
		int r;

		if (!clients_is_attached(session->pool, id) ||
		    clients_record(session->pool, id)->pid != pid)
			continue;
		session->evicted++;
		r = evict_client(&watches->by_client[id], session);
		if (r >= 0)
			continue;
		result.status = r;
		snprintf(result.why, sizeof(result.why),
			 "pid %d: user %u may not have it killed, or slabd (user %u) may not kill "
			 "it",
			 pid, session->uid, geteuid());
	}
	if (!session->evicted) {
		result.status = -ESRCH;
		snprintf(result.why, sizeof(result.why), "pid %d is no client; see slabctl clients",
			 pid);
	}
	if (result.status < 0 || !session->evicting)
		dispatch_evicted(session, session->evicted, &result);
}

/* ---------------------------------------------------------------- life */

/* A client that an earlier worker knew. */
static void rewatch(void *arg, uint32_t client, int32_t pid)
{
	struct watches *watches = arg;
	struct watch *watch = &watches->by_client[client];
	struct pool *pool = server_pool(watch->server);
	int fd = peer_open(pid, clients_record(pool, client)->start_time);

	if (fd >= 0 && watch_process(watch, fd) == 0)
		return;
	if (fd == -ESRCH)
		pool_guarded(pool, client_died, watch);
	else
		log_error("client %u, pid %d: its process can't be watched: %s", client, pid,
			  strerror(fd < 0 ? -fd : ENOMEM));
}

int watches_open(struct watches **ret, struct server *server)
{
	struct pool *pool = server_pool(server);
	uint32_t n = pool->segment.max_clients + PARTY_FIRST;
	struct watches *watches = calloc(1, sizeof(*watches) + n * sizeof(*watches->by_client));

	if (!watches)
		return -ENOMEM;
	watches->n = n;
	for (uint32_t i = 0; i < n; i++)
		watches->by_client[i] = (struct watch){.server = server, .client = i, .pidfd = -1};
	*ret = watches;
	clients_each(pool, rewatch, watches);
	return 0;
}

void watches_close(struct watches *watches)
{
	for (uint32_t i = 0; watches && i < watches->n; i++)
		stop_watching(&watches->by_client[i]);
	free(watches);
}
