#include "client/slabctl/live.h"

#include <stdlib.h>
#include <time.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/wire.h"

bool live_may_return(int code)
{
	return code == EXIT_UNREACHABLE || code == EXIT_TIMEOUT;
}

void live_free(struct moment *moment)
{
	free(moment->caches.rows);
	moment->caches = (struct list){0};
}

int live_take(struct query *query, struct moment *ret)
{
	struct moment now = {.seconds = (uint64_t)time(NULL)};
	int code = query->socket < 0 ? query_open(query) : EXIT_DONE;

	if (!code)
		code = query_status(query, &now.status);
	if (!code)
		code = query_caches(query, &now.caches);
	if (code) {
		query_close(query); /* an answer that comes late would be taken for another */
		live_free(&now);
		return code;
	}
	now.at_ms = wire_now();
	live_free(ret);
	*ret = now;
	return EXIT_DONE;
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

struct traffic live_cache_traffic(const struct cache_row *now, const struct cache_row *before)
{
	static const struct cache_row none;

	if (!before)
		before = &none;
	return (struct traffic){
		.allocs = since(now->allocs, before->allocs),
		.frees = since(now->frees, before->frees),
		.claims = since(now->claims, before->claims),
		.refills = since(now->refills, before->refills),
		.waits = since(now->waits, before->waits),
	};
}

/* Lists come in the order of ids, so the cache of the same place is the likely one. */
const struct cache_row *live_find(const struct moment *moment, uint64_t serial, size_t hint)
{
	const struct cache_row *rows = moment->caches.rows;

	if (hint < moment->caches.n && rows[hint].serial == serial)
		return &rows[hint];
	for (size_t i = 0; i < moment->caches.n; i++)
		if (rows[i].serial == serial)
			return &rows[i];
	return NULL;
}

struct traffic live_traffic(const struct moment *now, const struct moment *before)
{
	const struct cache_row *rows = now->caches.rows;
	struct traffic sum = {.span_ms =
				      before ? now->at_ms - before->at_ms : now->status.uptime_ms};

	for (size_t i = 0; i < now->caches.n; i++) {
		struct traffic one = live_cache_traffic(
			&rows[i], before ? live_find(before, rows[i].serial, i) : NULL);

		sum.allocs += one.allocs;
		sum.frees += one.frees;
		sum.claims += one.claims;
		sum.refills += one.refills;
		sum.waits += one.waits;
	}
	return sum;
}

uint64_t live_rate(uint64_t count, uint64_t span_ms)
{
	return span_ms ? (uint64_t)((double)count * 1000 / (double)span_ms + 0.5) : 0;
}
