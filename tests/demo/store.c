/* Who may touch what:
 *
 *  - A session in a chain is touched under its bucket's lock only. slabd_get() pins nothing; the lock
 *    does, since nobody frees a session that is still linked.
 *  - A session out of a chain belongs to the one process that took it out, and is freed by it, by
 *    handle: whoever allocated it.
 *  - Memory is allocated before the lock is taken and freed after it is released, so that a slow
 *    allocation never makes another worker wait. */
#include "tests/demo/store.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define COUNT(store, what) \
	atomic_fetch_add_explicit(&(store)->root->tally.what, 1, memory_order_relaxed)

static uint64_t mix(uint64_t sum, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* FNV-1a. The unused end of the text counts too: it must have stayed zero. */
static uint64_t sum_of(const struct session *session)
{
	uint64_t sum = mix(UINT64_C(0xcbf29ce484222325), session, offsetof(struct session, sum));

	return mix(sum, session->text, sizeof session->text);
}

static bool is_whole(const struct session *session)
{
	return session->length <= SESSION_TEXT_MAX && session->sum == sum_of(session);
}

/* ---------------------------------------------------------------- the index */

static struct bucket *bucket_of(const struct store *store, uint64_t id)
{
	uint64_t number = id % (INDEX_PAGES * PAGE_BUCKETS);
	struct index_page *page =
		slabd_get(store->index, store->root->pages[number / PAGE_BUCKETS]);

	return page ? &page->buckets[number % PAGE_BUCKETS] : NULL;
}

/* The last holder may have been killed inside. There is nothing to mend then (see session.h). */
static int bucket_lock(struct store *store, struct bucket *bucket)
{
	int error;

	if (!bucket)
		return -EBADMSG;
	error = pthread_mutex_lock(&bucket->lock);
	if (error == EOWNERDEAD) {
		COUNT(store, locks_taken_over);
		error = pthread_mutex_consistent(&bucket->lock);
	}
	return -error;
}

static void bucket_unlock(struct bucket *bucket)
{
	pthread_mutex_unlock(&bucket->lock);
}

/* Where a session hangs: the word that holds its handle, the handle, and the session itself. */
struct place {
	_Atomic slabd_handle *link;
	slabd_handle handle;
	struct session *session;
};

static int find(struct store *store, struct bucket *bucket, uint64_t id, struct place *place)
{
	for (place->link = &bucket->first;; place->link = &place->session->next) {
		place->handle = atomic_load_explicit(place->link, memory_order_relaxed);
		if (!place->handle)
			return -ENOENT;
		place->session = slabd_get(store->sessions, place->handle);
		if (!place->session)
			break;
		if (place->session->id != id)
			continue;
		if (!is_whole(place->session))
			break;
		return 0;
	}
	COUNT(store, damaged);
	return -EBADMSG;
}

/* The one store by which a chain changes. Release: the next state is complete before it is seen, by
 * this process's death too. */
static void relink(_Atomic slabd_handle *link, slabd_handle handle)
{
	atomic_store_explicit(link, handle, memory_order_release);
}

/* ---------------------------------------------------------------- one session */

static struct session *session_new(struct store *store, const void *text, size_t length)
{
	struct session *session = slabd_alloc(store->sessions, SLABD_ZERO);

	if (!session)
		return NULL;
	session->maker = session->writer = (uint32_t)getpid();
	session->length = (uint32_t)length;
	memcpy(session->text, text, length);
	return session;
}

/* Not to be guessed; 0 is no id. */
static int choose_id(uint64_t *id)
{
	do {
		if (getrandom(id, sizeof *id, 0) != sizeof *id && errno != EINTR)
			return -errno;
	} while (!*id);
	return 0;
}

int store_create(struct store *store, const void *text, size_t length, struct session *copy)
{
	struct session *session = session_new(store, text, length);
	struct bucket *bucket = NULL;
	int r;

	if (!session)
		return -ENOMEM;
	r = choose_id(&session->id);
	if (r == 0) {
		bucket = bucket_of(store, session->id);
		r = bucket_lock(store, bucket);
	}
	if (r < 0) {
		slabd_free(store->sessions, session);
		return r;
	}
	session->sum = sum_of(session);
	session->next = bucket->first;
	*copy = *session;
	relink(&bucket->first, slabd_handle_of(store->sessions, session));
	bucket_unlock(bucket);
	COUNT(store, created);
	return 0;
}

int store_read(struct store *store, uint64_t id, struct session *copy)
{
	struct bucket *bucket = bucket_of(store, id);
	struct place place;
	int r = bucket_lock(store, bucket);

	if (r < 0)
		return r;
	r = find(store, bucket, id, &place);
	if (r == 0)
		*copy = *place.session;
	bucket_unlock(bucket);
	if (r < 0)
		return r;
	COUNT(store, read);
	if (copy->writer != (uint32_t)getpid())
		COUNT(store, read_foreign);
	return 0;
}

/* The new state takes the old one's place in the chain. */
static void replace(struct store *store, const struct place *old, struct session *session)
{
	session->id = old->session->id;
	session->maker = old->session->maker;
	session->updates = old->session->updates + 1;
	session->sum = sum_of(session);
	session->next = old->session->next;
	relink(old->link, slabd_handle_of(store->sessions, session));
}

int store_update(struct store *store, uint64_t id, const void *text, size_t length,
		 struct session *copy)
{
	struct session *session = session_new(store, text, length);
	struct bucket *bucket = bucket_of(store, id);
	uint32_t owner = 0;
	struct place old;
	int r;

	if (!session)
		return -ENOMEM;
	r = bucket_lock(store, bucket);
	if (r == 0) {
		r = find(store, bucket, id, &old);
		if (r == 0) {
			owner = old.session->writer;
			replace(store, &old, session);
			*copy = *session;
		}
		bucket_unlock(bucket);
	}
	if (r < 0) {
		slabd_free(store->sessions, session);
		return r;
	}
	r = slabd_free_handle(store->sessions, old.handle);
	COUNT(store, updated);
	if (owner != (uint32_t)getpid())
		COUNT(store, updated_foreign);
	return r;
}

int store_delete(struct store *store, uint64_t id, struct session *copy)
{
	struct bucket *bucket = bucket_of(store, id);
	struct place place;
	int r = bucket_lock(store, bucket);

	if (r < 0)
		return r;
	r = find(store, bucket, id, &place);
	if (r == 0) {
		*copy = *place.session;
		relink(place.link, place.session->next);
	}
	bucket_unlock(bucket);
	if (r < 0)
		return r;
	r = slabd_free_handle(store->sessions, place.handle);
	COUNT(store, deleted);
	if (copy->writer != (uint32_t)getpid())
		COUNT(store, deleted_foreign);
	return r;
}

/* ---------------------------------------------------------------- all of them */

static int walk_bucket(struct store *store, uint64_t number, struct findings *findings)
{
	struct bucket *bucket = bucket_of(store, number);
	slabd_handle handle;
	int r = bucket_lock(store, bucket);

	if (r < 0)
		return r;
	for (handle = bucket->first; handle;) {
		const struct session *session = slabd_get(store->sessions, handle);

		if (!session) {
			findings->damaged++;
			break;
		}
		if (!is_whole(session) || bucket_of(store, session->id) != bucket)
			findings->damaged++;
		findings->sessions++;
		findings->updates += session->updates;
		handle = session->next;
	}
	bucket_unlock(bucket);
	return 0;
}

int store_walk(struct store *store, struct findings *findings)
{
	int r = 0;

	memset(findings, 0, sizeof *findings);
	for (uint64_t i = 0; r == 0 && i < INDEX_PAGES * PAGE_BUCKETS; i++)
		r = walk_bucket(store, i, findings);
	return r;
}

static int clear_bucket(struct store *store, uint64_t number, uint64_t *freed)
{
	struct bucket *bucket = bucket_of(store, number);
	slabd_handle handle;
	int r = bucket_lock(store, bucket);

	if (r < 0)
		return r;
	while (r == 0 && (handle = bucket->first)) {
		const struct session *session = slabd_get(store->sessions, handle);

		if (!session) {
			r = -EBADMSG;
			break;
		}
		relink(&bucket->first, session->next);
		r = slabd_free_handle(store->sessions, handle);
		*freed += r == 0;
	}
	bucket_unlock(bucket);
	return r;
}

static int free_index(struct store *store, struct index_root *root)
{
	slabd_handle handle = slabd_handle_of(store->index, root);
	int r = 0;

	for (size_t i = 0; r == 0 && i < INDEX_PAGES && root->pages[i]; i++)
		r = slabd_free_handle(store->index, root->pages[i]);
	return r < 0 ? r : slabd_free_handle(store->index, handle);
}

int store_clear(struct store *store, uint64_t *freed)
{
	struct slabd_cache **caches[] = {&store->responses, &store->sessions, &store->index};
	int r = 0;

	*freed = 0;
	for (uint64_t i = 0; r == 0 && i < INDEX_PAGES * PAGE_BUCKETS; i++)
		r = clear_bucket(store, i, freed);
	if (r < 0)
		return r;
	slabd_set_root(store->index, slabd_root(store->index), 0);
	r = free_index(store, store->root);
	for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
		int destroyed = slabd_cache_destroy(*caches[i]);

		if (destroyed == 0)
			*caches[i] = NULL;
		else if (r == 0)
			r = destroyed;
	}
	return r;
}
