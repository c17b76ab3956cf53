/* The client table.
 *
 * A record in the state region is filled first and made real by its state word.  Death is known by
 * the kernel alone (a pidfd, which the worker watches): the end of a socket makes a client
 * lingering, no more, as a forked child may hold the socket and a daemonizing process may close it.
 * Memory is never taken back from a process that lives. */
#include "daemon/clients.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/reclaim.h"
#include "daemon/registry.h"
#include "daemon/tombs.h"
#include "shm/probe.h"

#define FAIL(result, code, ...) \
	(snprintf((result)->why, sizeof((result)->why), __VA_ARGS__), (result)->status = (code))

struct client_record *clients_record(const struct pool *pool, uint32_t id)
{
	struct state_head *head = (struct state_head *)(void *)pool->segment.state;

	return (struct client_record *)(void *)(pool->segment.state + head->clients) + id;
}

static uint32_t state_of(const struct pool *pool, uint32_t id)
{
	if (id < PARTY_FIRST || id >= pool->segment.max_clients + PARTY_FIRST)
		return CLIENT_FREE;
	return load_acquire(&clients_record(pool, id)->state);
}

bool clients_is_attached(const struct pool *pool, uint32_t id)
{
	uint32_t state = state_of(pool, id);

	return state == CLIENT_ATTACHED || state == CLIENT_LINGERING;
}

bool clients_is_tomb(const struct pool *pool, uint32_t id)
{
	return state_of(pool, id) == CLIENT_TOMB;
}

void clients_each(struct pool *pool, void (*fn)(void *arg, uint32_t id, int32_t pid), void *arg)
{
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++)
		if (clients_is_attached(pool, id))
			fn(arg, id, clients_record(pool, id)->pid);
}

uint64_t clients_start_time(int32_t pid)
{
	char path[64], line[1024], *at;
	unsigned long long start = 0;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[n] = 0;
	at = strrchr(line,
		     ')'); /* the name may hold anything, so from its end: field 2; 22 is wanted */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, "%llu", &start);
	return start;
}

/* ---------------------------------------------------------------- a new worker's table */

static bool is_alive(const struct client_record *record)
{
	uint64_t start = clients_start_time(record->pid);

	return start && start == record->start_time;
}

void clients_open(struct pool *pool)
{
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++) {
		struct client_record *record = clients_record(pool, id);
		uint32_t state = load_acquire(&record->state);

		if (state == CLIENT_TOMB) {
			pool->tombs++;
			registry_close_all(pool, id);
		} else if (state == CLIENT_DYING) {
			reclaim_client(pool, id, "died", NULL, NULL);
		} else if (state == CLIENT_ATTACHED || state == CLIENT_LINGERING) {
			pool->clients_attached++;
			store_release(&record->state, CLIENT_LINGERING);
			if (!is_alive(record))
				clients_died(pool, id, NULL, NULL);
		}
	}
	tombs_open(pool);
}

/* ---------------------------------------------------------------- attach and resume */

static uint32_t held_by_uid(const struct pool *pool, uint32_t uid)
{
	uint32_t n = 0;

	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++)
		n += state_of(pool, id) != CLIENT_FREE && state_of(pool, id) != CLIENT_TOMB &&
		     clients_record(pool, id)->uid == uid;
	return n;
}

static uint32_t free_id(struct pool *pool)
{
	uint32_t max = pool->segment.max_clients;

	for (uint32_t i = 0; i < max; i++) {
		uint32_t id = (pool->next_client_id + i) % max + PARTY_FIRST;

		if (state_of(pool, id) == CLIENT_FREE) {
			pool->next_client_id = id - PARTY_FIRST + 1;
			return id;
		}
	}
	return 0;
}

