/* The socket never blocks; what waits is ppoll, until the deadline and no longer. */
#include "client/slabctl/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/texts.h"
#include "proto/packet.h"

#define FULL_RETRY_MS 20  /* while slabd's backlog is full */
#define WAITING_MS    100 /* between two calls of query->waiting */

/* ---------------------------------------------------------------- time */

uint64_t wire_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* True if the socket became ready for events in time. */
static bool wait_in_turns(const struct query *query, short events, uint64_t deadline)
{
	struct pollfd p = {.fd = query->socket, .events = events};
	uint64_t began = wire_now();

	for (;;) {
		uint64_t now = wire_now(), left = deadline > now ? deadline - now : 0;
		struct timespec timeout;
		int r;

		if (query->waiting && !query->waiting(query->waiting_arg, now - began))
			return false;
		if (query->waiting && left > WAITING_MS)
			left = WAITING_MS;
		timeout = (struct timespec){(time_t)(left / 1000), (long)(left % 1000) * 1000000};
		r = ppoll(&p, 1, &timeout, NULL);
		if (r > 0)
			return true;
		if (r < 0 && errno != EINTR)
			return false;
		if (wire_now() >= deadline)
			return false;
	}
}

static bool wait_for(const struct query *query, short events, uint64_t deadline)
{
	uint64_t began = wire_now();
	bool ready = wait_in_turns(query, events, deadline);

	if (query->waited)
		query->waited(query->waiting_arg, wire_now() - began);
	return ready;
}

void wire_pause(unsigned ms)
{
	struct timespec timeout = {ms / 1000, (long)(ms % 1000) * 1000000};

	ppoll(NULL, 0, &timeout, NULL);
}

/* ---------------------------------------------------------------- the connection */

static int fail_silent(struct query *query)
{
	return query_fail(query, EXIT_TIMEOUT, TEXT_SILENT, query->shown, query->timeout_ms);
}

static int fail_hung_up(struct query *query)
{
	query->hung_up = true;
	return query_fail(query, EXIT_UNREACHABLE, TEXT_HUNG_UP, query->shown);
}

static int connect_error(struct query *query, int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return query_fail(query, EXIT_PERMISSION, TEXT_FORBIDDEN, query->address.socket,
				  geteuid(), strerror(error));
	case EAGAIN:
		return fail_silent(query);
	default:
		return query_fail(query, EXIT_UNREACHABLE, TEXT_NO_SOCKET, query->address.socket,
				  strerror(error));
	}
}

int wire_connect(struct query *query, uint64_t deadline)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	_Static_assert(sizeof(name.sun_path) == sizeof(query->address.socket), "a socket's path");
	memcpy(name.sun_path, query->address.socket, sizeof(name.sun_path));
	query->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (query->socket < 0)
		return query_fail(query, EXIT_FAILED, TEXT_NO_PROCESS, query->shown,
				  strerror(errno));
	while (connect(query->socket, (struct sockaddr *)&name, sizeof(name)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || wire_now() >= deadline)
			return connect_error(query, errno);
		wire_pause(FULL_RETRY_MS);
	}
	return EXIT_DONE;
}

int wire_send(struct query *query, size_t n, uint64_t deadline)
{
	int r;

	while ((r = packet_send(query->socket, query->packet, n, NULL, 0, false)) == -EAGAIN)
		if (!wait_for(query, POLLOUT, deadline))
			return fail_silent(query);
	if (r < 0)
		return fail_hung_up(query);
	return EXIT_DONE;
}

int wire_receive(struct query *query, size_t *n, uint64_t deadline)
{
	ssize_t r;

	while ((r = packet_receive(query->socket, query->packet, sizeof(query->packet), NULL, NULL,
				   false)) == -EAGAIN)
		if (!wait_for(query, POLLIN, deadline))
			return fail_silent(query);
	if (r <= 0 && r != -EBADMSG)
		return fail_hung_up(query);
	*n = r > 0 ? (size_t)r : 0;
	return EXIT_DONE;
}
