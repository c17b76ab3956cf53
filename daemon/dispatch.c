/* From packet to answer.  Here and in the other dispatch_*.c protobuf's types end.
 *
 * A request is decoded into an arena on the stack, so a hostile one costs PROTO_DECODE_MAX bytes of
 * it and no more.  Its handler runs guarded: a hole in the segment's memory ends the handler, and
 * the answer is -EIO.  The answer is encoded outside the guard. */
#include "daemon/dispatch.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clients.h"
#include "daemon/dispatch_call.h"
#include "daemon/refill.h"
#include "daemon/registry.h"
#include "daemon/stats.h"
#include "daemon/watch.h"
#include "proto/limits.h"
#include "proto/packet.h"

/* ---------------------------------------------------------------- answers */

static void send_reply(struct session *session, Slabd__Reply *reply, const int *fds, unsigned nfds,
		       bool last)
{
	uint8_t bytes[PROTO_PACKET_MAX];
	size_t n = slabd__reply__get_packed_size(reply);

	if (n == 0 || n > sizeof(bytes)) { /* the lists are cut to pages long before */
		session_end(session);
		return;
	}
	slabd__reply__pack(reply, bytes);
	session_reply(session, bytes, n, fds, nfds, last);
}

static void set_result(Slabd__Reply *reply, const struct result *result)
{
	reply->status = result->status;
	reply->error = (char *)(uintptr_t)result->why;
}

void call_pend(struct call *call)
{
	call->pending = true;
	call->session->pending = (struct pending){.sequence = call->request->sequence};
	session_busy(call->session);
}

void call_answer(struct session *session, Slabd__Reply *reply, const struct result *result)
{
	reply->sequence = session->pending.sequence;
	set_result(reply, result);
	send_reply(session, reply, NULL, 0, false);
}

void call_send(struct call *call, uint64_t sequence)
{
	call->reply.sequence = sequence;
	set_result(&call->reply, &call->result);
	send_reply(call->session, &call->reply, call->fds, call->nfds, call->last);
	if (call->nfds) /* the catalog's reader; the others are the keeper's */
		close(call->fds[0]);
}

void call_result(void *arg, const struct result *result)
{
	Slabd__Reply reply = SLABD__REPLY__INIT;

	call_answer(arg, &reply, result);
}

/* ---------------------------------------------------------------- refill */

static void refill_handler(struct call *call)
{
	const Slabd__Refill *wanted = call->request->refill;
	uint32_t client = call->session->client;
	struct cache *cache;

	clients_set_threads(call->pool, client, wanted->threads);
	clients_record(call->pool, client)->refills++;
	if (registry_find(call->pool, client, wanted->id, wanted->serial, &cache, &call->result) ==
	    0)
		refill_request(call->pool, cache, wanted->objects, wanted->empty, &call->result);
}

static void doorbell_handler(struct call *call)
{
	const Slabd__Doorbell *wanted = call->request->doorbell;
	uint32_t client = call->session->client;
	struct cache *cache;

	clients_set_threads(call->pool, client, wanted->threads);
	if (registry_find(call->pool, client, wanted->id, wanted->serial, &cache, &call->result) ==
	    0)
		refill_doorbell(cache);
}

/* ---------------------------------------------------------------- evict */

static void evict_handler(struct call *call)
{
	struct session *session = call->session;
	int32_t pid = call->request->evict->pid;

	call_pend(call);
	watch_evict(session, pid);
}

void dispatch_evicted(struct session *session, uint32_t clients, const struct result *result)
{
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__EvictReply evict = SLABD__EVICT_REPLY__INIT;

	evict.clients = clients;
	reply.answer_case = SLABD__REPLY__ANSWER_EVICT;
	reply.evict = &evict;
	call_answer(session, &reply, result);
}

/* ---------------------------------------------------------------- the table */

