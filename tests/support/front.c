#include "tests/support/front.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/dispatch.h"
#include "daemon/watch.h"
#include "proto/limits.h"

#define CLIENTS 64u
#define PEERS	16u

struct server {
	struct pool *pool;
	struct event_base *base;
	struct session_list ended; /* until nobody is in the middle of one */
	struct front_peer *peers[PEERS];
	struct watch {
		struct session *session;
		int pidfd;
	} watches[CLIENTS]; /* by client id */
	char buffer[PROTO_PACKET_MAX];
};

static void must(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "front: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---------------------------------------------------------------- what sessions ask of a server */

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
	(void)server;
	return true;
}

void server_jobs(struct server *server)
{
	(void)server;
}

void server_spoke(struct server *server, struct session *session)
{
	(void)server;
	(void)session;
}

static void stop_watching(struct watch *watch)
{
	if (watch->pidfd >= 0)
		close(watch->pidfd);
	watch->pidfd = -1;
}

static void unbind(struct watch *watch)
{
	struct session *session = watch->session;

	watch->session = NULL;
	if (!session)
		return;
	for (unsigned i = 0; i < PEERS; i++)
		if (session->server->peers[i] && session->server->peers[i]->session == session)
			session->server->peers[i]->unbound = true;
	session_end(session);
}

int watch_client(struct session *session, int pidfd)
{
	struct watch *watch = &session->server->watches[session->client];

	if (watch->session != session)
		unbind(watch);
	watch->session = session;
	if (pidfd >= 0) {
		stop_watching(watch);
		watch->pidfd = pidfd;
	}
	return 0;
}

void watch_stop(struct session *session)
{
	struct watch *watch = &session->server->watches[session->client];

	if (watch->session != session)
		return;
	watch->session = NULL;
	stop_watching(watch);
}

/* Both ends of it are over. */
static void forget(struct server *server, unsigned i)
{
	if (server->peers[i]->fd < 0 && !server->peers[i]->session)
		server->peers[i] = NULL;
}

void server_ended(struct server *server, struct session *session)
{
	struct watch *watch = &server->watches[session->client];

	if (session->phase == SESSION_ATTACHED && watch->session == session) {
		watch->session = NULL;
		clients_linger(server->pool, session->client);
	}
	TAILQ_INSERT_TAIL(&server->ended, session, link);
	for (unsigned i = 0; i < PEERS; i++)
		if (server->peers[i] && server->peers[i]->session == session) {
			server->peers[i]->session = NULL;
			forget(server, i);
		}
}

/* Nobody is told of this death: the process is the test's own, and lives. */
static void die(struct server *server, uint32_t client)
{
	struct watch *watch = &server->watches[client];

	stop_watching(watch);
	unbind(watch);
	clients_died(server->pool, client, NULL, NULL);
}

/* Each may have himself killed, and nobody else. */
void watch_evict(struct session *session, int32_t pid)
{
	struct server *server = session->server;
	struct result result = {0};
	uint32_t evicted = 0;

	for (uint32_t id = PARTY_FIRST; id < CLIENTS; id++) {
		if (!clients_is_attached(server->pool, id) ||
		    clients_record(server->pool, id)->pid != pid)
			continue;
		evicted++;
		if (pid == session->pid)
			die(server, id);
	}
	if (!evicted)
		result = (struct result){-ESRCH, "no client"};
	else if (pid != session->pid)
		result = (struct result){-EPERM, "not yours"};
	dispatch_evicted(session, evicted, &result);
}

/* ---------------------------------------------------------------- peers */

void front_connect(struct server *front, struct front_peer *peer)
{
	int ends[2];
	unsigned i = 0;

	while (i < PEERS && front->peers[i])
		i++;
	must(i < PEERS, "too many peers");
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
	     "socketpair");
	front->peers[i] = peer;
	peer->fd = ends[0];
	must(session_open(&peer->session, front, ends[1]) == 0, "session_open");
}

void front_hang_up(struct server *front, struct front_peer *peer)
{
	close(peer->fd);
	peer->fd = -1;
	for (unsigned i = 0; i < PEERS; i++)
		if (front->peers[i] == peer)
			forget(front, i);
}

static void free_ended(struct server *front)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&front->ended))) {
		TAILQ_REMOVE(&front->ended, session, link);
		session_free(session);
	}
}

void front_read(struct server *front)
{
	must(event_base_loop(front->base, EVLOOP_NONBLOCK) >= 0, "event_base_loop");
	free_ended(front);
}

void front_run(struct server *front)
{
	do {
		front_read(front);
		while (pool_run(front->pool))
			;
		front_read(front);
	} while (!TAILQ_EMPTY(&front->pool->jobs));
}

void front_kill(struct server *front, uint32_t but)
{
	for (uint32_t id = PARTY_FIRST; id < CLIENTS; id++)
		if (id != but)
			die(front, id);
	front_run(front);
}

/* ---------------------------------------------------------------- life */

struct server *front_open(struct pool *pool)
{
	struct server *front = calloc(1, sizeof(*front));

	must(front && pool->segment.max_clients + PARTY_FIRST <= CLIENTS, "front_open");
	front->pool = pool;
	front->base = event_base_new();
	must(front->base, "event_base_new");
	TAILQ_INIT(&front->ended);
	for (uint32_t i = 0; i < CLIENTS; i++)
		front->watches[i].pidfd = -1;
	return front;
}

static void end(struct server *front, struct front_peer *peer)
{
	if (peer->session)
		session_end(peer->session);
	if (peer->fd >= 0)
		front_hang_up(front, peer);
}

void front_close(struct server *front)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (front->peers[i])
			end(front, front->peers[i]);
	free_ended(front);
	for (uint32_t i = 0; i < CLIENTS; i++)
		stop_watching(&front->watches[i]);
	event_base_free(front->base);
	free(front);
}
