/* The way of a question to slabd and back: the greeting, the request, the reply, and all of it once more
 * where a worker ended before it answered.  Packets and time are wire.c's. */
#include "client/slabctl/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/wire.h"
#include "proto/packet.h"
#include "proto/version.h"
#include "shm/layout.h"

#define TIMEOUT_MS_MAX 86400000
#define WORKERS_MAX    3 /* that are asked one after the other */

int query_fail(struct query *query, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(query->why, sizeof(query->why), format, arguments);
	va_end(arguments);
	return code;
}

int query_init(struct query *query, const char *address)
{
	const char *segment = query->address.segment;
	char why[512];

	query->socket = -1;
	query->timeout_ms = PROTO_TIMEOUT_MS;
	if (address_resolve(&query->address, address, why, sizeof(why)) < 0)
		return query_fail(query, EXIT_USAGE, "%s", why);
	if (strcmp(segment, "main") == 0)
		segment = "";
	snprintf(query->shown, sizeof(query->shown), "%s%s%s", query->address.socket,
		 *segment ? "#" : "", segment);
	return EXIT_DONE;
}

int query_timeout_from_environment(struct query *query)
{
	const char *given = getenv("SLABD_TIMEOUT_MS");
	unsigned long ms;
	char *end;

	if (!given || !*given)
		return EXIT_DONE;
	errno = 0;
	ms = strtoul(given, &end, 10);
	if (*given < '0' || *given > '9' || *end || errno || ms < 1 || ms > TIMEOUT_MS_MAX)
		return query_fail(query, EXIT_USAGE, TEXT_BAD_TIMEOUT, given, TIMEOUT_MS_MAX);
	query->timeout_ms = (unsigned)ms;
	return EXIT_DONE;
}

void query_close(struct query *query)
{
	if (query->socket >= 0)
		close(query->socket);
	query->socket = -1;
}

/* ---------------------------------------------------------------- request and reply */

int ask_fail_answer(struct query *query)
{
	return query_fail(query, EXIT_FAILED, TEXT_NO_ANSWER, query->shown, SLABD_VERSION_STRING);
}

static int send_request(struct query *query, const Slabd__Request *request, uint64_t deadline)
{
	size_t n = slabd__request__get_packed_size(request);

	if (n > sizeof(query->packet))
		return query_fail(query, EXIT_USAGE, TEXT_TOO_LONG, n, PROTO_PACKET_MAX);
	slabd__request__pack(request, query->packet);
	return wire_send(query, n, deadline);
}

static int receive_reply(struct query *query, const Slabd__Reply **reply, uint64_t deadline)
{
	struct packet_arena arena = {query->decoded, query->decoded + sizeof(query->decoded)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	size_t n;
	int code = wire_receive(query, &n, deadline);

	if (code)
		return code;
	*reply = n ? slabd__reply__unpack(&allocator, n, query->packet) : NULL;
	if (!*reply || (*reply)->sequence != query->sequence)
		return ask_fail_answer(query);
	return EXIT_DONE;
}

static int exit_of(int status)
{
	switch (status) {
	case -ENOENT:
	case -ESRCH:
	case -ESTALE:
		return EXIT_NOT_FOUND;
	case -EPERM:
	case -EACCES:
		return EXIT_PERMISSION;
	case -ENOMEM:
	case -ENOSPC:
		return EXIT_LIMIT;
	case -ETIMEDOUT:
		return EXIT_TIMEOUT;
	default:
		return EXIT_FAILED;
	}
}

static int ask_once(struct query *query, Slabd__Request *request, Slabd__Reply__AnswerCase wanted,
		    const Slabd__Reply **reply)
{
	uint64_t deadline = wire_now() + query->timeout_ms;
	int code;

	request->sequence = ++query->sequence;
	query->hung_up = false;
	code = send_request(query, request, deadline);
	if (!code)
		code = receive_reply(query, reply, deadline);
	if (code)
		return code;
	if ((*reply)->status < 0)
		return query_fail(query, exit_of((*reply)->status), "%s",
				  *(*reply)->error ? (*reply)->error : strerror(-(*reply)->status));
	if ((*reply)->answer_case != wanted)
		return ask_fail_answer(query);
	return EXIT_DONE;
}

static int greet(struct query *query)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Hello hello = SLABD__HELLO__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_HELLO;
	request.hello = &hello;
	hello.protocol_major = PROTO_MAJOR;
	hello.protocol_minor = PROTO_MINOR;
	hello.layout = SLABD_LAYOUT_VERSION;
	hello.version = ask_text(SLABD_VERSION_STRING);
	hello.segment = query->address.segment;
	hello.observer = true;
	code = ask_once(query, &request, SLABD__REPLY__ANSWER_WELCOME, &reply);
	if (code)
		return code;
	snprintf(query->version, sizeof(query->version), "%s", reply->welcome->version);
	query->segment = reply->welcome->segment_low;
	if (reply->welcome->protocol_major != PROTO_MAJOR)
		return query_fail(query, EXIT_FAILED, TEXT_VERSIONS, query->version, query->shown,
				  reply->welcome->protocol_major, reply->welcome->protocol_minor,
				  SLABD_VERSION_STRING, PROTO_MAJOR, PROTO_MINOR);
	return EXIT_DONE;
}

static int open_once(struct query *query)
{
	int code;

	query->sequence = 0;
	query->why[0] = 0;
	query->hung_up = false;
	code = wire_connect(query, wire_now() + query->timeout_ms);
	if (!code)
		code = greet(query);
	if (code)
		query_close(query);
	return code;
}

int query_open(struct query *query)
{
	int code = open_once(query);

	for (int i = 1; code && query->patient && query->hung_up && i < WORKERS_MAX; i++)
		code = open_once(query);
	return code;
}

/* Does it change nothing, so that it may be asked twice? */
static bool is_question(const Slabd__Request *request)
{
	switch (request->verb_case) {
	case SLABD__REQUEST__VERB_STATS:
	case SLABD__REQUEST__VERB_CACHE_LIST:
	case SLABD__REQUEST__VERB_CLIENTS:
	case SLABD__REQUEST__VERB_AUDIT:
		return true;
	case SLABD__REQUEST__VERB_ORPHANS:
		return !request->orphans->free;
	default:
		return false;
	}
}

int ask(struct query *query, Slabd__Request *request, Slabd__Reply__AnswerCase wanted,
	const Slabd__Reply **reply)
{
	int code = ask_once(query, request, wanted, reply);

	for (int i = 1; code && query->patient && query->hung_up && i < WORKERS_MAX; i++) {
		if (!is_question(request))
			break;
		query_close(query);
		code = query_open(query);
		if (!code)
			code = ask_once(query, request, wanted, reply);
	}
	return code;
}
