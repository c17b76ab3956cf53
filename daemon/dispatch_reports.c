/* Answers that list things.  Each is made in the callback of a walk, cut to a page that fits one
 * packet, and says where the next page begins; that one comes from a walk of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/census.h"
#include "daemon/clients.h"
#include "daemon/dispatch_call.h"
#include "daemon/registry.h"
#include "daemon/settings.h"
#include "daemon/stats.h"
#include "proto/limits.h"
#include "proto/version.h"

#define PAGE_ITEMS 512
#define MAP_BYTES  4097
/* room beside the items for the reply around them */
#define PAGE_ROOM (PROTO_PACKET_MAX - 5536)
/* what one item of a list costs besides itself: key, length */
#define ITEM_COST 8

static const struct result no_memory = {.status = -ENOMEM, .why = "slabd itself has no memory"};
static const struct result fine = {0};

void call_no_cache(struct result *result, const char *name)
{
	FAIL(result, -ENOENT, "cache \"%.63s\": there is none; see slabctl caches", name);
}

void call_comm(char *to, const char *comm)
{
	size_t i;

	for (i = 0; i < 15 && comm[i]; i++)
		to[i] = comm[i] >= ' ' && comm[i] < 0x7f ? comm[i] : '?';
	to[i] = 0;
}

/* ---------------------------------------------------------------- stats */

void report_stats(struct call *call)
{
	struct stats s;

	stats_get(call->pool, &s);
	call->reply.answer_case = SLABD__REPLY__ANSWER_STATS;
	call->reply.stats = &call->stats;
	call->stats = (Slabd__StatsReply)SLABD__STATS_REPLY__INIT;
	call->stats.version = (char *)(uintptr_t)SLABD_VERSION_STRING;
	call->stats.uptime_ms = s.uptime_ms;
	call->stats.backing = (char *)(uintptr_t)s.backing;
	call->stats.backing_why = (char *)(uintptr_t)s.backing_why;
	call->stats.heap_bytes = s.heap_bytes;
	call->stats.heap_used_bytes = s.heap_used_bytes;
	call->stats.memory_bytes = s.memory_bytes;
	call->stats.caches = s.caches;
	call->stats.clients = s.clients;
	call->stats.worker_restarts = s.worker_restarts;
	call->stats.refills = s.refills;
	call->stats.refill_wait_us_p99 = s.refill_wait_us_p99;
	call->stats.max_caches = s.max_caches;
	call->stats.max_clients = s.max_clients;
	call->stats.damaged = s.damaged;
	call->stats.pid = getpid();
}

/* ---------------------------------------------------------------- caches */

struct cache_page {
	Slabd__CacheStats items[PAGE_ITEMS], *list[PAGE_ITEMS];
	size_t n, bytes;
	char map[PAGE_ROOM], *map_at;
};

static void fill_cache(Slabd__CacheStats *item, struct cache *cache, const struct census *census)
{
	const struct geometry *g = &cache->view.geometry;
	const struct audit_count *count = &census->caches[cache->view.id];
	struct counters counters;

	stats_counters(cache, &counters);
	*item = (Slabd__CacheStats)SLABD__CACHE_STATS__INIT;
	item->name = cache->view.desc->name;
	item->id = cache->view.id;
	item->serial = cache->serial;
	item->object_size = g->object_size;
	item->align = g->align;
	item->stride = g->stride;
	item->slab_bytes = geometry_slab_bytes(g);
	item->slabs = cache->slabs;
	item->bytes = cache->slabs * geometry_slab_bytes(g);
	item->objects = count->objects;
	item->live = count->live;
	item->orphaned = count->orphaned;
	item->in_magazines = count->in_magazines;
	item->in_slabs = count->in_slabs;
	item->magazine = g->capacity;
	item->clients = cache->opens;
	item->flags = g->flags;
	item->allocs = counters.allocs;
	item->frees = counters.frees;
	item->claims = counters.claims;
	item->waits = counters.waits;
	item->refills = cache->refills;
	item->racks = load_relaxed(&cache->view.desc->racks);
	item->unlinked = cache->unlinked;
	item->surplus = setting_get(cache, SETTING_SURPLUS);
	item->batch = setting_get(cache, SETTING_BATCH);
}

