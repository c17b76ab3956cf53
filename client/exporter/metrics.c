#include "client/exporter/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/exporter/text.h"
#include "proto/version.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* A figure that is one uint64_t of a row. */
struct figure {
	struct family family;
	size_t offset;
};

#define FIGURE(row, field, name, kind, unit, help)             \
	{                                                      \
		{name, kind, unit, help}, offsetof(row, field) \
	}
#define POOL(field, name, kind, unit, help)  FIGURE(struct status_row, field, name, kind, unit, help)
#define CACHE(field, name, kind, unit, help) FIGURE(struct cache_row, field, name, kind, unit, help)
#define CLIENT(field, name, kind, help)	     FIGURE(struct client_row, field, name, kind, "", help)

static uint64_t figure_of(const struct figure *figure, const void *row)
{
	return *(const uint64_t *)(const void *)((const char *)row + figure->offset);
}

/* ---------------------------------------------------------------- the exporter itself */

static const struct family up = {"slabd_up", KIND_GAUGE, "", "Whether slabd answered in time."};
static const struct family complete = {
	"slabd_scrape_complete", KIND_GAUGE, "",
	"Whether slabd gave all figures in time; if not, those of caches or clients are missing."};
static const struct family duration = {"slabd_scrape_duration_seconds", KIND_GAUGE, "seconds",
				       "What asking slabd took."};
static const struct family exporter = {"slabd_exporter_build", KIND_INFO, "",
				       "The release of the exporter."};

static void put_scrape(struct text *text, const struct sample *sample)
{
	text_family(text, &up);
	text_count(text, sample->up);
	text_family(text, &complete);
	text_count(text, sample->complete);
	text_family(text, &duration);
	text_number(text, sample->seconds);
	text_family(text, &exporter);
	text_label(text, 0, "version", SLABD_VERSION_STRING);
	text_count(text, 1);
}

/* ---------------------------------------------------------------- the pool */

static const struct family build = {"slabd_build", KIND_INFO, "", "The release of slabd."};
static const struct family backing = {
	"slabd_backing", KIND_INFO, "",
	"What backs the heap: hugetlb (reserved hugepages), thp (2 MiB pages), pages (4 KiB)."};
static const struct family uptime = {"slabd_uptime_seconds", KIND_GAUGE, "seconds",
				     "Since slabd started; a worker's restart does not reset it."};
static const struct family damaged = {"slabd_damaged", KIND_GAUGE, "",
				      "Whether memory under the segment is gone."};
static const struct family refill_wait = {
	"slabd_refill_wait_seconds", KIND_SUMMARY, "seconds",
	"How long refills took slabd, since its worker started; rounded up to a power of two."};

static const struct figure pool_figures[] = {
	POOL(worker_restarts, "slabd_worker_restarts", KIND_COUNTER, "",
	     "Times that the worker died and was started again."),
	POOL(heap_bytes, "slabd_heap_size_bytes", KIND_GAUGE, "bytes",
	     "What the heap may grow to."),
	POOL(heap_used_bytes, "slabd_heap_used_bytes", KIND_GAUGE, "bytes",
	     "What of the heap is backed by memory."),
	POOL(memory_bytes, "slabd_memory_bytes", KIND_GAUGE, "bytes",
	     "What the system counts for catalog, depot and heap."),
	POOL(caches, "slabd_caches", KIND_GAUGE, "", "Caches."),
	POOL(max_caches, "slabd_caches_limit", KIND_GAUGE, "", "Caches that there may be."),
	POOL(clients, "slabd_clients", KIND_GAUGE, "", "Attached clients."),
	POOL(max_clients, "slabd_clients_limit", KIND_GAUGE, "", "Clients that may be attached."),
	POOL(refills, "slabd_refills", KIND_COUNTER, "",
	     "Refills that clients asked for, since the worker started."),
};

static void put_pool(struct text *text, const struct status_row *status)
{
	text_family(text, &build);
	text_label(text, 0, "version", status->version);
	text_count(text, 1);
	text_family(text, &backing);
	text_label(text, 0, "backing", status->backing);
	text_count(text, 1);
	text_family(text, &uptime);
	text_number(text, (double)status->uptime_ms / 1e3);
	text_family(text, &damaged);
	text_count(text, status->damaged);
	for (size_t i = 0; i < LENGTH(pool_figures); i++) {
		text_family(text, &pool_figures[i].family);
		text_count(text, figure_of(&pool_figures[i], status));
	}
	text_family(text, &refill_wait);
	text_label(text, 0, "quantile", "0.99");
	text_number(text, (double)status->refill_wait_us_p99 / 1e6);
}

/* ---------------------------------------------------------------- caches */

/* Destroyed caches whose memory is still in use go by one name, which no cache can have: the name of
 * one may be another's by now. */
#define DESTROYED "(destroyed)"

static const struct family objects = {
	"slabd_cache_objects", KIND_GAUGE, "",
	"Objects by where they are: live, orphaned, in_magazines, in_slabs."};

static const struct figure states[] = {
	CACHE(live, "live", KIND_GAUGE, "", ""),
	CACHE(orphaned, "orphaned", KIND_GAUGE, "", ""),
	CACHE(in_magazines, "in_magazines", KIND_GAUGE, "", ""),
	CACHE(in_slabs, "in_slabs", KIND_GAUGE, "", ""),
};

