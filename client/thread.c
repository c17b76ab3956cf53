/* Thread tables.
 *
 * A thread reaches its magazines through one initial-exec TLS pointer, slabd_fast_slots.
 * Until it has allocated, the pointer leads to a shared table of zeros, so the fast path needs no
 * test of its own for that: no loaded magazine is the slow path.
 *
 * A table is a private mapping, MADV_WIPEONFORK: after fork, vfork and clone without CLONE_VM the
 * child's thread has the same TLS pointer and reads zeros, and so holds nothing.  The parent's
 * magazines stay the parent's.  At its first slow path the child registers the table anew; a zeroed
 * header says that it must.
 *
 * The mapping is large and sparse: one page for the header, one for each 64 caches in use. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "client/internal.h"

/* A tag that nobody stores, whatever its generation: CIRC has no owner. */
#define MINE_NONE tag_make(PARTY_MAX, TAG_CIRC, 0)

static struct slabd_fast_slot no_slots[SLOTS_MAX]; /* never written */

__thread char *slabd_fast_slots = (char *)no_slots;
struct process *process;
struct slabd_cache *caches_of_process[SLOTS_MAX];

static pthread_key_t key;
static bool key_made;

static bool has_table(void)
{
	return slabd_fast_slots != (char *)no_slots;
}

static struct table *table_of_thread(void)
{
	return (struct table *)(void *)(slabd_fast_slots - offsetof(struct table, slots));
}

static void *map_wiped(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, bytes, MADV_WIPEONFORK) < 0) {
		munmap(p, bytes);
		return NULL;
	}
	return p;
}

/* ---------------------------------------------------------------- putting back */

static void put_one(struct slabd_cache *cache, struct magazine *magazine, uint32_t index,
		    uint32_t me)
{
	if (!magazine)
		return;
	add_relaxed(&depot_counters(&cache->view, me)->frees, magazine_count(magazine));
	depot_put(&cache->view, index, magazine);
}

void thread_put_back(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	struct slabd_fast_slot was = *slot;

	/* private memory first: a handler or a child must not find what is the depot's again */
	slot->loaded = slot->previous = NULL;
	atomic_step();
	put_one(cache, was.loaded, was.loaded_index, was.me);
	put_one(cache, was.previous, was.previous_index, was.me);
}

void thread_put_previous(struct slabd_cache *cache, struct slabd_fast_slot *slot)
{
	struct slabd_fast_slot was = *slot;

	slot->previous = was.loaded;
	slot->previous_index = was.loaded_index;
	slot->loaded = NULL;
	atomic_step();
	put_one(cache, was.previous, was.previous_index, was.me);
}

void thread_put_back_all(struct slabd_cache *cache)
{
	for (struct table *table = process->tables; table; table = table->next) {
		struct slabd_fast_slot *slot = &table->slots[cache->slot];

		/* an untouched page stays untouched only if it isn't written */
		if (!slot->live)
			continue;
		thread_put_back(cache, slot);
		memset(slot, 0, sizeof(*slot));
	}
}

static void put_back_table(struct table *table, const struct slabd *slabd)
{
	for (uint32_t i = 0; i < SLOTS_MAX; i++) {
		struct slabd_cache *cache = caches_of_process[i];

		if (!cache || (slabd && cache->slabd != slabd) || !table->slots[i].live)
			continue;
		if (parked_any())
			parked_resume(cache, &table->slots[i]);
		thread_put_back(cache, &table->slots[i]);
	}
}

void slabd_flush(struct slabd *slabd)
{
	if (!slabd || !has_table())
		return;
	pthread_mutex_lock(&process->lock);
	put_back_table(table_of_thread(), slabd);
	pthread_mutex_unlock(&process->lock);
}

/* ---------------------------------------------------------------- a thread's life */

static void on_thread_exit(void *arg)
{
	struct table *table = arg;

	slabd_fast_slots =
		(char *)no_slots; /* whatever other destructors free makes a table anew */
	pthread_mutex_lock(&process->lock);
	put_back_table(table, NULL);
	if (table->registered) {
		*table->link = table->next;
		if (table->next)
			table->next->link = table->link;
		store_relaxed(&process->threads, load_relaxed(&process->threads) - 1);
	}
	pthread_mutex_unlock(&process->lock);
	munmap(table, sizeof(*table));
}

static void register_table(struct table *table)
{
	pthread_mutex_lock(&process->lock);
	table->next = process->tables;
	if (table->next)
		table->next->link = &table->next;
	process->tables = table;
	table->link = &process->tables;
	table->registered = true;
	store_relaxed(&process->threads, load_relaxed(&process->threads) + 1);
	pthread_mutex_unlock(&process->lock);
}

static int ensure_table(void)
{
	struct table *table;

	if (!has_table()) {
		table = map_wiped(sizeof(*table));
		if (!table || pthread_setspecific(key, table)) {
			if (table)
				munmap(table, sizeof(*table));
			return error_set(-ENOMEM, "no memory for this thread's table of magazines");
		}
		slabd_fast_slots = (char *)table->slots;
	}
	table = table_of_thread();
	if (!table->registered)
		register_table(table);
	return 0;
}

/* Threads begin their searches in different racks, so that they seldom meet. */
static uint32_t home_cursor(const struct slabd_cache *cache, uint32_t client)
{
	uint32_t racks = load_relaxed(&cache->view.desc->racks);
	uint32_t hash = (client ^ (uint32_t)((uintptr_t)slabd_fast_slots >> 20)) * 2654435769u;

	return racks ? (hash >> 8) % racks * RACK_MAGAZINES : 0;
}

int thread_enter(struct slabd_cache *cache, uint64_t deadline)
{
	struct slabd *slabd = cache->slabd;
	struct slabd_fast_slot *slot;
	int r = ensure_table();

	if (r < 0)
		return r;
	slot = thread_slot(cache);
	if (slot->live)
		return 0;
	r = attachment_lock(slabd, deadline);
	if (r < 0)
		return r;
	r = attachment_enter(slabd, deadline);
	if (r == 0)
		r = cache_enter(cache, deadline);
	if (r == 0) {
		slot->me = load_relaxed(&slabd->identity->client);
		slot->full_cursor = slot->empty_cursor = home_cursor(cache, slot->me);
		slot->capacity = cache->view.geometry.capacity;
		slot->live = tag_make(slot->me, TAG_LIVE, 0);
		slot->mine = cache->strict ? MINE_NONE : slot->live;
	}
	attachment_unlock(slabd);
	return r;
}

/* At load, before any thread could have been forked away from an initialisation half done. */
__attribute__((constructor)) static void process_init(void)
{
	process = map_wiped(sizeof(*process));
	key_made = pthread_key_create(&key, on_thread_exit) == 0;
	if (!key_made && process) {
		munmap(process, sizeof(*process));
		process = NULL;
	}
}