/* False if the page is full. */
static bool add_cache(struct cache_page *page, struct cache *cache, const struct census *census,
		      bool map)
{
	Slabd__CacheStats *item = &page->items[page->n];
	size_t bytes;

	if (page->n == PAGE_ITEMS)
		return false;
	fill_cache(item, cache, census);
	if (map && page->map_at + MAP_BYTES <= page->map + sizeof(page->map)) {
		stats_map(cache, page->map_at, MAP_BYTES);
		item->slab_map = page->map_at;
	} else if (map && page->n) {
		return false;
	}
	bytes = slabd__cache_stats__get_packed_size(item) + ITEM_COST;
	if (page->bytes + bytes > PAGE_ROOM)
		return false;
	if (map)
		page->map_at += strlen(page->map_at) + 1;
	page->bytes += bytes;
	page->list[page->n++] = item;
	return true;
}

/* Which cache comes next, from the pending request's first on; NULL: none. */
static struct cache *next_cache(const struct session *session, uint32_t *id)
{
	const struct pool *pool = session->pool;

	for (; *id <= pool->segment.max_caches; ++*id)
		if (*id && pool->caches[*id] && !pool->caches[*id]->releasing)
			return pool->caches[*id];
	return NULL;
}

static void answer_caches(struct session *session, struct cache_page *page,
			  const struct census *census)
{
	const struct pending *pending = &session->pending;
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__CacheListReply caches = SLABD__CACHE_LIST_REPLY__INIT;
	struct result result = {0};
	struct cache *cache;

	if (pending->name[0]) {
		cache = registry_by_name(session->pool, pending->name);
		if (cache)
			add_cache(page, cache, census, pending->map);
		else
			call_no_cache(&result, pending->name);
	} else {
		for (uint32_t id = pending->first; (cache = next_cache(session, &id)); id++)
			if (!add_cache(page, cache, census, pending->map)) {
				caches.next = id;
				break;
			}
	}
	caches.caches = page->list;
	caches.n_caches = page->n;
	reply.answer_case = SLABD__REPLY__ANSWER_CACHES;
	reply.caches = &caches;
	call_answer(session, &reply, &result);
}

static void on_cache_census(void *arg, const struct census *census)
{
	struct cache_page *page = census ? calloc(1, sizeof(*page)) : NULL;

	if (!page) {
		call_result(arg, &no_memory);
		return;
	}
	page->map_at = page->map;
	answer_caches(arg, page, census);
	free(page);
}

void report_caches(struct call *call)
{
	const Slabd__CacheList *wanted = call->request->cache_list;

	if (*wanted->name && !registry_by_name(call->pool, wanted->name)) {
		call_no_cache(&call->result, wanted->name);
		return;
	}
	call_pend(call);
	call->session->pending.first = wanted->first;
	call->session->pending.map = wanted->map;
	snprintf(call->session->pending.name, NAME_BYTES, "%s", wanted->name);
	census_take(call->pool, false, on_cache_census, call->session);
}

/* ---------------------------------------------------------------- clients */

struct client_page {
	Slabd__ClientStats items[PAGE_ITEMS], *list[PAGE_ITEMS];
	char comm[PAGE_ITEMS][16];
	size_t n, bytes;
};

static const char *state_name(uint32_t state)
{
	switch (state) {
	case CLIENT_ATTACHED:
		return "attached";
	case CLIENT_LINGERING:
		return "lingering";
	case CLIENT_DYING:
		return "dying";
	default:
		return NULL;
	}
}

