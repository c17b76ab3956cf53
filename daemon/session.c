#include "daemon/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "daemon/clients.h"
#include "daemon/dispatch.h"
#include "daemon/log.h"
#include "daemon/peer.h"
#include "proto/limits.h"
#include "proto/packet.h"

/* A reply that the socket had no room for. */
struct output {
	STAILQ_ENTRY(output) link;
	size_t n;
	char bytes[];
};

const char *session_name(const struct session *session, char *text, size_t n)
{
	if (session->client)
		snprintf(text, n, "client %u, pid %d, uid %u", session->client, session->pid,
			 session->uid);
	else
		snprintf(text, n, "pid %d, uid %u", session->pid, session->uid);
	return text;
}

static void say(const struct session *session, const char *what)
{
	char name[64];

	if (server_may_log(session->server))
		log_warning("%s: %s; its connection ends",
			    session_name(session, name, sizeof(name)), what);
}

/* ---------------------------------------------------------------- in */

/* NULL, or why this session may say no more.  A client whose process runs another program now is gone,
 * though somebody else may hold its socket. */
static const char *check_client(const struct session *session)
{
	if (session->phase != SESSION_ATTACHED ||
	    clients_is_attached(session->pool, session->client))
		return NULL;
	return "it speaks for a client that is gone";
}

/* One packet: true if there may be another. */
static bool read_packet(struct session *session)
{
	int fds[PROTO_FDS_MAX];
	unsigned nfds = session->phase == SESSION_SILENT ? 1 : 0;
	void *buffer = server_buffer(session->server);
	ssize_t n = packet_receive(session->fd, buffer, PROTO_PACKET_MAX, fds, &nfds, false);
	const char *wrong;

	if (n == -EAGAIN || n == -EINTR)
		return false;
	if (n == 0 || n == -ECONNRESET) {
		for (unsigned i = 0; i < nfds; i++)
			close(fds[i]);
		session_end(session);
		return false;
	}
	if (n < 0) {
		say(session, n == -EBADMSG ? "an empty or over-long packet, or one with descriptors"
					   : strerror((int)-n));
		session_end(session);
		return false;
	}
	wrong = check_client(session);
	if (!wrong) /* else nfds is 0: only a silent session has room for any */
		wrong = dispatch_packet(session, buffer, (size_t)n, fds, nfds);
	if (wrong && !session->ended) {
		say(session, wrong);
		session_end(session);
	}
	return !session->ended && !session->busy && !session->closing;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;
	struct server *server = session->server;
	int left = LIMIT_REQUESTS_PER_WAKEUP;

	(void)fd;
	(void)what;
	while (left-- > 0 && read_packet(session))
		;
	server_jobs(server);
}

void session_busy(struct session *session)
{
	session->busy = true;
	event_del(session->reading);
}

/* ---------------------------------------------------------------- out */

static void queue_reply(struct session *session, const void *bytes, size_t n)
{
	struct output *output;

	if (session->queued + n > LIMIT_QUEUED_BYTES) {
		say(session, "it does not read its replies");
		session_end(session);
		return;
	}
	output = malloc(sizeof(*output) + n);
	if (!output) {
		session_end(session);
		return;
	}
	output->n = n;
	memcpy(output->bytes, bytes, n);
	STAILQ_INSERT_TAIL(&session->output, output, link);
	session->queued += n;
	event_add(session->writing, NULL);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;
	struct output *output;

	(void)what;
	while ((output = STAILQ_FIRST(&session->output))) {
		int r = packet_send(fd, output->bytes, output->n, NULL, 0, false);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			session_end(session);
			return;
		}
		STAILQ_REMOVE_HEAD(&session->output, link);
		session->queued -= output->n;
		free(output);
	}
	event_del(session->writing);
	if (session->closing)
		session_end(session);
}

void session_reply(struct session *session, const void *bytes, size_t n, const int *fds,
		   unsigned nfds, bool last)
{
	int r = -EAGAIN;

	if (session->ended)
		return;
	if (STAILQ_EMPTY(&session->output))
		r = packet_send(session->fd, bytes, n, fds, nfds, false);
	/* a reply with descriptors is the first on its connection, for which there is room */
	if (r == -EAGAIN && nfds == 0) {
		queue_reply(session, bytes, n);
		r = 0;
	}
	if (session->ended)
		return;
	if (r < 0) {
		session_end(session);
		return;
	}
	session->closing |= last;
	if (session->closing && STAILQ_EMPTY(&session->output)) {
		session_end(session);
		return;
	}
	if (session->closing)
		event_del(session->reading);
	else if (session->busy)
		event_add(session->reading, NULL);
	session->busy = false;
}

/* ---------------------------------------------------------------- life */

int session_open(struct session **ret, struct server *server, int fd)
{
	struct session *session = calloc(1, sizeof(*session));
	int r = session ? 0 : -ENOMEM;

	if (r < 0) {
		close(fd);
		return r;
	}
	session->server = server;
	session->pool = server_pool(server);
	session->fd = fd;
	session->pidfd = -1;
	session->arriving_pidfd = -1;
	session->accepted = pool_now();
	STAILQ_INIT(&session->output);
	r = peer_identify(fd, &session->pid, &session->uid, &session->pidfd);
	session->reading =
		event_new(server_base(server), fd, EV_READ | EV_PERSIST, on_readable, session);
	session->writing =
		event_new(server_base(server), fd, EV_WRITE | EV_PERSIST, on_writable, session);
	if (r == 0 &&
	    (!session->reading || !session->writing || event_add(session->reading, NULL) < 0))
		r = -ENOMEM;
	if (r < 0) {
		session_free(session);
		return r;
	}
	*ret = session;
	return 0;
}

void session_end(struct session *session)
{
	if (session->ended)
		return;
	session->ended = true;
	event_del(session->reading);
	event_del(session->writing);
	close(session->fd);
	session->fd = -1;
	job_forget(session->pool, session);
	server_ended(session->server, session);
}

void session_free(struct session *session)
{
	struct output *output;

	if (session->reading)
		event_free(session->reading);
	if (session->writing)
		event_free(session->writing);
	while ((output = STAILQ_FIRST(&session->output))) {
		STAILQ_REMOVE_HEAD(&session->output, link);
		free(output);
	}
	if (session->fd >= 0)
		close(session->fd);
	if (session->pidfd >= 0)
		close(session->pidfd);
	if (session->arriving_pidfd >= 0)
		close(session->arriving_pidfd);
	free(session);
}
