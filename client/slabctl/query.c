/* Each question that slabd answers: its request, and the pages that its answer comes in. */
#include "client/slabctl/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/slabctl/ask.h"
#include "client/slabctl/decode.h"
#include "client/slabctl/exits.h"
#include "client/slabctl/texts.h"

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
		return ask_fail_answer(query);
	*first = next;
	return EXIT_DONE;
}

/* ---------------------------------------------------------------- status */

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
	snprintf(ret->address, sizeof(ret->address), "%s", query->shown);
	decode_status(ret, reply->stats);
	return EXIT_DONE;
}

bool query_is_damaged(struct query *query)
{
	struct status_row status;

	return query_status(query, &status) == EXIT_DONE && status.damaged;
}

/* ---------------------------------------------------------------- caches */

static int ask_caches(struct query *query, const char *name, bool map, uint32_t first,
		      const Slabd__CacheListReply **ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheList list = SLABD__CACHE_LIST__INIT;
	const Slabd__Reply *reply;
	int code;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_LIST;
	request.cache_list = &list;
	list.name = ask_text(name);
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
	decode_cache(row, stats);
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
	decode_cache(ret, page->caches[0]);
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
	create.name = ask_text(args->name);
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
	destroy.name = ask_text(name);
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
	set.name = ask_text(name);
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
	shrink.name = ask_text(name ? name : "");
	shrink.all = !name;
	code = ask(query, &request, SLABD__REPLY__ANSWER_SHRINK, &reply);
	if (!code)
		*bytes = reply->shrink->bytes;
	return code;
}

/* ---------------------------------------------------------------- clients */

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
			decode_client(row, reply->clients->clients[i]);
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
			decode_audit(row, reply->audit->caches[i]);
		}
		if (!code) {
			ret->balanced &= reply->audit->balanced;
			ret->exact &= reply->audit->exact;
			code = turn_page(query, &page.first, reply->audit->next);
		}
	} while (!code && page.first);
	return code;
}

/* What was freed is gone from the next page, which therefore begins where this one did. */
static int next_orphans(struct query *query, Slabd__Orphans *wanted,
			const Slabd__OrphansReply *page)
{
	if (wanted->free ? page->next && !page->n_orphans
			 : page->next && page->next <= wanted->first)
		return ask_fail_answer(query);
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
	wanted.name = ask_text(name ? name : "");
	wanted.free = release;
	*freed = 0;
	do {
		code = ask(query, &request, SLABD__REPLY__ANSWER_ORPHANS, &reply);
		for (size_t i = 0; !code && i < reply->orphans->n_orphans; i++) {
			struct orphan_row *row = list_add(orphans, sizeof(*row));

			if (!row)
				return no_memory(query);
			decode_orphan(row, reply->orphans->orphans[i]);
		}
		if (!code) {
			*freed += reply->orphans->freed;
			code = next_orphans(query, &wanted, reply->orphans);
		}
	} while (!code && wanted.first);
	return code;
}

/* ---------------------------------------------------------------- events */

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
			decode_event(row, reply->events->events[i]);
		}
		more = reply->events->more;
		if (more && reply->events->next <= *after)
			return ask_fail_answer(query);
		*after = reply->events->next;
		*lost += reply->events->lost;
	}
	return EXIT_DONE;
}
