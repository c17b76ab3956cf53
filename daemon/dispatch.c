/* From packet to answer.  Here and in dispatch_reports.c protobuf's types end.
 *
 * A request is decoded into an arena on the stack, so a hostile one costs PROTO_DECODE_MAX bytes of
 * it and no more.  Its handler runs guarded: a hole in the segment's memory ends the handler, and
 * the answer is -EIO.  The answer is encoded outside the guard. */
#include "daemon/dispatch.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clients.h"
#include "daemon/dispatch_call.h"
#include "daemon/peer.h"
#include "daemon/reap.h"
#include "daemon/refill.h"
#include "daemon/registry.h"
#include "daemon/settings.h"
#include "daemon/stats.h"
#include "proto/limits.h"
#include "proto/packet.h"
#include "proto/version.h"

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

/* The end of a job that has nothing but a result. */
static void on_result(void *arg, const struct result *result)
{
	Slabd__Reply reply = SLABD__REPLY__INIT;

	call_answer(arg, &reply, result);
}

/* ---------------------------------------------------------------- hello */

static bool versions_match(struct call *call, const Slabd__Hello *hello)
{
	if (hello->protocol_major != PROTO_MAJOR)
		FAIL(&call->result, -EPROTO,
		     "slabd %s speaks protocol %u.%u, its peer (%.32s) speaks %u.%u; install the "
		     "same "
		     "release of both",
		     SLABD_VERSION_STRING, PROTO_MAJOR, PROTO_MINOR, hello->version,
		     hello->protocol_major, hello->protocol_minor);
	else if (hello->layout != SLABD_LAYOUT_VERSION)
		FAIL(&call->result, -EPROTO,
		     "slabd %s has layout %u, its peer (%.32s) has layout %u; install the same "
		     "release "
		     "of both, and compile anew what includes slabd/fast.h",
		     SLABD_VERSION_STRING, SLABD_LAYOUT_VERSION, hello->version, hello->layout);
	return call->result.status == 0;
}

static bool segment_exists(struct call *call, const Slabd__Hello *hello)
{
	const char *name = hello->segment;

	if (!*name || strcmp(name, call->pool->name) == 0)
		return true;
	FAIL(&call->result, -ENOENT, "segment \"%.63s\": there is none; this slabd serves \"%s\"",
	     name, call->pool->name);
	return false;
}

/* The kernel's word on who calls; the pidfd is the caller's to hand on. */
static int identify(struct call *call, uint64_t image, struct peer *peer, int *pidfd)
{
	struct session *session = call->session;
	int r;

	if (session->pid == 0)
		return FAIL(
			&call->result, -EPERM,
			"the peer lives in another pid namespace, so its death could not be seen; "
			"run slabd and its clients in one");
	r = peer_complete(peer, session->pid, session->uid, image, session->pidfd, call->offered,
			  pidfd);
	if (r == -EACCES)
		FAIL(&call->result, r, "the descriptor that came with hello is no pidfd of pid %d",
		     session->pid);
	else if (r < 0)
		FAIL(&call->result, r, "pid %d can't be watched: %s", session->pid, strerror(-r));
	return r;
}

static void resume(struct call *call, const Slabd__Hello *hello, const struct peer *peer)
{
	const struct superblock *super = call->pool->segment.super;

	if (hello->segment_high != super->segment_high ||
	    hello->segment_low != super->segment_low) {
		FAIL(&call->result, -ESTALE,
		     "this slabd has another segment than the one that client %u has mapped; "
		     "detach "
		     "and attach again",
		     hello->resume_id);
		return;
	}
	if (clients_resume(call->pool, hello->resume_id, hello->token_high, hello->token_low, peer,
			   &call->result) == 0)
		call->session->client = hello->resume_id;
}

static void attach(struct call *call, const struct peer *peer)
{
	uint32_t client;
	int reader;

	clients_exec(call->pool, peer);
	if (clients_attach(call->pool, peer, &client, &call->result) < 0)
		return;
	call->session->client = client;
	reader = backing_catalog_reader(&call->pool->backing);
	if (reader < 0) {
		FAIL(&call->result, reader, "catalog: %s", strerror(-reader));
		clients_died(call->pool, client, NULL, NULL);
		call->session->client = 0;
		return;
	}
	call->fds[0] = reader; /* ours to close */
	call->fds[1] = call->pool->backing.depot;
	call->fds[2] = call->pool->backing.heap;
	call->nfds = 3;
}

