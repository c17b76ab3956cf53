/* Who this process is to slabd, and its word with it: the lock, the connection, hello, calls.
 *
 * A child that was forked has no identity: it says hello at its first slow path, on a connection of its
 * own; the same segment is required, nothing is mapped anew.
 *
 * A call survives the death of the worker: the connection breaks, the next one resumes the identity
 * by its token, and the request is sent again under the same number, so slabd answers it once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"
#include "proto/limits.h"

#define BACKOFF_FIRST_NS UINT64_C(1000000)
#define BACKOFF_MOST_NS	 UINT64_C(100000000)

/* ---------------------------------------------------------------- time */

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t timeout_ms(void)
{
	const char *text = secure_getenv("SLABD_TIMEOUT_MS");
	unsigned long ms = text ? strtoul(text, NULL, 10) : 0;

	return ms && ms < 86400000 ? ms : PROTO_TIMEOUT_MS;
}

uint64_t clock_deadline(void)
{
	return clock_now() + timeout_ms() * 1000000;
}

uint64_t clock_deadline_short(void)
{
	return clock_now() + UINT64_C(1000000) * PROTO_FORK_TIMEOUT_MS;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000)};
}

/* Sleeps for *backoff, twice as long the next time; -ETIMEDOUT if that would pass the deadline. */
static int back_off(uint64_t *backoff, uint64_t deadline)
{
	uint64_t until = clock_now() + *backoff;
	struct timespec at = timespec_of(until);

	if (until >= deadline)
		return -ETIMEDOUT;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
	if (*backoff < BACKOFF_MOST_NS)
		*backoff *= 2;
	return 0;
}

static int error_timeout(const struct slabd *slabd)
{
	return error_set(-ETIMEDOUT,
			 "slabd at %s did not answer in time; see slabctl ping, or raise "
			 "SLABD_TIMEOUT_MS",
			 slabd->address.socket);
}

/* ---------------------------------------------------------------- the lock */

static int lock_until(pthread_mutex_t *lock, uint64_t deadline)
{
#ifdef __SANITIZE_THREAD__ /* gcc's knows no pthread_mutex_clocklock, and would call the unlock wrong */
	uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0;
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at = timespec_of((uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec + left);
	return pthread_mutex_timedlock(lock, &at);
#else
	struct timespec at = timespec_of(deadline);

	return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &at);
#endif
}

int attachment_lock(struct slabd *slabd, uint64_t deadline)
{
	if (pthread_mutex_trylock(&slabd->identity->lock) == 0)
		return 0;
	if (lock_until(&slabd->identity->lock, deadline) == 0)
		return 0;
	return error_timeout(slabd);
}

/* Sends the doorbell that waits; a lost one costs a tick of slabd's. */
static void send_bell(struct slabd *slabd, uint32_t slot)
{
	const struct slabd_cache *cache = caches_of_process[slot];
	struct request request = {.verb = REQUEST_DOORBELL,
				  .threads = load_relaxed(&process->threads)};

	if (!cache || cache->slabd != slabd)
		return;
	request.id = cache->view.id;
	request.serial = cache->serial;
	(void)connection_ring(&slabd->identity->connection, &request);
}

/* Whoever finds the lock taken leaves its bell to the holder, who looks once more after unlocking:
 * so either of the two sends it. */
void attachment_unlock(struct slabd *slabd)
{
	struct identity *identity = slabd->identity;

	do {
		uint32_t bell = exchange_relaxed(&identity->bell, 0);

		if (bell)
			send_bell(slabd, bell - 1);
		pthread_mutex_unlock(&identity->lock);
	} while (load_relaxed(&identity->bell) && pthread_mutex_trylock(&identity->lock) == 0);
}

/* ---------------------------------------------------------------- connection */

void attachment_drop_inherited(struct slabd *slabd)
{
	connection_close(&slabd->inherited);
}

