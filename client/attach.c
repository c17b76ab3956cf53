/* Attachments: this process as a client of one segment.
 *
 * What a child inherits (the mapping, struct slabd) and what it does not (struct identity: id, token,
 * connection; identity.c) are kept apart; see internal.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/internal.h"
#include "shm/probe.h"

static struct slabd *attachments;

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
	int r = attachment_greet(slabd, &hello, welcome, deadline, false);

	connection_close(&slabd->identity->connection);
	return r;
}

static int attach_new(struct slabd *slabd, uint64_t deadline)
{
	struct hello hello = {.segment = slabd->address.segment};
	struct welcome welcome;
	int r = attachment_greet(slabd, &hello, &welcome, deadline, false);

	if (r < 0)
		return r;
	attachment_take_identity(slabd, &welcome);
	slabd->segment_high = welcome.segment_high;
	slabd->segment_low = welcome.segment_low;
	r = map_regions(slabd, &welcome);
	attachment_close_regions(&welcome);
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
		attachment_drop_inherited(slabd);
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