/* A client, new or old: from now on its session and its process are watched. */
static void greet_client(struct call *call, const Slabd__Hello *hello)
{
	struct session *session = call->session;
	struct peer peer;
	int pidfd, r;

	if (identify(call, hello->image, &peer, &pidfd) < 0)
		return;
	if (hello->resume_id)
		resume(call, hello, &peer);
	else
		attach(call, &peer);
	if (call->result.status < 0) {
		close(pidfd);
		return;
	}
	server_spoke(session->server, session);
	session->phase = SESSION_ATTACHED;
	r = server_watch(session->server, session, pidfd);
	if (r < 0)
		FAIL(&call->result, r, "client %u: its process can't be watched: %s",
		     session->client, strerror(-r));
}

static void hello_handler(struct call *call)
{
	const Slabd__Hello *hello = call->request->hello;
	const struct superblock *super = call->pool->segment.super;
	struct session *session = call->session;

	if (!versions_match(call, hello) || !segment_exists(call, hello)) {
		call->last = true;
		return;
	}
	if (!hello->observer) {
		greet_client(call, hello);
	} else {
		server_spoke(session->server, session);
		session->phase = SESSION_OBSERVER;
	}
	if (call->result.status < 0) {
		call->last = true;
		return;
	}
	call->reply.answer_case = SLABD__REPLY__ANSWER_WELCOME;
	call->reply.welcome = &call->welcome;
	call->welcome = (Slabd__Welcome)SLABD__WELCOME__INIT;
	call->welcome.protocol_major = PROTO_MAJOR;
	call->welcome.protocol_minor = PROTO_MINOR;
	call->welcome.version = (char *)(uintptr_t)SLABD_VERSION_STRING;
	call->welcome.client_id = session->client;
	if (session->client) {
		call->welcome.token_high = clients_record(call->pool, session->client)->token_high;
		call->welcome.token_low = clients_record(call->pool, session->client)->token_low;
	}
	call->welcome.segment_high = super->segment_high;
	call->welcome.segment_low = super->segment_low;
	call->welcome.heap_base = super->base;
	call->welcome.catalog_bytes = super->catalog_bytes;
	call->welcome.depot_bytes = super->depot_bytes;
	call->welcome.heap_bytes = super->heap_bytes;
}

static void detach_handler(struct call *call)
{
	struct session *session = call->session;

	call_pend(call);
	server_unwatch(session->server, session);
	session->phase = SESSION_DETACHED;
	clients_detach(call->pool, session->client, on_result, session);
}

/* ---------------------------------------------------------------- caches */

static void answer_cache(struct call *call, uint32_t id, uint64_t serial)
{
	call->reply.answer_case = SLABD__REPLY__ANSWER_CACHE;
	call->reply.cache = &call->cache;
	call->cache = (Slabd__CacheInfo)SLABD__CACHE_INFO__INIT;
	call->cache.id = id;
	call->cache.serial = serial;
}

/* Keeps what a client was answered, for the case that it never arrives; the number last, since a
 * killed worker leaves a prefix of this. */
static void remember(struct pool *pool, uint32_t client, uint64_t sequence, int status,
		     uint32_t cache, uint64_t serial)
{
	struct client_record *record;

	if (!client)
		return;
	record = clients_record(pool, client);
	record->last_sequence = 0;
	atomic_step();
	record->last_status = status;
	record->last_cache = cache;
	record->last_serial = serial;
	atomic_step();
	record->last_sequence = sequence;
}

/* Is it a repetition?  Then it is answered as it was. */
static bool was_answered(struct call *call, bool with_cache)
{
	uint32_t client = call->session->client;
	const struct client_record *record;

	if (!client)
		return false;
	record = clients_record(call->pool, client);
	if (record->last_sequence != call->request->sequence)
		return false;
	if (record->last_status < 0)
		FAIL(&call->result, record->last_status, "%s (answered once before)",
		     strerror(-record->last_status));
	else if (with_cache)
		answer_cache(call, record->last_cache, record->last_serial);
	return true;
}

static void create_handler(struct call *call)
{
	const Slabd__CacheCreate *wanted = call->request->cache_create;
	struct geometry_request request = {.object_size = wanted->object_size,
					   .align = wanted->align,
					   .flags = wanted->flags,
					   .magazine = wanted->magazine};
	uint32_t client = call->session->client;
	struct cache *cache;
	int r;

	if (was_answered(call, true))
		return;
	r = registry_create(call->pool, client, call->request->sequence, wanted->name, &request,
			    &cache, &call->result);
	if (r == 0)
		answer_cache(call, cache->view.id, cache->serial);
	remember(call->pool, client, call->request->sequence, r, r ? 0 : cache->view.id,
		 r ? 0 : cache->serial);
}

