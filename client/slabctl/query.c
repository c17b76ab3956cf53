/* One request, one reply, within a deadline; and from the reply into plain C.  A reply is decoded
 * into the query's own memory, so it lasts until the next request.  Packets and time are wire.c's. */
#include "client/slabctl/query.h"

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
#include "proto/slabd.pb-c.h"
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
	const char *given = getenv("SLABD_TIMEOUT_MS"), *segment = query->address.segment;
	char why[512], *end;
	unsigned long ms;

	query->socket = -1;
	query->timeout_ms = PROTO_TIMEOUT_MS;
	if (address_resolve(&query->address, address, why, sizeof(why)) < 0)
		return query_fail(query, EXIT_USAGE, "%s", why);
	if (strcmp(segment, "main") == 0)
		segment = "";
	snprintf(query->shown, sizeof(query->shown), "%s%s%s", query->address.socket,
		 *segment ? "#" : "", segment);
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

static int fail_answer(struct query *query)
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
		return fail_answer(query);
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

/* Asks, and gives the answer if it is the wanted one. */
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
		return fail_answer(query);
	return EXIT_DONE;
}

/* protobuf-c wants char *, and does not write to it. */
static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
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
	hello.version = text(SLABD_VERSION_STRING);
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

static int ask(struct query *query, Slabd__Request *request, Slabd__Reply__AnswerCase wanted,
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

/* ---------------------------------------------------------------- lists */

/* Room for one more row, zeroed; NULL: no memory. */
static void *list_add(struct list *list, size_t bytes)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		void *rows = reallocarray(list->rows, room, bytes);

		if (!rows)
			return NULL;
		list->rows = rows;
		list->room = room;
	}
	return memset((char *)list->rows + list->n++ * bytes, 0, bytes);
}

static int no_memory(struct query *query)
{
	return query_fail(query, EXIT_LIMIT, TEXT_NO_MEMORY);
}

/* The next page must lie behind this one, else a broken slabd would keep us for ever. */
static int turn_page(struct query *query, uint32_t *first, uint32_t next)
{
	if (next && next <= *first)
		return fail_answer(query);
	*first = next;
	return EXIT_DONE;
}

#define COPY_TEXT(to, from) snprintf(to, sizeof(to), "%s", from)

/* ---------------------------------------------------------------- status */

static void take_status(struct status_row *ret, const Slabd__StatsReply *stats)
{
	COPY_TEXT(ret->version, stats->version);
	COPY_TEXT(ret->backing, stats->backing);
	COPY_TEXT(ret->backing_why, stats->backing_why);
	ret->uptime_ms = stats->uptime_ms;
	ret->heap_bytes = stats->heap_bytes;
	ret->heap_used_bytes = stats->heap_used_bytes;
	ret->memory_bytes = stats->memory_bytes;
	ret->caches = stats->caches;
	ret->clients = stats->clients;
	ret->worker_restarts = stats->worker_restarts;
	ret->refills = stats->refills;
	ret->refill_wait_us_p99 = stats->refill_wait_us_p99;
	ret->max_caches = stats->max_caches;
	ret->max_clients = stats->max_clients;
	ret->pid = (uint64_t)stats->pid;
	ret->damaged = stats->damaged;
}

int query_status(struct query *query, struct status_row *ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Stats stats = SLABD__STATS__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_STATS;
	request.stats = &stats;
	code = ask(query, &request, SLABD__REPLY__ANSWER_STATS, &reply);
	if (code)
		return code;
	*ret = (struct status_row){0};
	COPY_TEXT(ret->address, query->shown);
	take_status(ret, reply->stats);
	return EXIT_DONE;
}

bool query_is_damaged(struct query *query)
{
	struct status_row status;

	return query_status(query, &status) == EXIT_DONE && status.damaged;
}

/* ---------------------------------------------------------------- caches */

static void take_cache(struct cache_row *ret, const Slabd__CacheStats *stats)
{
	COPY_TEXT(ret->name, stats->name);
	ret->id = stats->id;
	ret->object_size = stats->object_size;
	ret->align = stats->align;
	ret->stride = stats->stride;
	ret->slab_bytes = stats->slab_bytes;
	ret->slabs = stats->slabs;
	ret->objects = stats->objects;
	ret->live = stats->live;
	ret->orphaned = stats->orphaned;
	ret->in_magazines = stats->in_magazines;
	ret->in_slabs = stats->in_slabs;
	ret->magazine = stats->magazine;
	ret->clients = stats->clients;
	ret->flags = stats->flags;
	ret->bytes = stats->bytes;
	ret->allocs = stats->allocs;
	ret->frees = stats->frees;
	ret->refills = stats->refills;
	ret->claims = stats->claims;
	ret->waits = stats->waits;
	ret->racks = stats->racks;
	ret->serial = stats->serial;
	ret->surplus = stats->surplus;
	ret->batch = stats->batch;
	ret->unlinked = stats->unlinked;
}