int clients_attach(struct pool *pool, const struct peer *peer, uint32_t *ret, struct result *result)
{
	struct client_record *record;
	uint64_t token[2];
	uint32_t id;

	*result = (struct result){0};
	if (pool_is_damaged(pool))
		return FAIL(result, -EIO,
			    "segment %s is damaged and takes no new clients; see slabd's log",
			    pool->name);
	if (held_by_uid(pool, peer->uid) >= pool->max_clients_per_uid)
		return FAIL(
			result, -ENOSPC,
			"uid %u: %u clients are attached, its limit; raise max-clients-per-user",
			peer->uid, pool->max_clients_per_uid);
	id = free_id(pool);
	if (!id)
		return FAIL(result, -ENOSPC,
			    "all %u client ids are in use, by the living or as owners of orphans; "
			    "raise max-clients",
			    pool->segment.max_clients);
	if (getrandom(token, sizeof(token), 0) != sizeof(token))
		return FAIL(result, -EIO, "no random numbers: %s", strerror(errno));
	record = clients_record(pool, id);
	record->uid = peer->uid;
	record->pid = peer->pid;
	record->threads = 1;
	record->start_time = peer->start_time;
	record->image = peer->image;
	record->token_high = token[0];
	record->token_low = token[1];
	record->last_sequence = 0;
	record->last_status = 0;
	record->refills = 0;
	store_relaxed(&record->orphans, 0);
	record->died_at = 0;
	record->owners = 0;
	record->fold_sum = 0;
	store_relaxed(&record->fold_to, 0);
	memcpy(record->comm, peer->comm, sizeof(record->comm));
	record->comm[sizeof(record->comm) - 1] = 0;
	store_release(&record->state, CLIENT_ATTACHED);
	pool->clients_attached++;
	log_info("client %u attached: pid %d, uid %u, %.15s", id, peer->pid, peer->uid,
		 record->comm);
	events_client(pool, EVENT_CLIENT_ATTACHED, id, NULL, "client %u attached: pid %d, uid %u",
		      id, peer->pid, peer->uid);
	PROBE3(client__attach, id, peer->pid, peer->uid);
	tombs_look(pool);
	*ret = id;
	return 0;
}

int clients_resume(struct pool *pool, uint32_t id, uint64_t token_high, uint64_t token_low,
		   const struct peer *peer, struct result *result)
{
	struct client_record *record;

	*result = (struct result){0};
	if (!clients_is_attached(pool, id))
		return FAIL(result, -ESTALE,
			    "client %u is not attached any more; detach and attach again", id);
	record = clients_record(pool, id);
	if (record->token_high != token_high || record->token_low != token_low ||
	    record->pid != peer->pid || record->start_time != peer->start_time ||
	    record->image != peer->image)
		return FAIL(result, -EACCES,
			    "client %u: token, process or image is not the one that said hello",
			    id);
	store_release(&record->state, CLIENT_ATTACHED);
	log_debug("client %u resumed: pid %d", id, peer->pid);
	return 0;
}

void clients_set_threads(struct pool *pool, uint32_t id, uint32_t threads)
{
	struct client_record *record = clients_record(pool, id);

	if (threads > CLIENT_THREADS_MAX)
		threads = CLIENT_THREADS_MAX;
	if (record->threads == threads)
		return;
	record->threads = threads;
	pool->threads_epoch++;
}

/* ---------------------------------------------------------------- leaving */

void clients_linger(struct pool *pool, uint32_t id)
{
	if (state_of(pool, id) != CLIENT_ATTACHED)
		return;
	store_release(&clients_record(pool, id)->state, CLIENT_LINGERING);
	log_debug("client %u lingers: its socket ended, its process lives", id);
}

static void leave(struct pool *pool, uint32_t id, bool died, result_fn done, void *waiter)
{
	const char *how = died ? "died" : "detached";

	if (!clients_is_attached(pool, id)) {
		struct result result = {0};

		if (done)
			done(waiter, &result);
		return;
	}
	pool->clients_attached--;
	pool->threads_epoch++;
	events_client(pool, died ? EVENT_CLIENT_DIED : EVENT_CLIENT_DETACHED, id, NULL,
		      "client %u %s", id, how);
	if (died)
		PROBE2(client__death, id, clients_record(pool, id)->pid);
	store_release(&clients_record(pool, id)->state, CLIENT_DYING);
	reclaim_client(pool, id, how, done, waiter);
}

void clients_died(struct pool *pool, uint32_t id, result_fn done, void *waiter)
{
	leave(pool, id, true, done, waiter);
}

void clients_detach(struct pool *pool, uint32_t id, result_fn done, void *waiter)
{
	leave(pool, id, false, done, waiter);
}

void clients_exec(struct pool *pool, const struct peer *peer)
{
	for (uint32_t id = PARTY_FIRST; id < pool->segment.max_clients + PARTY_FIRST; id++) {
		const struct client_record *record = clients_record(pool, id);

		if (clients_is_attached(pool, id) && record->pid == peer->pid &&
		    record->start_time == peer->start_time && record->image != peer->image) {
			log_info("client %u: pid %d runs another program now", id, peer->pid);
			clients_died(pool, id, NULL, NULL);
		}
	}
}
