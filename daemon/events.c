#include "daemon/events.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/clients.h"

#define NEAR_PERCENT 90 /* a limit is near, and far again below the other */
#define FAR_PERCENT  85

static const char *const names[] = {
	[EVENT_STARTED] = "started",
	[EVENT_WORKER_RESTARTED] = "worker-restarted",
	[EVENT_HUGEPAGES_FALLBACK] = "hugepages-fallback",
	[EVENT_CLIENT_ATTACHED] = "client-attached",
	[EVENT_CLIENT_DIED] = "client-died",
	[EVENT_CLIENT_DETACHED] = "client-detached",
	[EVENT_CLIENT_RECLAIMED] = "client-reclaimed",
	[EVENT_CACHE_CREATED] = "cache-created",
	[EVENT_CACHE_DESTROYED] = "cache-destroyed",
	[EVENT_LIMIT_NEAR] = "limit-near",
	[EVENT_DAMAGE] = "damage",
};

const char *events_name(enum event_kind kind)
{
	return names[kind];
}

int events_open(struct pool *pool)
{
	const struct state_head *head =
		(const struct state_head *)(const void *)pool->segment.state;

	pool->events = calloc(1, sizeof(*pool->events));
	if (!pool->events)
		return -ENOMEM;
	pool->events->first = (load_relaxed(&head->worker_starts) << 32) + 1;
	pool->events->next = pool->events->first;
	return 0;
}

void events_close(struct pool *pool)
{
	free(pool->events);
	pool->events = NULL;
}

/* ---------------------------------------------------------------- in */

static uint64_t epoch_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static __attribute__((format(printf, 3, 0))) void
add(struct pool *pool, const struct happening *event, const char *format, va_list arguments)
{
	struct event_ring *ring = pool->events;
	struct happening *to = &ring->events[ring->next % EVENTS_MAX];

	*to = *event;
	to->sequence = ring->next++;
	to->time_ms = epoch_ms();
	vsnprintf(to->text, sizeof(to->text), format, arguments);
}

void events_add(struct pool *pool, const struct happening *event, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(pool, event, format, arguments);
	va_end(arguments);
}

/* A process may call itself what it likes. */
static void clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text >= 0x7f)
			*text = '?';
}

void events_client(struct pool *pool, enum event_kind kind, uint32_t client,
		   const struct happening *counts, const char *format, ...)
{
	const struct client_record *record = clients_record(pool, client);
	struct happening event = counts ? *counts : (struct happening){0};
	va_list arguments;

	event.kind = kind;
	event.client = client;
	event.pid = record->pid;
	snprintf(event.comm, sizeof(event.comm), "%.15s", record->comm);
	clean(event.comm);
	va_start(arguments, format);
	add(pool, &event, format, arguments);
	va_end(arguments);
}

/* ---------------------------------------------------------------- out */

const struct happening *events_after(const struct pool *pool, uint64_t after, uint64_t *lost)
{
	const struct event_ring *ring = pool->events;
	uint64_t oldest = ring->first, wanted = after + 1;

	if (ring->next - ring->first > EVENTS_MAX)
		oldest = ring->next - EVENTS_MAX;
	*lost = 0;
	if (wanted < oldest) { /* of an earlier worker, nobody knows how many there were */
		*lost = oldest - (wanted > ring->first ? wanted : ring->first);
		wanted = oldest;
	}
	return wanted < ring->next ? &ring->events[wanted % EVENTS_MAX] : NULL;
}

/* ---------------------------------------------------------------- limits */

/* Says once that a limit is near, and again after it was far. */
static bool comes_near(bool *said, uint64_t used, uint64_t most)
{
	if (used * 100 < most * FAR_PERCENT)
		*said = false;
	if (*said || used * 100 < most * NEAR_PERCENT)
		return false;
	*said = true;
	return true;
}

void events_tick(struct pool *pool)
{
	static const struct happening near = {.kind = EVENT_LIMIT_NEAR};
	struct event_ring *ring = pool->events;
	uint32_t extents = pool->extents.count - 1, backed = pool->extents.backed_count;

	if (comes_near(&ring->heap_near, backed, extents))
		events_add(
			pool, &near,
			"heap: %u of %u MiB in use; free objects, slabctl shrink --all, or start "
			"slabd with a larger --size",
			backed * 2, extents * 2);
	if (comes_near(&ring->caches_near, pool->caches_live, pool->segment.max_caches))
		events_add(pool, &near, "caches: %u of %u; destroy some, or raise max-caches",
			   pool->caches_live, pool->segment.max_caches);
	if (comes_near(&ring->clients_near, pool->clients_attached, pool->segment.max_clients))
		events_add(pool, &near, "clients: %u of %u; raise max-clients",
			   pool->clients_attached, pool->segment.max_clients);
}
