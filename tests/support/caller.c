#include "tests/support/caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/limits.h"
#include "proto/packet.h"

#define MUST CALLERS_MUST

void callers_complain(const struct callers *all, const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: batch %u, packet %u: not so: %s\n", file, line, all->batch,
		all->packets, what);
	abort();
}

/* ---------------------------------------------------------------- what a packet is due */

enum due { END, ANSWER, SILENCE };

static enum due due(const struct caller *caller, const struct asked *asked)
{
	bool hello = asked->verb == SLABD__REQUEST__VERB_HELLO;
	bool doorbell = asked->verb == SLABD__REQUEST__VERB_DOORBELL;

	if (!asked->verb || hello != (caller->phase == SESSION_SILENT) ||
	    caller->phase == SESSION_DETACHED || doorbell != (asked->sequence == 0))
		return END;
	return doorbell ? SILENCE : ANSWER;
}

/* Is this the client's token, from where it was given to? */
static bool is_entitled(const struct callers *all, int32_t pid, const Slabd__Hello *hello)
{
	const struct superblock *super = all->f->pool->segment.super;
	const struct client_record *record;

	if (!clients_is_attached(all->f->pool, hello->resume_id))
		return false;
	record = clients_record(all->f->pool, hello->resume_id);
	return record->token_high == hello->token_high && record->token_low == hello->token_low &&
	       record->pid == pid && record->image == hello->image &&
	       super->segment_high == hello->segment_high &&
	       super->segment_low == hello->segment_low;
}

/* Does a request that goes by id and serial mean no cache?  Then none ever, as serials are not used
 * again. */
static bool is_stale(const struct callers *all, uint32_t id, uint64_t serial)
{
	const struct segment *segment = &all->f->pool->segment;
	const struct cache *cache = id <= segment->max_caches ? all->f->pool->caches[id] : NULL;

	return serial && serial < load_relaxed(&segment->super->next_serial) &&
	       (!cache || cache->serial != serial);
}

static void note_cache(const struct callers *all, struct asked *asked,
		       const Slabd__Request *request)
{
	const Slabd__CacheShrink *shrink = request->cache_shrink;

	if (asked->verb == SLABD__REQUEST__VERB_REFILL) {
		asked->cache = request->refill->id;
		asked->stale = is_stale(all, asked->cache, request->refill->serial);
	} else if (asked->verb == SLABD__REQUEST__VERB_CACHE_OPEN) {
		asked->stale = is_stale(all, request->cache_open->id, request->cache_open->serial);
	} else if (asked->verb == SLABD__REQUEST__VERB_CACHE_SHRINK) {
		asked->stale = !shrink->all && is_stale(all, shrink->id, shrink->serial);
	}
}

