#include "client/exporter/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/slabctl/exits.h"

#define FRESH_MS      250  /* so long a sample is shared */
#define FRESH_FAIL_MS 1000 /* and so long one that slabd kept waiting for */
#define MAPS_MAX      56   /* caches whose maps are all asked for: at most four walks */
#define MAPS_ALONE    4	   /* of more caches, the largest: a walk each */

/* ---------------------------------------------------------------- time */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static double clock_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---------------------------------------------------------------- the connection */

/* The spare descriptor sees to it that web clients can't take the last one from slabd. */
static void spare_take(struct sampler *sampler)
{
	if (sampler->spare < 0)
		sampler->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void spare_give(struct sampler *sampler)
{
	if (sampler->spare >= 0)
		close(sampler->spare);
	sampler->spare = -1;
}

static void disconnect(struct sampler *sampler)
{
	query_close(&sampler->query);
	spare_take(sampler);
}

static int connect_slabd(struct sampler *sampler)
{
	int code;

	spare_give(sampler);
	code = query_open(&sampler->query);
	if (code)
		spare_take(sampler);
	return code;
}

int sampler_init(struct sampler *sampler, const char *address, unsigned timeout_ms)
{
	*sampler = (struct sampler){.timeout_ms = timeout_ms, .spare = -1};
	spare_take(sampler);
	return query_init(&sampler->query, address);
}

/* ---------------------------------------------------------------- asking */

static void clear(struct sample *sample)
{
	char **maps = sample->maps.rows;

	for (size_t i = 0; i < sample->maps.n; i++)
		free(maps[i]);
	free(sample->maps.rows);
	free(sample->caches.rows);
	free(sample->clients.rows);
	memset(sample, 0, sizeof(*sample));
}

void sampler_deinit(struct sampler *sampler)
{
	query_close(&sampler->query);
	spare_give(sampler);
	clear(&sampler->plain);
	clear(&sampler->drawn);
}

/* What is left of the time, for the next question. */
static void set_timeout(struct sampler *sampler, uint64_t deadline)
{
	uint64_t now = now_ms();

	sampler->query.timeout_ms = now < deadline ? (unsigned)(deadline - now) : 1;
}

static int ask_status(struct sampler *sampler, struct sample *sample, uint64_t deadline)
{
	bool kept = sampler->query.socket >= 0;
	int code = 0;

	set_timeout(sampler, deadline);
	if (!kept)
		code = connect_slabd(sampler);
	if (code)
		return code;
	set_timeout(sampler, deadline);
	code = query_status(&sampler->query, &sample->status);
	if (!code)
		return 0;
	disconnect(sampler);
	/* a connection that was kept may be to a worker that is no more */
	return kept && now_ms() < deadline ? ask_status(sampler, sample, deadline) : code;
}

/* The largest cache that has no map yet; caches.n: there is none. */
static size_t largest(const struct sample *sample)
{
	const struct cache_row *rows = sample->caches.rows;
	char *const *maps = sample->maps.rows;
	size_t best = sample->caches.n;

	for (size_t i = 0; i < sample->caches.n; i++)
		if (!maps[i] && !rows[i].unlinked && rows[i].bytes &&
		    (best == sample->caches.n || rows[i].bytes > rows[best].bytes))
			best = i;
	return best;
}

static int ask_largest_maps(struct sampler *sampler, struct sample *sample, uint64_t deadline)
{
	const struct cache_row *rows = sample->caches.rows;
	struct cache_row row;
	char **maps = calloc(sample->caches.n, sizeof(*maps));
	int code = 0;

	if (!maps)
		return 0;
	sample->maps = (struct list){maps, sample->caches.n, sample->caches.n};
	for (int i = 0; i < MAPS_ALONE && !code; i++) {
		size_t at = largest(sample);

		if (at == sample->caches.n)
			break;
		set_timeout(sampler, deadline);
		code = query_cache(&sampler->query, rows[at].name, &row, &maps[at]);
	}
	return code == EXIT_NOT_FOUND ? 0 : code; /* one was just destroyed */
}

static int ask_lists(struct sampler *sampler, struct sample *sample, bool maps, uint64_t deadline)
{
	int code;

	set_timeout(sampler, deadline);
	if (maps && sample->status.caches <= MAPS_MAX)
		code = query_maps(&sampler->query, &sample->caches, &sample->maps);
	else
		code = query_caches(&sampler->query, &sample->caches);
	if (!code && maps && !sample->maps.n && sample->caches.n)
		code = ask_largest_maps(sampler, sample, deadline);
	if (code)
		return code;
	set_timeout(sampler, deadline);
	return query_clients(&sampler->query, &sample->clients);
}

static void take(struct sampler *sampler, struct sample *sample, bool maps)
{
	double begin = clock_seconds(CLOCK_MONOTONIC);
	uint64_t deadline = now_ms() + sampler->timeout_ms;
	int code = ask_status(sampler, sample, deadline);

	sample->up = !code;
	if (!code)
		code = ask_lists(sampler, sample, maps, deadline);
	sample->complete = !code;
	if (code) {
		snprintf(sample->why, sizeof(sample->why), "%s", sampler->query.why);
		disconnect(sampler); /* a late answer must not be taken for another question's */
	}
	sample->seconds = clock_seconds(CLOCK_MONOTONIC) - begin;
	sample->unix_time = clock_seconds(CLOCK_REALTIME);
	sample->at_ms = now_ms();
}

const struct sample *sampler_take(struct sampler *sampler, bool maps)
{
	struct sample *sample = maps ? &sampler->drawn : &sampler->plain;
	const struct sample *last =
		sampler->drawn.at_ms > sampler->plain.at_ms ? &sampler->drawn : &sampler->plain;
	uint64_t now = now_ms();

	if (sample->at_ms && now - sample->at_ms < FRESH_MS)
		return sample;
	/* whoever comes behind one that waited in vain does not wait again */
	if (last->at_ms && !last->complete && last->seconds * 2000 > sampler->timeout_ms &&
	    now - last->at_ms < FRESH_FAIL_MS)
		return last;
	clear(sample);
	take(sampler, sample, maps);
	return sample;
}
