/* The verbs that make, open, change and end caches. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/clients.h"
#include "daemon/dispatch_call.h"
#include "daemon/reap.h"
#include "daemon/registry.h"
#include "daemon/settings.h"

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

void create_handler(struct call *call)
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

void open_handler(struct call *call)
{
	const Slabd__CacheOpen *wanted = call->request->cache_open;
	struct cache *cache;

	if (registry_open_cache(call->pool, call->session->client, wanted->name, wanted->id,
				wanted->serial, &cache, &call->result) == 0)
		answer_cache(call, cache->view.id, cache->serial);
}

void close_handler(struct call *call)
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
	call_result(session, result);
}

void destroy_handler(struct call *call)
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

void shrink_handler(struct call *call)
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

void set_handler(struct call *call)
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