static void open_handler(struct call *call)
{
	const Slabd__CacheOpen *wanted = call->request->cache_open;
	struct cache *cache;

	if (registry_open_cache(call->pool, call->session->client, wanted->name, wanted->id,
				wanted->serial, &cache, &call->result) == 0)
		answer_cache(call, cache->view.id, cache->serial);
}

static void close_handler(struct call *call)
{
	const Slabd__CacheClose *wanted = call->request->cache_close;
	uint32_t client = call->session->client;

	if (was_answered(call, false))
		return;
	registry_close(call->pool, client, wanted->id, wanted->serial, &call->result);
	remember(call->pool, client, call->request->sequence, call->result.status, 0, 0);
}

/* A worker that unlinked the cache and died before it answered: the descriptor says who did it, even
 * after the last closer. */
static bool was_destroyed(const struct session *session)
{
	const struct segment *segment = &session->pool->segment;
	const struct pending *pending = &session->pending;
	const struct cache_desc *desc;

	if (!session->client || !pending->cache || pending->cache > segment->max_caches)
		return false;
	desc = &segment->descriptors[pending->cache];
	return desc->serial == pending->serial && desc->breaker == session->client &&
	       desc->breaker_sequence == pending->sequence;
}

static void on_destroyed(void *arg, const struct result *result)
{
	static const struct result done = {0};
	struct session *session = arg;

	if (result->status == -ESTALE && was_destroyed(session))
		result = &done;
	remember(session->pool, session->client, session->pending.sequence, result->status, 0, 0);
	on_result(session, result);
}

static void destroy_handler(struct call *call)
{
	const Slabd__CacheDestroy *wanted = call->request->cache_destroy;

	if (was_answered(call, false))
		return;
	call_pend(call);
	call->session->pending.cache = wanted->id;
	call->session->pending.serial = wanted->serial;
	registry_destroy(call->pool, call->session->client, call->request->sequence, wanted->name,
			 wanted->id, wanted->serial, on_destroyed, call->session);
}

static void on_shrunk(void *arg, const struct result *result, uint64_t bytes)
{
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__ShrinkReply shrink = SLABD__SHRINK_REPLY__INIT;

	shrink.bytes = bytes;
	reply.answer_case = SLABD__REPLY__ANSWER_SHRINK;
	reply.shrink = &shrink;
	call_answer(arg, &reply, result);
}

static void shrink_handler(struct call *call)
{
	const Slabd__CacheShrink *wanted = call->request->cache_shrink;
	struct cache *cache = NULL;

	if (!wanted->all && wanted->serial) {
		if (registry_find(call->pool, call->session->client, wanted->id, wanted->serial,
				  &cache, &call->result) < 0)
			return;
	} else if (!wanted->all) {
		cache = registry_by_name(call->pool, wanted->name);
		if (!cache) {
			FAIL(&call->result, -ENOENT,
			     "cache \"%.63s\": there is none; see slabctl caches", wanted->name);
			return;
		}
	}
	call_pend(call);
	reap_shrink(call->pool, cache, on_shrunk, call->session);
}

static void set_handler(struct call *call)
{
	const Slabd__CacheSet *wanted = call->request->cache_set;
	struct cache *cache = registry_by_name(call->pool, wanted->name);

	if (!cache) {
		FAIL(&call->result, -ENOENT, "cache \"%.63s\": there is none; see slabctl caches",
		     wanted->name);
		return;
	}
	call->cache_set = (Slabd__CacheSetReply)SLABD__CACHE_SET_REPLY__INIT;
	if (setting_set(cache, wanted->key, wanted->value, wanted->standard,
			&call->cache_set.before, &call->cache_set.value, &call->result) < 0)
		return;
	call->reply.answer_case = SLABD__REPLY__ANSWER_CACHE_SET;
	call->reply.cache_set = &call->cache_set;
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
	server_evict(session->server, session, pid);
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
	if (call->request->verb_case != SLABD__REQUEST__VERB_DOORBELL && !call->pending) {
		call->reply.sequence = call->request->sequence;
		set_result(&call->reply, &call->result);
		send_reply(call->session, &call->reply, call->fds, call->nfds, call->last);
	}
	if (call->nfds) /* the catalog's reader; the others are the keeper's */
		close(call->fds[0]);
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
