/* The client table, in the state region: who is attached, who died and left orphans. */
#ifndef DAEMON_CLIENTS_H
#define DAEMON_CLIENTS_H

#include "daemon/pool.h"

/* Who says hello, as the kernel and the process itself name it. */
struct peer {
	int32_t pid;
	uint32_t uid;
	uint64_t start_time; /* clients_start_time(pid) */
	uint64_t image;
	char comm[16];
};

/* Starts the worker's table: everyone found attached is lingering until it resumes, is reported
 * dead by clients_died, or was dead already (another process has its pid): queued as a death. */
void clients_open(struct pool *pool);

struct client_record *clients_record(const struct pool *pool, uint32_t id);

/* Makes a client: its id in *ret.  -ENOSPC when max-clients or the uid's share is used up. */
int clients_attach(struct pool *pool, const struct peer *peer, uint32_t *ret,
		   struct result *result);

/* The same process and image with the token of id goes on: 0, or -ESTALE, -EACCES. */
int clients_resume(struct pool *pool, uint32_t id, uint64_t token_high, uint64_t token_low,
		   const struct peer *peer, struct result *result);

/* What a client says of its threads, in a refill or doorbell; racks are reckoned by it (I-7). */
#define CLIENT_THREADS_MAX 4096u
void clients_set_threads(struct pool *pool, uint32_t id, uint32_t threads);

/* The socket ended, no more: the process may live on and use its mapping. */
void clients_linger(struct pool *pool, uint32_t id);

/* The kernel says that the process is dead; or it detaches, an orderly death.  Repair and sweep run as
 * a job; done, which may be NULL, tells waiter when they are over. */
void clients_died(struct pool *pool, uint32_t id, result_fn done, void *waiter);
void clients_detach(struct pool *pool, uint32_t id, result_fn done, void *waiter);

/* The process said hello with another image: what it had mapped under an older one is gone. */
void clients_exec(struct pool *pool, const struct peer *peer);

/* For the worker, which watches a pidfd for each: calls fn for every client that is attached or
 * lingering. */
void clients_each(struct pool *pool, void (*fn)(void *arg, uint32_t id, int32_t pid), void *arg);

/* The start time of a process in clock ticks since boot; 0 if there is none. */
uint64_t clients_start_time(int32_t pid);

/* May be called with PARTY_DAEMON and any word read from shared memory. */
bool clients_is_attached(const struct pool *pool, uint32_t id);
bool clients_is_tomb(const struct pool *pool, uint32_t id);

#endif