static struct asked understand(const struct callers *all, const struct caller *caller,
			       const uint8_t *bytes, size_t n, unsigned nfds)
{
	static char memory[PROTO_DECODE_MAX];
	struct packet_arena arena = {memory, memory + sizeof(memory)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	const Slabd__Request *request;
	struct asked asked = {0};

	if (n > PROTO_PACKET_MAX)
		return asked;
	request = slabd__request__unpack(&allocator, n, bytes);
	if (!request || nfds > (request->verb_case == SLABD__REQUEST__VERB_HELLO))
		return asked;
	asked.verb = request->verb_case;
	asked.sequence = request->sequence;
	note_cache(all, &asked, request);
	if (asked.verb != SLABD__REQUEST__VERB_HELLO || request->hello->observer)
		return asked;
	asked.resume_id = request->hello->resume_id;
	asked.entitled = is_entitled(all, caller->pid, request->hello);
	return asked;
}

/* ---------------------------------------------------------------- answers */

/* A client that has objects, and may die with a magazine in its hand. */
static void use(const struct callers *all, uint32_t client, uint32_t id)
{
	struct cache *cache =
		id <= all->f->pool->segment.max_caches ? all->f->pool->caches[id] : NULL;
	struct result result;
	struct fake fake;
	slab_ref refs[8];
	uint32_t n;

	if (!cache || registry_find(all->f->pool, client, id, cache->serial, &cache, &result) < 0)
		return;
	fake_init(&fake, all->f, client, cache);
	n = fake_alloc_many(&fake, refs, 1 + pool_fixture_random(all->f, 8));
	fake_free_many(&fake, refs, pool_fixture_random(all->f, n + 1));
	if (pool_fixture_random(all->f, 8))
		fake_flush(&fake);
}

static uint32_t count_clients(const struct callers *all, uint32_t uid)
{
	uint32_t n = 0;

	for (uint32_t id = PARTY_FIRST; id < all->f->pool->segment.max_clients + PARTY_FIRST; id++)
		n += clients_is_attached(all->f->pool, id) &&
		     clients_record(all->f->pool, id)->uid == uid;
	return n;
}

/* Of those that are seen. */
static uint32_t caller_uid(const struct caller *caller)
{
	return caller->pid == getpid() ? getuid() : CALLER_STRANGER;
}

static void take_welcome(const struct callers *all, struct caller *caller,
			 const struct asked *asked, const Slabd__Welcome *got)
{
	caller->client = got->client_id;
	caller->token = got->token_low;
	caller->phase = got->client_id ? SESSION_ATTACHED : SESSION_OBSERVER;
	MUST(all, !got->client_id || caller->pid);
	MUST(all, !asked->resume_id || asked->entitled);
	MUST(all, !asked->resume_id || got->client_id == asked->resume_id);
	MUST(all, count_clients(all, caller_uid(caller)) <= all->f->pool->max_clients_per_uid);
}

static void must_be_plain(const struct callers *all, const char *text)
{
	for (; *text; text++)
		MUST(all, *text >= ' ' && *text < 0x7f);
}

static void take_lists(struct callers *all, const Slabd__Reply *reply)
{
	if (reply->answer_case == SLABD__REPLY__ANSWER_CLIENTS)
		for (size_t i = 0; i < reply->clients->n_clients; i++)
			must_be_plain(all, reply->clients->clients[i]->comm);
	if (reply->answer_case == SLABD__REPLY__ANSWER_EVENTS)
		for (size_t i = 0; i < reply->events->n_events; i++) {
			must_be_plain(all, reply->events->events[i]->comm);
			must_be_plain(all, reply->events->events[i]->text);
		}
	if (reply->answer_case == SLABD__REPLY__ANSWER_ORPHANS) {
		all->heard.next = reply->orphans->next;
		for (size_t i = 0; i < reply->orphans->n_orphans; i++)
			must_be_plain(all, reply->orphans->orphans[i]->owner_comm);
	}
	if (reply->answer_case == SLABD__REPLY__ANSWER_AUDIT)
		all->heard.balanced = reply->audit->balanced && reply->audit->exact;
}

static void take_answer(struct callers *all, struct caller *caller, const struct asked *asked,
			const Slabd__Reply *reply, unsigned nfds)
{
	static const struct {
		Slabd__Reply__AnswerCase answer;
		bool client;
	} verbs[] = {
		[SLABD__REQUEST__VERB_HELLO] = {SLABD__REPLY__ANSWER_WELCOME, false},
		[SLABD__REQUEST__VERB_CACHE_CREATE] = {SLABD__REPLY__ANSWER_CACHE, false},
		[SLABD__REQUEST__VERB_CACHE_OPEN] = {SLABD__REPLY__ANSWER_CACHE, true},
		[SLABD__REQUEST__VERB_CACHE_CLOSE] = {0, true},
		[SLABD__REQUEST__VERB_CACHE_DESTROY] = {0, false},
		[SLABD__REQUEST__VERB_CACHE_SHRINK] = {SLABD__REPLY__ANSWER_SHRINK, false},
		[SLABD__REQUEST__VERB_REFILL] = {0, true},
		[SLABD__REQUEST__VERB_STATS] = {SLABD__REPLY__ANSWER_STATS, false},
		[SLABD__REQUEST__VERB_CLIENTS] = {SLABD__REPLY__ANSWER_CLIENTS, false},
		[SLABD__REQUEST__VERB_AUDIT] = {SLABD__REPLY__ANSWER_AUDIT, false},
		[SLABD__REQUEST__VERB_DETACH] = {0, true},
		[SLABD__REQUEST__VERB_CACHE_LIST] = {SLABD__REPLY__ANSWER_CACHES, false},
		[SLABD__REQUEST__VERB_ORPHANS] = {SLABD__REPLY__ANSWER_ORPHANS, false},
		[SLABD__REQUEST__VERB_EVICT] = {SLABD__REPLY__ANSWER_EVICT, false},
		[SLABD__REQUEST__VERB_EVENTS] = {SLABD__REPLY__ANSWER_EVENTS, false},
		[SLABD__REQUEST__VERB_CACHE_SET] = {SLABD__REPLY__ANSWER_CACHE_SET, false},
	};
	bool fine = reply->status == 0, hello = asked->verb == SLABD__REQUEST__VERB_HELLO;

	MUST(all, reply->status <= 0);
	MUST(all, reply->sequence == asked->sequence);
	MUST(all, fine == !reply->error[0]);
	MUST(all, !fine || reply->answer_case == verbs[asked->verb].answer);
	MUST(all, !fine || !asked->stale);
	MUST(all, !verbs[asked->verb].client || caller->phase == SESSION_ATTACHED ||
			  reply->status == -EPERM);
	MUST(all,
	     nfds == (hello && fine && reply->welcome->client_id && !asked->resume_id ? 3 : 0));
	all->heard.status = reply->status;
	take_lists(all, reply);
	all->fine += fine;
	all->refused += !fine;
	if (hello && fine)
		take_welcome(all, caller, asked, reply->welcome);
	if (asked->verb == SLABD__REQUEST__VERB_DETACH && fine)
		caller->phase = SESSION_DETACHED;
	if (asked->verb == SLABD__REQUEST__VERB_REFILL && fine && all->alloc)
		use(all, caller->client, asked->cache);
}

/* The next packet from slabd; 0: there is none. */
static size_t receive(const struct caller *caller, uint8_t *packet, int *fds, unsigned *nfds)
{
	ssize_t n;

	do { /* the end of a socket with unread packets is told once, before what it sent */
		*nfds = PROTO_FDS_MAX;
		n = packet_receive(caller->line.fd, packet, PROTO_PACKET_MAX, fds, nfds, false);
	} while (n == -ECONNRESET);
	return n > 0 ? (size_t)n : 0;
}

/* False: there is none.  Without asked there must be none. */
static bool hear_one(struct callers *all, struct caller *caller, const struct asked *asked)
{
	static uint8_t packet[PROTO_PACKET_MAX];
	int fds[PROTO_FDS_MAX];
	unsigned nfds;
	size_t n = receive(caller, packet, fds, &nfds);
	Slabd__Reply *reply;

	if (!n)
		return false;
	reply = slabd__reply__unpack(NULL, n, packet);
	MUST(all, reply && asked);
	take_answer(all, caller, asked, reply, nfds);
	slabd__reply__free_unpacked(reply, NULL);
	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
	return true;
}

/* All that has come.  What is due is there, and no more. */
static void hear(struct callers *all, struct caller *caller)
{
	bool over = false; /* by what it said */
	unsigned i;

	for (i = 0; i < caller->n && !over; i++) {
		const struct asked *asked = &caller->asked[i];
		enum due wanted = due(caller, asked);

		if (wanted == ANSWER && !hear_one(all, caller, asked))
			break;
		all->ended += wanted == END;
		all->silent += wanted == SILENCE;
		over = wanted == END || caller->phase == SESSION_SILENT; /* a hello was refused */
	}
	MUST(all, (i == caller->n && !over) || !caller->line.session);
	hear_one(all, caller, NULL);
	caller->lost = !caller->line.session && !over;
	caller->n = 0;
}

/* ---------------------------------------------------------------- connections */

/* Its process was killed or runs another image, or another connection speaks for its client now. */
static bool was_displaced(const struct callers *all, const struct caller *caller)
{
	if (caller->phase != SESSION_ATTACHED)
		return false;
	return caller->line.unbound || !clients_is_attached(all->f->pool, caller->client) ||
	       clients_record(all->f->pool, caller->client)->token_low != caller->token;
}

void callers_settle(struct callers *all)
{
	struct caller *caller;

	front_run(all->front);
	for (caller = all->list; caller < all->list + CALLERS; caller++)
		if (caller_is_there(caller))
			hear(all, caller);
	for (caller = all->list; caller < all->list + CALLERS; caller++)
		if (caller_is_there(caller) && caller->lost)
			MUST(all, was_displaced(all, caller));
	for (caller = all->list; caller < all->list + CALLERS; caller++)
		if (caller_is_there(caller) && !caller->line.session)
			caller_hang_up(all, caller);
}

void caller_connect(struct callers *all, struct caller *caller)
{
	*caller = (struct caller){0};
	front_connect(all->front, &caller->line);
	caller->pid = caller->line.session->pid;
}

void caller_disguise(struct caller *caller, bool unseen)
{
	struct session *session = caller->line.session;

	caller->pid = session->pid = unseen ? 0 : getppid();
	session->uid = CALLER_STRANGER;
	if (session->pidfd >= 0)
		close(session->pidfd);
	session->pidfd = -1;
}

void caller_say(struct callers *all, struct caller *caller, const uint8_t *bytes, size_t n,
		const int *fds, unsigned nfds)
{
	caller->asked[caller->n] = understand(all, caller, bytes, n, nfds);
	if (packet_send(caller->line.fd, bytes, n, fds, nfds, false) == 0)
		caller->n++;
	all->packets++;
}

void caller_hang_up(struct callers *all, struct caller *caller)
{
	front_hang_up(all->front, &caller->line);
	front_run(all->front);
	MUST(all, !caller->line.session);
	caller->n = 0;
}

void callers_open(struct callers *all, struct pool_fixture *f, uint32_t clients_per_uid)
{
	all->f = f;
	f->pool->max_clients_per_uid = clients_per_uid;
	all->front = front_open(f->pool);
	for (unsigned i = 0; i < CALLERS; i++)
		all->list[i].line.fd = -1;
}

void callers_close(struct callers *all)
{
	front_close(all->front);
}
