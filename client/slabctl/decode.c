#include "client/slabctl/decode.h"

#include <stdio.h>

#define COPY_TEXT(to, from) snprintf(to, sizeof(to), "%s", from)

void decode_status(struct status_row *ret, const Slabd__StatsReply *stats)
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

void decode_cache(struct cache_row *ret, const Slabd__CacheStats *stats)
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

void decode_client(struct client_row *ret, const Slabd__ClientStats *stats)
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

void decode_audit(struct audit_row *ret, const Slabd__AuditCache *stats)
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

void decode_orphan(struct orphan_row *ret, const Slabd__Orphan *orphan)
{
	COPY_TEXT(ret->cache, orphan->cache);
	COPY_TEXT(ret->owner_comm, orphan->owner_comm);
	ret->owner_pid = (uint64_t)orphan->owner_pid;
	ret->owners = orphan->owners;
	ret->objects = orphan->objects;
	ret->bytes = orphan->bytes;
	ret->died_at = orphan->died_at;
}

void decode_event(struct event_row *ret, const Slabd__Event *event)
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