static int ask_caches(struct query *query, const char *name, bool map, uint32_t first,
		      const Slabd__CacheListReply **ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheList list = SLABD__CACHE_LIST__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_LIST;
	request.cache_list = &list;
	list.name = text(name);
	list.map = map;
	list.first = first;
	code = ask(query, &request, SLABD__REPLY__ANSWER_CACHES, &reply);
	if (!code)
		*ret = reply->caches;
	return code;
}

static int add_cache(struct query *query, const Slabd__CacheStats *stats, struct list *caches,
		     struct list *maps)
{
	struct cache_row *row = list_add(caches, sizeof(*row));
	char **map = maps ? list_add(maps, sizeof(*map)) : NULL;

	if (!row || (maps && !map))
		return no_memory(query);
	take_cache(row, stats);
	if (map)
		*map = strdup(stats->slab_map);
	return !map || *map ? EXIT_DONE : no_memory(query);
}

int query_maps(struct query *query, struct list *caches, struct list *maps)
{
	const Slabd__CacheListReply *page;
	uint32_t first = 0;
	int code;

	do {
		code = ask_caches(query, "", maps, first, &page);
		for (size_t i = 0; !code && i < page->n_caches; i++)
			code = add_cache(query, page->caches[i], caches, maps);
		if (!code)
			code = turn_page(query, &first, page->next);
	} while (!code && first);
	return code;
}

int query_caches(struct query *query, struct list *caches)
{
	return query_maps(query, caches, NULL);
}

int query_cache(struct query *query, const char *name, struct cache_row *ret, char **map)
{
	const Slabd__CacheListReply *page;
	int code = ask_caches(query, name, map, 0, &page);

	if (code)
		return code;
	if (page->n_caches == 0) /* it went while it was counted */
		return query_fail(query, EXIT_NOT_FOUND, TEXT_NO_CACHE, name);
	*ret = (struct cache_row){0};
	take_cache(ret, page->caches[0]);
	if (!map)
		return EXIT_DONE;
	*map = strdup(page->caches[0]->slab_map);
	return *map ? EXIT_DONE : no_memory(query);
}

int query_create(struct query *query, const struct create_args *args, uint64_t *id)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheCreate create = SLABD__CACHE_CREATE__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_CREATE;
	request.cache_create = &create;
	create.name = text(args->name);
	create.object_size = args->size;
	create.align = args->align;
	create.flags = args->flags;
	create.magazine = args->magazine;
	code = ask(query, &request, SLABD__REPLY__ANSWER_CACHE, &reply);
	if (!code)
		*id = reply->cache->id;
	return code;
}

int query_destroy(struct query *query, const char *name)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheDestroy destroy = SLABD__CACHE_DESTROY__INIT;
	const Slabd__Reply *reply;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_DESTROY;
	request.cache_destroy = &destroy;
	destroy.name = text(name);
	return ask(query, &request, SLABD__REPLY__ANSWER__NOT_SET, &reply);
}

int query_set(struct query *query, const char *name, struct setting *setting)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheSet set = SLABD__CACHE_SET__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_SET;
	request.cache_set = &set;
	set.name = text(name);
	set.key = setting->key;
	set.value = setting->value;
	set.standard = setting->standard;
	code = ask(query, &request, SLABD__REPLY__ANSWER_CACHE_SET, &reply);
	if (code)
		return code;
	setting->value = reply->cache_set->value;
	setting->before = reply->cache_set->before;
	return EXIT_DONE;
}

int query_shrink(struct query *query, const char *name, uint64_t *bytes)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheShrink shrink = SLABD__CACHE_SHRINK__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_SHRINK;
	request.cache_shrink = &shrink;
	shrink.name = text(name ? name : "");
	shrink.all = !name;
	code = ask(query, &request, SLABD__REPLY__ANSWER_SHRINK, &reply);
	if (!code)
		*bytes = reply->shrink->bytes;
	return code;
}

/* ---------------------------------------------------------------- clients */

static void take_client(struct client_row *ret, const Slabd__ClientStats *stats)
{
	ret->id = stats->id;
	ret->pid = (uint64_t)stats->pid;
	ret->uid = stats->uid;
	COPY_TEXT(ret->comm, stats->comm);
	ret->threads = stats->threads;
	ret->live = stats->live;
	ret->in_magazines = stats->in_magazines;
	ret->refills = stats->refills;
	COPY_TEXT(ret->state, stats->state);
}

int query_clients(struct query *query, struct list *clients)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Clients page = SLABD__CLIENTS__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_CLIENTS;
	request.clients = &page;
	do {
		code = ask(query, &request, SLABD__REPLY__ANSWER_CLIENTS, &reply);
		for (size_t i = 0; !code && i < reply->clients->n_clients; i++) {
			struct client_row *row = list_add(clients, sizeof(*row));

			if (!row)
				return no_memory(query);
			take_client(row, reply->clients->clients[i]);
		}
		if (!code)
			code = turn_page(query, &page.first, reply->clients->next);
	} while (!code && page.first);
	return code;
}

