/* Attachments: this process as a client of one segment.
 *
 * What a child inherits (the mapping, struct slabd) and what it does not (struct identity: id, token,
 * connection) are kept apart; see internal.h.  A child attaches at its first slow path: hello on a
 * connection of its own, the same segment required, nothing mapped anew.
 *
 * A call survives the death of the worker: the connection breaks, the next one resumes the identity
 * by its token, and the request is sent again under the same number, so slabd answers it once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"
#include "proto/limits.h"
#include "shm/probe.h"

#define BACKOFF_FIRST_NS UINT64_C(1000000)
#define BACKOFF_MOST_NS	 UINT64_C(100000000)

static struct slabd *attachments;

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

/* A child must not keep its parent's socket: slabd would never see it end. */
static void drop_inherited(struct slabd *slabd)
{
	connection_close(&slabd->inherited);
}

/* Connects and says hello.  -errno with the error set; *answer has slabd's word. */
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

static void close_regions(struct welcome *welcome)
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

/* Before the first connection of a process there is an answer at once if nobody is there. */
static int greet_patiently(struct slabd *slabd, const struct hello *hello, struct welcome *welcome,
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
	r = greet_patiently(slabd, &hello, &welcome, deadline, true);
	if (r == 0)
		close_regions(&welcome);
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

static void take_identity(struct slabd *slabd, const struct welcome *welcome)
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
	drop_inherited(slabd);
	r = greet_patiently(slabd, &hello, &welcome, deadline, true);
	if (r < 0)
		return r;
	close_regions(&welcome);
	if (welcome.segment_high != slabd->segment_high ||
	    welcome.segment_low != slabd->segment_low) {
		connection_close(&slabd->identity->connection);
		return error_set(-ESTALE,
				 "slabd at %s has another segment than the one mapped here; detach "
				 "and attach again",
				 slabd->address.socket);
	}
	take_identity(slabd, &welcome);
	return 0;
}

/* ---------------------------------------------------------------- mapping */

static int map_regions(struct slabd *slabd, const struct welcome *w)
{
	char *catalog = NULL, *depot = NULL, *heap = NULL;
	int r;

	if (w->nfds != 3)
		return -EPROTO;
	r = segment_map(&catalog, w->fds[0], w->catalog_bytes, PROT_READ, NULL);
	if (r == 0)
		r = segment_map(&depot, w->fds[1], w->depot_bytes, PROT_READ | PROT_WRITE, NULL);
	if (r == 0) {
		r = segment_map(&heap, w->fds[2], w->heap_bytes, PROT_READ | PROT_WRITE,
				(void *)(uintptr_t)w->base); // NOLINT: the address is the daemon's
		slabd->same_address = r == 0;
		if (r == -EADDRINUSE)
			r = segment_map(&heap, w->fds[2], w->heap_bytes, PROT_READ | PROT_WRITE,
					NULL);
	}
	if (r == 0)
		r = segment_view(&slabd->segment, catalog, w->catalog_bytes, depot, w->depot_bytes,
				 heap, w->heap_bytes);
	if (r < 0) {
		if (catalog)
			munmap(catalog, w->catalog_bytes);
		if (depot)
			munmap(depot, w->depot_bytes);
		if (heap)
			munmap(heap, w->heap_bytes);
	}
	return r;
}

static void unmap_regions(struct slabd *slabd)
{
	struct segment *segment = &slabd->segment;

	if (!segment->heap)
		return;
	poison_detached(slabd);
	munmap(segment->heap, segment->heap_bytes);
	munmap(segment->depot, segment->depot_bytes);
	munmap(segment->catalog, segment->catalog_bytes);
}

/* ---------------------------------------------------------------- attach */

static void attachment_free(struct slabd *slabd)
{
	unmap_regions(slabd);
	if (slabd->identity) {
		connection_close(&slabd->identity->connection);
		munmap(slabd->identity, sizeof(*slabd->identity));
	}
	free(slabd);
}

static struct slabd *attachment_new(const struct address *address)
{
	struct slabd *slabd = calloc(1, sizeof(*slabd));
	void *p;

	if (!slabd)
		return NULL;
	slabd->address = *address;
	p = mmap(NULL, sizeof(*slabd->identity), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, sizeof(*slabd->identity), MADV_WIPEONFORK) < 0) {
		if (p != MAP_FAILED)
			munmap(p, sizeof(*slabd->identity));
		free(slabd);
		return NULL;
	}
	slabd->identity = p;
	return slabd;
}

/* The attachment that this process already has to the segment that slabd serves: NULL if none. */
static struct slabd *find_attachment(const struct welcome *welcome)
{
	struct slabd *slabd;

	for (slabd = attachments; slabd; slabd = slabd->next)
		if (slabd->segment_high == welcome->segment_high &&
		    slabd->segment_low == welcome->segment_low)
			break;
	return slabd;
}

