/* slabctl stat: lines, rates, JSON, narrow terminals, a slabd that goes and comes back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define FIELDS                                                                    \
	"time,span_ms,caches,clients,live,in_magazines,allocs_per_s,frees_per_s," \
	"claims_per_s,refills_per_s,waits_per_s,heap_used_bytes,memory_bytes"

TestSuite(slabctl_stat, .init = ctl_slabd_start, .fini = ctl_slabd_stop, .timeout = 100);

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

Test(slabctl_stat, as_many_lines_as_asked_for)
{
	const struct ctl_run *run = ctl("stat", NULL);

	cr_assert_eq(run->code, 0, "%s", run->error);
	cr_assert_eq(count_lines(run->out), 2, "%s", run->out); /* with the titles */
	cr_assert_eq(strncmp(run->out, "caches clients ", 15), 0, "%s", run->out);
	run = ctl("stat", "0.1", "3", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_eq(count_lines(run->out), 4, "%s", run->out);
}

/* Something is taken and given back between the first line and the third. */
Test(slabctl_stat, json_has_an_object_a_line_with_what_happened_since)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 64};
	static void *objects[2000];
	struct slabd_cache *cache;
	struct slabd *pool;
	const struct ctl_run *run;
	json_error_t error;
	json_t *line;

	cr_assert_eq(slabd_attach(&pool, NULL), 0);
	cr_assert_eq(slabd_cache_create(pool, "a", &args, &cache), 0);
	cr_assert_eq(slabd_alloc_bulk(cache, 0, 2000, objects), 2000);
	run = ctl("stat", "0.1", "2", "--json", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_eq(count_lines(run->out), 2);
	line = json_loadb(run->out, (size_t)(strchr(run->out, '\n') - run->out), 0, &error);
	ctl_fields(line, FIELDS);
	cr_assert_eq(ctl_count(line, "caches"), 1);
	cr_assert_eq(ctl_count(line, "clients"), 1);
	cr_assert_eq(ctl_count(line, "live"), 2000);
	cr_assert_geq(ctl_count(line, "allocs_per_s") * ctl_count(line, "span_ms"), 1000 * 1000);
	cr_assert_gt(ctl_count(line, "heap_used_bytes"), 0);
	json_decref(line);
	line = json_loads(strchr(run->out, '\n') + 1, 0, &error);
	ctl_fields(line, FIELDS);
	cr_assert_eq(ctl_count(line, "allocs_per_s"), 0);
	cr_assert_lt(ctl_count(line, "span_ms"), 60000);
	json_decref(line);
	slabd_free_bulk(cache, 2000, objects);
	slabd_detach(pool);
	line = ctl_json(ctl("audit", "--json", NULL));
	cr_assert(json_is_true(json_object_get(line, "balanced")));
	json_decref(line);
}

Test(slabctl_stat, fits_a_narrow_terminal)
{
	const struct ctl_run *run;
	char *line;

	setenv("NO_COLOR", "1", 1);
	ctl_terminal_columns = 40;
	run = ctl_on_terminal(NULL, "stat", "0.1", "2", NULL);
	ctl_terminal_columns = 0;
	cr_assert_eq(run->code, 0);
	cr_assert_null(strstr(run->out, "memory"));
	for (line = strtok((char *)(uintptr_t)run->out, "\r\n"); line; line = strtok(NULL, "\r\n"))
		cr_assert_leq(strlen(line), 40, "\"%s\"", line);
}

/* A worker that is stopped makes a line fail; the next is there again once it goes on. */
Test(slabctl_stat, says_that_slabd_is_away_and_ends_with_the_code_of_the_last_line)
{
	const struct ctl_run *run;

	setenv("SLABD_TIMEOUT_MS", "1000", 1);
	run = ctl_while_frozen(&ctl_slabd, "{\"time\"", "stat", "2", "3", "--json", NULL);
	cr_assert_eq(run->code, 8, "%d: %s", run->code, run->error);
	cr_assert_eq(count_lines(run->out), 1, "%s", run->out);
	cr_assert_not_null(strstr(run->error, "going on"), "%s", run->error);
	cr_assert_not_null(strstr(run->error, "slabctl: slabd at "), "%s", run->error);
	unsetenv("SLABD_TIMEOUT_MS");
	cr_assert_eq(ctl("stat", NULL)->code, 0);
}

Test(slabctl_stat, ends_where_nobody_reads_on)
{
	int ends[2];
	const struct ctl_run *run;

	cr_assert_eq(pipe(ends), 0);
	close(ends[0]);
	run = ctl_onto(ends[1], "stat", "0.1", NULL); /* without end, but for the pipe's */
	cr_assert_eq(run->code, 128 + SIGPIPE);
	cr_assert_str_empty(run->error);
	close(ends[1]);
}