/* Once. */
static int greet(struct slabd *slabd, const struct hello *hello, struct welcome *welcome,
		 uint64_t deadline)
{
	struct identity *identity = slabd->identity;
	struct answer answer;
	int r = connection_open(&identity->connection, &slabd->address);

	if (r == 0)
		r = connection_hello(&identity->connection, hello, welcome, &answer, deadline);
	if (r == 0 && answer.status < 0) {
		connection_close(&identity->connection);
		return error_set(answer.status, "%s", answer.why);
	}
	if (r < 0) {
		connection_close(&identity->connection);
		if (r == -ETIMEDOUT)
			return error_timeout(slabd);
		return error_set(r, "slabd at %s: %s; is it running? try: slabctl ping",
				 slabd->address.socket, strerror(-r));
	}
	slabd->inherited = identity->connection;
	return 0;
}

void attachment_close_regions(struct welcome *welcome)
{
	for (unsigned i = 0; i < welcome->nfds; i++)
		close(welcome->fds[i]);
	welcome->nfds = 0;
}

/* Will trying again help?  These mean that slabd, or its worker, is not there at the moment. */
static bool is_passing(int r)
{
	return r == -ECONNREFUSED || r == -ENOENT || r == -ECONNRESET || r == -EPIPE ||
	       r == -ENOTCONN || r == -EAGAIN;
}

int attachment_greet(struct slabd *slabd, const struct hello *hello, struct welcome *welcome,
		     uint64_t deadline, bool patient)
{
	uint64_t backoff = BACKOFF_FIRST_NS;

	for (;;) {
		int r = greet(slabd, hello, welcome, deadline);

		if (r == 0 || !is_passing(r))
			return r;
		if (!patient && (r == -ECONNREFUSED || r == -ENOENT))
			return r;
		if (back_off(&backoff, deadline) < 0)
			return error_timeout(slabd);
	}
}

static int connect_again(struct slabd *slabd, uint64_t deadline)
{
	struct identity *identity = slabd->identity;
	struct hello hello = {.segment = slabd->address.segment,
			      .resume_id = load_relaxed(&identity->client),
			      .token_high = identity->token_high,
			      .token_low = identity->token_low,
			      .segment_high = slabd->segment_high,
			      .segment_low = slabd->segment_low};
	struct welcome welcome;
	int r;

	if (identity->connection.open)
		return 0;
	r = attachment_greet(slabd, &hello, &welcome, deadline, true);
	if (r == 0)
		attachment_close_regions(&welcome);
	return r;
}

int attachment_call(struct slabd *slabd, struct request *request, struct answer *answer,
		    uint64_t deadline)
{
	struct identity *identity = slabd->identity;
	uint64_t backoff = BACKOFF_FIRST_NS;

	request->sequence = ++identity->sequence;
	request->threads = load_relaxed(&process->threads);
	for (;;) {
		int r = connect_again(slabd, deadline);

		if (r < 0)
			return r;
		r = connection_call(&identity->connection, request, answer, deadline);
		if (r == 0)
			return answer->status < 0 ? error_set(answer->status, "%s", answer->why)
						  : 0;
		if (r == -ETIMEDOUT)
			return error_timeout(slabd);
		connection_close(&identity->connection);
		if (!is_passing(r))
			return error_set(r, "slabd at %s: %s", slabd->address.socket, strerror(-r));
		if (back_off(&backoff, deadline) < 0)
			return error_timeout(slabd);
	}
}

/* ---------------------------------------------------------------- hello */

void attachment_take_identity(struct slabd *slabd, const struct welcome *welcome)
{
	struct identity *identity = slabd->identity;

	identity->token_high = welcome->token_high;
	identity->token_low = welcome->token_low;
	identity->sequence = 1; /* the hello's */
	store_release(&identity->client, welcome->client);
}

int attachment_enter(struct slabd *slabd, uint64_t deadline)
{
	struct hello hello = {.segment = slabd->address.segment};
	struct welcome welcome;
	int r;

	if (load_relaxed(&slabd->identity->client))
		return 0;
	attachment_drop_inherited(slabd);
	r = attachment_greet(slabd, &hello, &welcome, deadline, true);
	if (r < 0)
		return r;
	attachment_close_regions(&welcome);
	if (welcome.segment_high != slabd->segment_high ||
	    welcome.segment_low != slabd->segment_low) {
		connection_close(&slabd->identity->connection);
		return error_set(-ESTALE,
				 "slabd at %s has another segment than the one mapped here; detach "
				 "and attach again",
				 slabd->address.socket);
	}
	attachment_take_identity(slabd, &welcome);
	return 0;
}