/* Asks without becoming a client. */
static int look(struct slabd *slabd, struct welcome *welcome, uint64_t deadline)
{
	struct hello hello = {.segment = slabd->address.segment, .observer = true};
	int r = greet_patiently(slabd, &hello, welcome, deadline, false);

	connection_close(&slabd->identity->connection);
	return r;
}

static int attach_new(struct slabd *slabd, uint64_t deadline)
{
	struct hello hello = {.segment = slabd->address.segment};
	struct welcome welcome;
	int r = greet_patiently(slabd, &hello, &welcome, deadline, false);

	if (r < 0)
		return r;
	take_identity(slabd, &welcome);
	slabd->segment_high = welcome.segment_high;
	slabd->segment_low = welcome.segment_low;
	r = map_regions(slabd, &welcome);
	close_regions(&welcome);
	if (r < 0)
		return error_set(r, "slabd at %s: its segment of %llu MiB can't be mapped: %s",
				 slabd->address.socket,
				 (unsigned long long)(welcome.heap_bytes >> 20), strerror(-r));
	poison_attached(slabd);
	return 0;
}

/* With process.attach held. */
static int attach_locked(struct slabd **ret, const struct address *address, uint64_t deadline)
{
	struct slabd *slabd = attachment_new(address), *found;
	struct welcome welcome;
	int r = 0;

	if (!slabd)
		return error_set(-ENOMEM, "no memory for an attachment to %s", address->socket);
	if (attachments) {
		r = look(slabd, &welcome, deadline);
		found = r == 0 ? find_attachment(&welcome) : NULL;
		if (found) {
			attachment_free(slabd);
			found->opens++;
			*ret = found;
			return 0;
		}
	}
	if (r == 0)
		r = attach_new(slabd, deadline);
	if (r < 0) {
		attachment_free(slabd);
		return r;
	}
	PROBE2(attach, slabd->address.socket, load_relaxed(&slabd->identity->client));
	slabd->opens = 1;
	slabd->next = attachments;
	attachments = slabd;
	*ret = slabd;
	return 0;
}

int slabd_attach(struct slabd **ret, const char *given)
{
	struct address address;
	char why[WHY_BYTES];
	int r;

	if (!ret)
		return error_set(-EINVAL, "slabd_attach: no place for the result");
	*ret = NULL;
	if (!process)
		return error_set(-ENOMEM, "libslabd had no memory when it was loaded");
	r = address_resolve(&address, given, why, sizeof(why));
	if (r < 0)
		return error_set(r, "%s", why);
	pthread_mutex_lock(&process->attach);
	r = attach_locked(ret, &address, clock_deadline());
	pthread_mutex_unlock(&process->attach);
	return r;
}

/* ---------------------------------------------------------------- detach */

static void drop_caches(struct slabd *slabd)
{
	pthread_mutex_lock(&process->lock);
	for (uint32_t i = 0; i < SLOTS_MAX; i++)
		if (caches_of_process[i] && caches_of_process[i]->slabd == slabd) {
			thread_put_back_all(caches_of_process[i]);
			cache_drop(caches_of_process[i]);
		}
	pthread_mutex_unlock(&process->lock);
}

static void say_detach(struct slabd *slabd)
{
	struct request request = {.verb = REQUEST_DETACH};
	struct answer answer;
	uint64_t deadline = clock_deadline();

	if (!load_relaxed(&slabd->identity->client)) {
		drop_inherited(slabd);
		return;
	}
	if (attachment_lock(slabd, deadline) < 0)
		return;
	/* unanswered, the end of the socket and of the process say the same */
	(void)attachment_call(slabd, &request, &answer, deadline);
	pthread_mutex_unlock(&slabd->identity->lock);
}

void slabd_detach(struct slabd *slabd)
{
	if (!slabd)
		return;
	pthread_mutex_lock(&process->attach);
	if (--slabd->opens == 0) {
		for (struct slabd **p = &attachments; *p; p = &(*p)->next)
			if (*p == slabd) {
				*p = slabd->next;
				break;
			}
		drop_caches(slabd);
		say_detach(slabd);
		attachment_free(slabd);
	}
	pthread_mutex_unlock(&process->attach);
}

bool slabd_same_address(const struct slabd *slabd)
{
	return slabd->same_address;
}

struct slabd *slabd_default(void)
{
	static struct slabd *once;
	struct slabd *slabd = __atomic_load_n(&once, __ATOMIC_ACQUIRE), *none = NULL;
	int r;

	if (slabd)
		return slabd;
	r = slabd_attach(&slabd, NULL);
	if (r < 0)
		return error_null(r);
	if (__atomic_compare_exchange_n(&once, &none, slabd, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return slabd;
	slabd_detach(slabd); /* another thread was first; it is the same one, counted */
	return none;
}

int slabd_fast_check(unsigned layout)
{
	if (layout == SLABD_FAST_LAYOUT)
		return 0;
	errno = EPROTO;
	return error_set(-EPROTO,
			 "the program was compiled for layout %u of slabd/fast.h, this library has "
			 "layout %u; compile it again, or include slabd/slabd.h instead",
			 layout, SLABD_FAST_LAYOUT);
}