/* These add up. */
static const struct figure cache_sums[] = {
	CACHE(slabs, "slabd_cache_slabs", KIND_GAUGE, "", "Slabs."),
	CACHE(bytes, "slabd_cache_bytes", KIND_GAUGE, "bytes", "Heap that the slabs take."),
	CACHE(clients, "slabd_cache_clients", KIND_GAUGE, "", "Clients that have the cache open."),
};

/* These do not: they say nothing of the destroyed. */
static const struct figure cache_figures[] = {
	CACHE(object_size, "slabd_cache_object_size_bytes", KIND_GAUGE, "bytes",
	      "Size of an object."),
	CACHE(slab_bytes, "slabd_cache_slab_size_bytes", KIND_GAUGE, "bytes", "Size of a slab."),
	CACHE(allocs, "slabd_cache_allocs", KIND_COUNTER, "",
	      "Objects that clients took out of the depot to allocate, in whole magazines."),
	CACHE(frees, "slabd_cache_frees", KIND_COUNTER, "",
	      "Objects that clients put back into the depot, in whole magazines."),
	CACHE(claims, "slabd_cache_claims", KIND_COUNTER, "", "Full magazines claimed."),
	CACHE(refills, "slabd_cache_refills", KIND_COUNTER, "",
	      "Refills that clients asked for, since the worker started."),
	CACHE(waits, "slabd_cache_waits", KIND_COUNTER, "",
	      "Times that a client waited for slabd to refill."),
};

/* The sum over the destroyed; true if there are any. */
static bool sum_destroyed(const struct list *caches, const struct figure *figure, uint64_t *sum)
{
	const struct cache_row *rows = caches->rows;
	bool any = false;

	*sum = 0;
	for (size_t i = 0; i < caches->n; i++)
		if (rows[i].unlinked) {
			*sum += figure_of(figure, &rows[i]);
			any = true;
		}
	return any;
}

static void put_caches(struct text *text, const struct list *caches, const struct figure *figure,
		       bool destroyed)
{
	const struct cache_row *rows = caches->rows;
	uint64_t sum;

	for (size_t i = 0; i < caches->n; i++)
		if (!rows[i].unlinked) {
			text_label(text, 0, "cache", rows[i].name);
			text_count(text, figure_of(figure, &rows[i]));
		}
	if (destroyed && sum_destroyed(caches, figure, &sum)) {
		text_label(text, 0, "cache", DESTROYED);
		text_count(text, sum);
	}
}

static void put_all_caches(struct text *text, const struct list *caches)
{
	text_family(text, &objects);
	for (size_t i = 0; i < LENGTH(states); i++) {
		text_label(text, 1, "state", states[i].family.name);
		put_caches(text, caches, &states[i], true);
	}
	for (size_t i = 0; i < LENGTH(cache_sums); i++) {
		text_family(text, &cache_sums[i].family);
		put_caches(text, caches, &cache_sums[i], true);
	}
	for (size_t i = 0; i < LENGTH(cache_figures); i++) {
		text_family(text, &cache_figures[i].family);
		put_caches(text, caches, &cache_figures[i], false);
	}
}

/* ---------------------------------------------------------------- clients */

static const struct figure client_figures[] = {
	CLIENT(live, "slabd_client_live_objects", KIND_GAUGE, "Objects that the client owns."),
	CLIENT(in_magazines, "slabd_client_magazine_objects", KIND_GAUGE,
	       "Free objects in magazines that the client holds."),
	CLIENT(threads, "slabd_client_threads", KIND_GAUGE, "Threads of the client that allocate."),
	CLIENT(refills, "slabd_client_refills", KIND_COUNTER, "Refills that the client asked for."),
};

/* One process may be attached twice, so its pid alone would not tell two clients apart. */
static void put_clients(struct text *text, const struct list *clients)
{
	const struct client_row *rows = clients->rows;
	char id[24], pid[24];

	for (size_t f = 0; f < LENGTH(client_figures); f++) {
		text_family(text, &client_figures[f].family);
		for (size_t i = 0; i < clients->n; i++) {
			snprintf(id, sizeof(id), "%llu", (unsigned long long)rows[i].id);
			snprintf(pid, sizeof(pid), "%llu", (unsigned long long)rows[i].pid);
			text_label(text, 0, "client", id);
			text_label(text, 1, "pid", pid);
			text_label(text, 2, "comm", rows[i].comm);
			text_count(text, figure_of(&client_figures[f], &rows[i]));
		}
	}
}

char *metrics_text(const struct sample *sample, bool openmetrics, size_t *bytes)
{
	struct text text = {.openmetrics = openmetrics};
	char *ret = NULL;
	bool failed;

	text.to = open_memstream(&ret, bytes);
	if (!text.to)
		return NULL;
	put_scrape(&text, sample);
	if (sample->up)
		put_pool(&text, &sample->status);
	if (sample->complete) {
		put_all_caches(&text, &sample->caches);
		put_clients(&text, &sample->clients);
	}
	text_end(&text);
	failed = ferror(text.to);
	if (fclose(text.to) == 0 && !failed)
		return ret;
	free(ret);
	return NULL;
}