static const struct verb {
	void (*handle)(struct call *call);
	bool client; /* for attached clients alone */
	const char *name;
} verbs[] = {
	[SLABD__REQUEST__VERB_HELLO] = {hello_handler, false, "hello"},
	[SLABD__REQUEST__VERB_CACHE_CREATE] = {create_handler, false, "cache create"},
	[SLABD__REQUEST__VERB_CACHE_OPEN] = {open_handler, true, "cache open"},
	[SLABD__REQUEST__VERB_CACHE_CLOSE] = {close_handler, true, "cache close"},
	[SLABD__REQUEST__VERB_CACHE_DESTROY] = {destroy_handler, false, "cache destroy"},
	[SLABD__REQUEST__VERB_CACHE_SHRINK] = {shrink_handler, false, "cache shrink"},
	[SLABD__REQUEST__VERB_REFILL] = {refill_handler, true, "refill"},
	[SLABD__REQUEST__VERB_DOORBELL] = {doorbell_handler, true, "doorbell"},
	[SLABD__REQUEST__VERB_STATS] = {report_stats, false, "stats"},
	[SLABD__REQUEST__VERB_CLIENTS] = {report_clients, false, "clients"},
	[SLABD__REQUEST__VERB_AUDIT] = {report_audit, false, "audit"},
	[SLABD__REQUEST__VERB_DETACH] = {detach_handler, true, "detach"},
	[SLABD__REQUEST__VERB_CACHE_LIST] = {report_caches, false, "cache list"},
	[SLABD__REQUEST__VERB_ORPHANS] = {report_orphans, false, "orphans"},
	[SLABD__REQUEST__VERB_EVICT] = {evict_handler, false, "evict"},
	[SLABD__REQUEST__VERB_EVENTS] = {report_events, false, "events"},
	[SLABD__REQUEST__VERB_CACHE_SET] = {set_handler, false, "cache set"},
};

static const struct verb *find_verb(const Slabd__Request *request)
{
	unsigned verb = (unsigned)request->verb_case;

	if (verb >= sizeof(verbs) / sizeof(*verbs) || !verbs[verb].handle)
		return NULL;
	return &verbs[verb];
}

/* NULL, or why this message may not come now. */
static const char *check_turn(const struct session *session, const Slabd__Request *request)
{
	bool hello = request->verb_case == SLABD__REQUEST__VERB_HELLO;
	bool doorbell = request->verb_case == SLABD__REQUEST__VERB_DOORBELL;

	if (session->phase == SESSION_SILENT && !hello)
		return "its first message is no hello";
	if (session->phase != SESSION_SILENT && hello)
		return "it said hello twice";
	if (session->phase == SESSION_DETACHED)
		return "it goes on after its detach";
	if (doorbell ? request->sequence != 0 : request->sequence == 0)
		return "its request has a wrong sequence number";
	return NULL;
}

struct guarded {
	struct call *call;
	void (*handle)(struct call *call);
};

static void run_guarded(void *arg)
{
	struct guarded *guarded = arg;

	guarded->handle(guarded->call);
}

/* Runs the handler; afterwards call holds the answer, or a job will give one. */
static void handle(struct call *call, const struct verb *verb)
{
	struct guarded guarded = {call, verb->handle};
	struct session *session = call->session;
	bool answered;

	if (verb->client && session->phase != SESSION_ATTACHED) {
		FAIL(&call->result, -EPERM, "%s is for attached clients, not for observers",
		     verb->name);
		return;
	}
	if (pool_guarded(call->pool, run_guarded, &guarded) == 0)
		return;
	/* it got as far as its answer, or it did not */
	answered = call->pending && !session->busy;
	job_forget(call->pool, session);
	call->pending = answered;
	call->reply.answer_case = SLABD__REPLY__ANSWER__NOT_SET;
	FAIL(&call->result, -EIO, "segment %s is damaged: memory under it is gone; see slabd's log",
	     call->pool->name);
}

static void answer(struct call *call)
{
	if (call->request->verb_case != SLABD__REQUEST__VERB_DOORBELL && !call->pending)
		call_send(call, call->request->sequence);
}

static const char *serve(struct session *session, const Slabd__Request *request, int offered)
{
	const struct verb *verb = find_verb(request);
	struct call call = {.session = session,
			    .pool = session->pool,
			    .request = request,
			    .offered = offered,
			    .reply = SLABD__REPLY__INIT};
	uint64_t start = pool_now();
	const char *wrong;

	if (!verb)
		return "its request has no verb that slabd knows";
	wrong = check_turn(session, request);
	if (wrong)
		return wrong;
	handle(&call, verb);
	answer(&call);
	if (request->verb_case == SLABD__REQUEST__VERB_REFILL)
		stats_wait(session->pool, (pool_now() - start) / 1000);
	return NULL;
}

const char *dispatch_packet(struct session *session, const void *bytes, size_t n, int *fds,
			    unsigned nfds)
{
	alignas(16) char memory[PROTO_DECODE_MAX];
	struct packet_arena arena = {memory, memory + sizeof(memory)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	Slabd__Request *request = slabd__request__unpack(&allocator, n, bytes);
	const char *wrong = "a packet that is no request";

	if (request && nfds && request->verb_case != SLABD__REQUEST__VERB_HELLO)
		wrong = "a packet with descriptors";
	else if (request)
		wrong = serve(session, request, nfds ? fds[0] : -1);
	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
	return wrong;
}
