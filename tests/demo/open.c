/* Opening the store: attach, three caches, one index. */
#include "tests/demo/store.h"

#include <errno.h>
#include <string.h>

static int open_caches(struct store *store)
{
	const struct {
		const char *name;
		struct slabd_cache **cache;
		struct slabd_cache_args args;
	} caches[] = {
		{"demo-sessions",
		 &store->sessions,
		 {.object_size = sizeof(struct session), .flags = SLABD_HWALIGN}},
		{"demo-responses",
		 &store->responses,
		 {.object_size = sizeof(struct response), .flags = SLABD_HWALIGN | SLABD_RECLAIM}},
		{"demo-index",
		 &store->index,
		 {.object_size = sizeof(struct index_page), .flags = SLABD_HWALIGN}},
	};

	for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
		struct slabd_cache_args args = caches[i].args;
		int r;

		args.size_of_args = sizeof args;
		r = slabd_cache_create(store->slabd, caches[i].name, &args, caches[i].cache);
		if (r < 0)
			return r;
	}
	return 0;
}

static int init_page(struct index_page *page)
{
	pthread_mutexattr_t attributes;
	int error = pthread_mutexattr_init(&attributes);

	if (error)
		return -error;
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	for (size_t i = 0; !error && i < PAGE_BUCKETS; i++)
		error = pthread_mutex_init(&page->buckets[i].lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -error;
}

static void drop_index(struct store *store, struct index_root *root)
{
	for (size_t i = 0; i < INDEX_PAGES && root->pages[i]; i++)
		slabd_free_handle(store->index, root->pages[i]);
	slabd_free(store->index, root);
}

static struct index_root *new_index(struct store *store)
{
	struct index_root *root = slabd_alloc(store->index, SLABD_ZERO);

	if (!root)
		return NULL;
	root->magic = INDEX_MAGIC;
	for (size_t i = 0; i < INDEX_PAGES; i++) {
		struct index_page *page = slabd_alloc(store->index, SLABD_ZERO);

		root->pages[i] = slabd_handle_of(store->index, page);
		if (!page || init_page(page) < 0) {
			drop_index(store, root);
			return NULL;
		}
	}
	return root;
}

static int find_index(struct store *store)
{
	slabd_handle handle = slabd_root(store->index);

	if (!handle)
		return -ENOENT;
	store->root = slabd_get(store->index, handle);
	if (!store->root)
		return -ESTALE;
	return store->root->magic == INDEX_MAGIC ? 0 : -EBADMSG;
}

/* The index becomes known when it is whole. If another server was quicker, its index is ours. */
static int find_or_make_index(struct store *store)
{
	struct index_root *root;
	int r = find_index(store);

	if (r != -ENOENT)
		return r;
	root = new_index(store);
	if (!root)
		return -ENOMEM;
	if (!slabd_set_root(store->index, 0, slabd_handle_of(store->index, root)))
		drop_index(store, root);
	return find_index(store);
}

int store_open(struct store *store, const char *address)
{
	int r;

	memset(store, 0, sizeof *store);
	r = slabd_attach(&store->slabd, address);
	if (r == 0)
		r = open_caches(store);
	if (r == 0)
		r = find_or_make_index(store);
	if (r < 0)
		store_close(store);
	return r;
}

int store_find(struct store *store, const char *address)
{
	int r;

	memset(store, 0, sizeof *store);
	r = slabd_attach(&store->slabd, address);
	if (r == 0)
		r = slabd_cache_open(store->slabd, "demo-sessions", &store->sessions);
	if (r == 0)
		r = slabd_cache_open(store->slabd, "demo-responses", &store->responses);
	if (r == 0)
		r = slabd_cache_open(store->slabd, "demo-index", &store->index);
	if (r == 0)
		r = find_index(store);
	if (r < 0)
		store_close(store);
	return r;
}

void store_close(struct store *store)
{
	if (store->sessions)
		slabd_cache_close(store->sessions);
	if (store->responses)
		slabd_cache_close(store->responses);
	if (store->index)
		slabd_cache_close(store->index);
	if (store->slabd)
		slabd_detach(store->slabd);
	memset(store, 0, sizeof *store);
}
