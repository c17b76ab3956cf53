/* Who comes, who comes back, and who leaves. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clients.h"
#include "daemon/dispatch_call.h"
#include "daemon/peer.h"
#include "daemon/tombs.h"
#include "daemon/watch.h"
#include "proto/version.h"

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

/* A client, new or old: from now on its session and its process are watched.  The pidfd goes to the
 * watch, or is closed. */
static void admit(struct call *call, int pidfd)
{
	struct session *session = call->session;
	int r;

	if (call->result.status < 0) {
		close(pidfd);
		return;
	}
	server_spoke(session->server, session);
	session->phase = SESSION_ATTACHED;
	r = watch_client(session, pidfd);
	if (r < 0)
		FAIL(&call->result, r, "client %u: its process can't be watched: %s",
		     session->client, strerror(-r));
}

static void welcome(struct call *call)
{
	const struct superblock *super = call->pool->segment.super;
	const struct session *session = call->session;

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

/* No id is free, but those of the dead may become so: the hello waits. */
static bool must_wait(const struct call *call)
{
	return call->result.status == -ENOSPC && tombs_may_give(call->pool);
}

static void wait_for_id(struct session *session, const struct peer *peer, int pidfd);

static void on_ids(void *arg, const struct result *result)
{
	struct session *session = arg;
	struct call call = {.session = session,
			    .pool = session->pool,
			    .result = *result,
			    .reply = SLABD__REPLY__INIT};
	struct peer peer = session->arriving;
	int pidfd = session->arriving_pidfd;

	session->arriving_pidfd = -1;
	if (result->status == 0)
		attach(&call, &peer);
	/* others were quicker: not for ever, as each fold leaves fewer tombs */
	if (must_wait(&call) && session->pool->tombs > 1) {
		wait_for_id(session, &peer, pidfd);
		return;
	}
	admit(&call, pidfd);
	welcome(&call);
	call_send(&call, session->pending.sequence);
}

static void wait_for_id(struct session *session, const struct peer *peer, int pidfd)
{
	session->arriving = *peer;
	session->arriving_pidfd = pidfd;
	tombs_wait(session->pool, on_ids, session);
}

static void greet_client(struct call *call, const Slabd__Hello *hello)
{
	struct peer peer;
	int pidfd;

	if (identify(call, hello->image, &peer, &pidfd) < 0)
		return;
	if (hello->resume_id)
		resume(call, hello, &peer);
	else
		attach(call, &peer);
	if (!hello->resume_id && must_wait(call)) {
		call_pend(call);
		wait_for_id(call->session, &peer, pidfd);
		return;
	}
	admit(call, pidfd);
}

void hello_handler(struct call *call)
{
	const Slabd__Hello *hello = call->request->hello;
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
	if (!call->pending)
		welcome(call);
}

void detach_handler(struct call *call)
{
	struct session *session = call->session;

	call_pend(call);
	watch_stop(session);
	session->phase = SESSION_DETACHED;
	clients_detach(call->pool, session->client, call_result, session);
}