/* False if the page is full. */
static bool add_client(struct client_page *page, uint32_t id, const struct client_record *record,
		       const struct census *census)
{
	const char *state = state_name(load_acquire(&record->state));
	Slabd__ClientStats *item = &page->items[page->n];
	size_t bytes;

	if (!state)
		return true;
	if (page->n == PAGE_ITEMS)
		return false;
	*item = (Slabd__ClientStats)SLABD__CLIENT_STATS__INIT;
	call_comm(page->comm[page->n], record->comm);
	item->id = id;
	item->pid = record->pid;
	item->uid = record->uid;
	item->comm = page->comm[page->n];
	item->threads = record->threads;
	item->live = census->live[id];
	item->in_magazines = census->rounds[id];
	item->refills = record->refills;
	item->state = (char *)(uintptr_t)state;
	bytes = slabd__client_stats__get_packed_size(item) + ITEM_COST;
	if (page->bytes + bytes > PAGE_ROOM)
		return false;
	page->bytes += bytes;
	page->list[page->n++] = item;
	return true;
}

static void on_client_census(void *arg, const struct census *census)
{
	struct session *session = arg;
	struct pool *pool = session->pool;
	struct client_page *page = census ? calloc(1, sizeof(*page)) : NULL;
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__ClientsReply clients = SLABD__CLIENTS_REPLY__INIT;
	uint32_t id = session->pending.first > PARTY_FIRST ? session->pending.first : PARTY_FIRST;

	if (!page) {
		call_result(session, &no_memory);
		return;
	}
	for (; id < pool->segment.max_clients + PARTY_FIRST; id++)
		if (!add_client(page, id, clients_record(pool, id), census)) {
			clients.next = id;
			break;
		}
	clients.clients = page->list;
	clients.n_clients = page->n;
	reply.answer_case = SLABD__REPLY__ANSWER_CLIENTS;
	reply.clients = &clients;
	call_answer(session, &reply, &fine);
	free(page);
}

void report_clients(struct call *call)
{
	call_pend(call);
	call->session->pending.first = call->request->clients->first;
	census_take(call->pool, false, on_client_census, call->session);
}

/* ---------------------------------------------------------------- audit */

struct audit_page {
	Slabd__AuditCache items[PAGE_ITEMS], *list[PAGE_ITEMS];
	size_t n, bytes;
};

/* False if the page is full. */
static bool add_audit(struct audit_page *page, struct cache *cache, const struct audit_count *count)
{
	Slabd__AuditCache *item = &page->items[page->n];
	size_t bytes;

	if (page->n == PAGE_ITEMS)
		return false;
	*item = (Slabd__AuditCache)SLABD__AUDIT_CACHE__INIT;
	item->name = cache->view.desc->name;
	item->objects = count->objects;
	item->in_slabs = count->in_slabs;
	item->in_magazines = count->in_magazines;
	item->live = count->live;
	item->orphaned = count->orphaned;
	item->freeing = count->freeing;
	item->lost = count->lost;
	item->doubled = count->doubled;
	item->moving = count->moving;
	bytes = slabd__audit_cache__get_packed_size(item) + ITEM_COST;
	if (page->bytes + bytes > PAGE_ROOM)
		return false;
	page->bytes += bytes;
	page->list[page->n++] = item;
	return true;
}

static void on_audit_census(void *arg, const struct census *census)
{
	struct session *session = arg;
	struct audit_page *page = census ? calloc(1, sizeof(*page)) : NULL;
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__AuditReply audit = SLABD__AUDIT_REPLY__INIT;
	struct cache *cache;

	if (!page) {
		call_result(session, &no_memory);
		return;
	}
	for (uint32_t id = session->pending.first; (cache = next_cache(session, &id)); id++)
		if (!add_audit(page, cache, &census->caches[id])) {
			audit.next = id;
			break;
		}
	audit.balanced = census->balanced;
	audit.exact = census->exact;
	audit.caches = page->list;
	audit.n_caches = page->n;
	reply.answer_case = SLABD__REPLY__ANSWER_AUDIT;
	reply.audit = &audit;
	call_answer(session, &reply, &fine);
	free(page);
}

void report_audit(struct call *call)
{
	call_pend(call);
	call->session->pending.first = call->request->audit->first;
	census_take(call->pool, true, on_audit_census, call->session);
}