int query_evict(struct query *query, int pid, uint64_t *clients)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Evict evict = SLABD__EVICT__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_EVICT;
	request.evict = &evict;
	evict.pid = pid;
	code = ask(query, &request, SLABD__REPLY__ANSWER_EVICT, &reply);
	if (!code)
		*clients = reply->evict->clients;
	return code;
}

/* ---------------------------------------------------------------- audit, orphans */

static void take_audit(struct audit_row *ret, const Slabd__AuditCache *stats)
{
	COPY_TEXT(ret->name, stats->name);
	ret->objects = stats->objects;
	ret->in_slabs = stats->in_slabs;
	ret->in_magazines = stats->in_magazines;
	ret->live = stats->live;
	ret->orphaned = stats->orphaned;
	ret->freeing = stats->freeing;
	ret->lost = stats->lost;
	ret->doubled = stats->doubled;
}

int query_audit(struct query *query, struct audit_verdict *ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Audit page = SLABD__AUDIT__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_AUDIT;
	request.audit = &page;
	*ret = (struct audit_verdict){.balanced = true, .exact = true};
	do {
		code = ask(query, &request, SLABD__REPLY__ANSWER_AUDIT, &reply);
		for (size_t i = 0; !code && i < reply->audit->n_caches; i++) {
			struct audit_row *row = list_add(&ret->caches, sizeof(*row));

			if (!row)
				return no_memory(query);
			take_audit(row, reply->audit->caches[i]);
		}
		if (!code) {
			ret->balanced &= reply->audit->balanced;
			ret->exact &= reply->audit->exact;
			code = turn_page(query, &page.first, reply->audit->next);
		}
	} while (!code && page.first);
	return code;
}

static void take_orphan(struct orphan_row *ret, const Slabd__Orphan *orphan)
{
	COPY_TEXT(ret->cache, orphan->cache);
	COPY_TEXT(ret->owner_comm, orphan->owner_comm);
	ret->owner_pid = (uint64_t)orphan->owner_pid;
	ret->owners = orphan->owners;
	ret->objects = orphan->objects;
	ret->bytes = orphan->bytes;
	ret->died_at = orphan->died_at;
}

/* What was freed is gone from the next page, which therefore begins where this one did. */
static int next_orphans(struct query *query, Slabd__Orphans *wanted,
			const Slabd__OrphansReply *page)
{
	if (wanted->free ? page->next && !page->n_orphans
			 : page->next && page->next <= wanted->first)
		return fail_answer(query);
	wanted->first = page->next;
	return EXIT_DONE;
}

int query_orphans(struct query *query, const char *name, bool release, struct list *orphans,
		  uint64_t *freed)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Orphans wanted = SLABD__ORPHANS__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_ORPHANS;
	request.orphans = &wanted;
	wanted.name = text(name ? name : "");
	wanted.free = release;
	*freed = 0;
	do {
		code = ask(query, &request, SLABD__REPLY__ANSWER_ORPHANS, &reply);
		for (size_t i = 0; !code && i < reply->orphans->n_orphans; i++) {
			struct orphan_row *row = list_add(orphans, sizeof(*row));

			if (!row)
				return no_memory(query);
			take_orphan(row, reply->orphans->orphans[i]);
		}
		if (!code) {
			*freed += reply->orphans->freed;
			code = next_orphans(query, &wanted, reply->orphans);
		}
	} while (!code && wanted.first);
	return code;
}

/* ---------------------------------------------------------------- events */

static void take_event(struct event_row *ret, const Slabd__Event *event)
{
	ret->sequence = event->sequence;
	ret->time_ms = event->time_ms;
	ret->client = event->client;
	ret->pid = (uint64_t)event->pid;
	ret->magazines = event->magazines;
	ret->objects = event->objects;
	ret->orphans = event->orphans;
	COPY_TEXT(ret->kind, event->kind);
	COPY_TEXT(ret->text, event->text);
	COPY_TEXT(ret->comm, event->comm);
	COPY_TEXT(ret->cache, event->cache);
}

int query_events(struct query *query, uint64_t *after, struct list *events, uint64_t *lost)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Events wanted = SLABD__EVENTS__INIT;
	const Slabd__Reply *reply;
	bool more = true;

	request.verb_case = SLABD__REQUEST__VERB_EVENTS;
	request.events = &wanted;
	while (more) {
		int code;

		wanted.after = *after;
		code = ask(query, &request, SLABD__REPLY__ANSWER_EVENTS, &reply);
		if (code)
			return code;
		for (size_t i = 0; i < reply->events->n_events; i++) {
			struct event_row *row = list_add(events, sizeof(*row));

			if (!row)
				return no_memory(query);
			take_event(row, reply->events->events[i]);
		}
		more = reply->events->more;
		if (more && reply->events->next <= *after)
			return fail_answer(query);
		*after = reply->events->next;
		*lost += reply->events->lost;
	}
	return EXIT_DONE;
}
