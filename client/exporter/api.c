#include "client/exporter/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <jansson.h>

#include "proto/version.h"
#include "shm/geometry.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* A row's field that goes out as it is: a text or a uint64_t. */
struct field {
	const char *name;
	bool text;
	size_t offset;
};

#define TEXT(row, field)                           \
	{                                          \
#field, true, offsetof(row, field) \
	}
#define COUNT(row, field)                           \
	{                                           \
#field, false, offsetof(row, field) \
	}

static const struct field status_fields[] = {
	TEXT(struct status_row, version),	TEXT(struct status_row, address),
	TEXT(struct status_row, backing),	TEXT(struct status_row, backing_why),
	COUNT(struct status_row, heap_bytes),	COUNT(struct status_row, heap_used_bytes),
	COUNT(struct status_row, memory_bytes), COUNT(struct status_row, caches),
	COUNT(struct status_row, clients),	COUNT(struct status_row, worker_restarts),
	COUNT(struct status_row, refills),	COUNT(struct status_row, refill_wait_us_p99),
	COUNT(struct status_row, uptime_ms),
};

static const struct field cache_fields[] = {
	TEXT(struct cache_row, name),	       COUNT(struct cache_row, id),
	COUNT(struct cache_row, object_size),  COUNT(struct cache_row, slab_bytes),
	COUNT(struct cache_row, slabs),	       COUNT(struct cache_row, objects),
	COUNT(struct cache_row, live),	       COUNT(struct cache_row, orphaned),
	COUNT(struct cache_row, in_magazines), COUNT(struct cache_row, in_slabs),
	COUNT(struct cache_row, clients),      COUNT(struct cache_row, bytes),
	COUNT(struct cache_row, allocs),       COUNT(struct cache_row, frees),
	COUNT(struct cache_row, refills),      COUNT(struct cache_row, waits),
};

static const struct field client_fields[] = {
	COUNT(struct client_row, id),	   COUNT(struct client_row, pid),
	COUNT(struct client_row, uid),	   TEXT(struct client_row, comm),
	COUNT(struct client_row, threads), COUNT(struct client_row, live),
	COUNT(struct client_row, refills), COUNT(struct client_row, in_magazines),
	TEXT(struct client_row, state),
};

/* Bytes that are no UTF-8 become "?"; this happens to no text of a slabd of this release. */
static json_t *text_of(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_string("?");
}

static json_t *row_of(const struct field *fields, size_t n, const void *row)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)row + fields[i].offset;

		json_object_set_new(
			object, fields[i].name,
			fields[i].text
				? text_of(at)
				: json_integer((json_int_t) * (const uint64_t *)(const void *)at));
	}
	return object;
}

static json_t *caches_of(const struct sample *sample)
{
	const struct cache_row *rows = sample->caches.rows;
	char *const *maps = sample->maps.rows;
	json_t *array = json_array();

	for (size_t i = 0; i < sample->caches.n; i++) {
		json_t *cache = row_of(cache_fields, LENGTH(cache_fields), &rows[i]);

		json_object_set_new(cache, "reclaim",
				    json_boolean(rows[i].flags & GEOMETRY_RECLAIM));
		json_object_set_new(cache, "destroyed", json_boolean(rows[i].unlinked));
		if (i < sample->maps.n && maps[i])
			json_object_set_new(cache, "map", text_of(maps[i]));
		json_array_append_new(array, cache);
	}
	return array;
}

static json_t *clients_of(const struct sample *sample)
{
	const struct client_row *rows = sample->clients.rows;
	json_t *array = json_array();

	for (size_t i = 0; i < sample->clients.n; i++)
		json_array_append_new(array,
				      row_of(client_fields, LENGTH(client_fields), &rows[i]));
	return array;
}

char *api_text(const struct sample *sample)
{
	json_t *document = json_object();
	char *text;

	json_object_set_new(document, "exporter", json_string(SLABD_VERSION_STRING));
	json_object_set_new(document, "up", json_boolean(sample->up));
	json_object_set_new(document, "complete", json_boolean(sample->complete));
	json_object_set_new(document, "why", text_of(sample->why));
	json_object_set_new(document, "time", json_real(sample->unix_time));
	if (sample->up) {
		json_t *status = row_of(status_fields, LENGTH(status_fields), &sample->status);

		json_object_set_new(status, "damaged", json_boolean(sample->status.damaged));
		json_object_set_new(document, "status", status);
	}
	if (sample->complete) {
		json_object_set_new(document, "caches", caches_of(sample));
		json_object_set_new(document, "clients", clients_of(sample));
	}
	text = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(document);
	return text;
}
