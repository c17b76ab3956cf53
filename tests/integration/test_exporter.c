/* /metrics of slabd-exporter, against a real slabd: that every line is OpenMetrics, that the values are
 * slabctl's, and what it says when slabd does not answer. */
#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "tests/support/child.h"
#include "tests/support/clock.h"
#include "tests/support/exporter_fixture.h"
#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define OPENMETRICS "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"
#define CLASSIC	    "Content-Type: text/plain; version=0.0.4; charset=utf-8"

static struct exporter exporter;

static void set_up(void)
{
	ctl_slabd_start();
	exporter_start(&exporter, "--timeout=10000", NULL);
}

static void tear_down(void)
{
	exporter_stop(&exporter);
	ctl_slabd_stop();
}

TestSuite(exporter, .init = set_up, .fini = tear_down, .timeout = 100);

/* ---------------------------------------------------------------- reading metrics */

/* A fresh answer: figures are shared for a quarter of a second, and the last ones may be of before.  What
 * counts is when it was asked for, not when it came. */
static const struct web_reply *metrics(void)
{
	uint64_t begin = now_ms(), asked;
	const struct web_reply *got;

	do {
		asked = now_ms();
		got = web_get(&exporter, "/metrics", NULL);
	} while (asked - begin < 300);
	cr_assert_eq(got->code, 200, "%s", got->head);
	return got;
}

/* The value of a sample by its whole name, labels and all; -1: there is none.  Twice is a failure. */
static double value_of(const char *text, const char *name)
{
	size_t n = strlen(name);
	double value = -1;
	unsigned found = 0;

	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		if (strncmp(at, name, n) == 0 && at[n] == ' ') {
			value = strtod(at + n + 1, NULL);
			found++;
		}
	cr_assert_leq(found, 1, "%s is there %u times", name, found);
	return value;
}

static void assert_value(const char *text, const char *name, double wanted)
{
	double value = value_of(text, name);

	cr_assert_eq(value, wanted, "%s is %g, not %g", name, value, wanted);
}

/* Asks until a sample has the value. */
static void until_value(const char *name, double wanted)
{
	uint64_t begin = now_ms();

	while (value_of(metrics()->body, name) != wanted)
		cr_assert_lt(now_ms() - begin, EXPORTER_PATIENCE_MS, "%s never was %g", name,
			     wanted);
}

/* ---------------------------------------------------------------- a pool with something in it */

/* As a client of a name that has to be escaped. */
static void hold(void *arg)
{
	struct slabd *slabd;

	(void)arg;
	prctl(PR_SET_NAME, "a \"b\\c\"");
	slabd = attach_to(NULL);
	for (int i = 0; i < 100; i++)
		CHECK(slabd_alloc(cache_of(slabd, "sessions", 1024, 0), 0));
	for (int i = 0; i < 50; i++)
		CHECK(slabd_alloc(cache_of(slabd, "index", 64, SLABD_RECLAIM), 0));
}

/* ---------------------------------------------------------------- the grammar */

#define NAME  "[a-zA-Z_][a-zA-Z0-9_]*"
#define LABEL NAME "=\"([^\"\\\\]|\\\\[\\\\\"n])*\""

static void assert_matches(const char *line, const char *pattern)
{
	regex_t regex;

	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	cr_assert_eq(regexec(&regex, line, 0, NULL, 0), 0, "line: %s", line);
	regfree(&regex);
}

struct grammar {
	char family[128], type[16],
		seen[16384]; /* seen: every family so far, each between spaces */
	unsigned samples;
};

static void begin_family(struct grammar *g, const char *help)
{
	char key[160];

	cr_assert_eq(sscanf(help, "%127s", g->family), 1);
	snprintf(key, sizeof(key), " %s ", g->family);
	cr_assert_null(strstr(g->seen, key), "%s is there twice", g->family);
	cr_assert_lt(strlen(g->seen) + strlen(key), sizeof(g->seen));
	strcat(g->seen, key);
	g->type[0] = 0;
}

static void check_type(struct grammar *g, const char *text)
{
	char family[128];

	cr_assert_eq(sscanf(text, "%127s %15s", family, g->type), 2, "%s", text);
	cr_assert_str_eq(family, g->family);
	assert_matches(g->type, "^(gauge|counter|info|summary)$");
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

static void check_unit(const struct grammar *g, const char *text)
{
	char family[128], unit[32];

	cr_assert_eq(sscanf(text, "%127s %31s", family, unit), 2, "%s", text);
	cr_assert_str_eq(family, g->family);
	cr_assert(ends_in(family, unit), "%s %s", family, unit);
	assert_matches(unit, "^(bytes|seconds)$");
}

static void check_sample(struct grammar *g, const char *line)
{
	const char *end = strcmp(g->type, "counter") == 0 ? "_total"
			  : strcmp(g->type, "info") == 0  ? "_info"
							  : "";
	char name[160], wanted[160];
	size_t n = strcspn(line, "{ ");

	assert_matches(line, "^" NAME "([{]" LABEL "(," LABEL ")*[}])? [0-9]+([.][0-9]+)?$");
	snprintf(name, sizeof(name), "%.*s", (int)n, line);
	snprintf(wanted, sizeof(wanted), "%s%s", g->family, end);
	cr_assert_str_eq(name, wanted);
	g->samples++;
}

static void check_line(struct grammar *g, const char *line)
{
	if (strncmp(line, "# HELP ", 7) == 0) {
		assert_matches(line, "^# HELP slabd_[a-z0-9_]+ [A-Z].*[.]$");
		begin_family(g, line + 7);
	} else if (strncmp(line, "# TYPE ", 7) == 0) {
		check_type(g, line + 7);
	} else if (strncmp(line, "# UNIT ", 7) == 0) {
		check_unit(g, line + 7);
	} else {
		check_sample(g, line);
	}
}

/* Every line; and no sample of the same name and labels twice. */
static void check_openmetrics(const char *text, struct grammar *g)
{
	char *copy = strdup(text), *rest = copy, *line;

	*g = (struct grammar){0};
	cr_assert(ends_in(text, "\n# EOF\n"), "no end");
	while ((line = strsep(&rest, "\n")) && strcmp(line, "# EOF") != 0) {
		char *space = strrchr(line, ' ');

		check_line(g, line);
		if (*line == '#')
			continue;
		*space = 0;
		value_of(text, line);
	}
	cr_assert_str_eq(rest, "");
	free(copy);
}

Test(exporter, every_line_is_openmetrics)
{
	pid_t pid = child_hold(hold, NULL);
	const struct web_reply *got = metrics();
	struct grammar g;

	cr_assert(web_has(got, OPENMETRICS), "%s", got->head);
	check_openmetrics(got->body, &g);
	cr_assert_geq(g.samples, 40);
	child_kill(pid);
}

Test(exporter, label_values_are_escaped)
{
	pid_t pid = child_hold(hold, NULL);
	const struct web_reply *got = metrics();
	char name[128];

	/* slabd's first client is number 2 */
	snprintf(name, sizeof(name),
		 "slabd_client_live_objects{client=\"2\",pid=\"%d\",comm=\"a \\\"b\\\\c\\\"\"}",
		 pid);
	assert_value(got->body, name, 150);
	child_kill(pid);
}

/* ---------------------------------------------------------------- the values */

static void compare_cache(const char *text, const json_t *cache)
{
	static const char *const states[] = {"live", "orphaned", "in_magazines", "in_slabs"};
	static const char *const pairs[][2] = {
		{"slabd_cache_slabs", "slabs"},
		{"slabd_cache_bytes", "bytes"},
		{"slabd_cache_clients", "clients"},
		{"slabd_cache_object_size_bytes", "object_size"},
		{"slabd_cache_slab_size_bytes", "slab_bytes"},
		{"slabd_cache_allocs_total", "allocs"},
		{"slabd_cache_frees_total", "frees"},
		{"slabd_cache_refills_total", "refills"},
	};
	const char *name = ctl_text(cache, "name");
	char sample[160];

	for (size_t i = 0; i < 4; i++) {
		snprintf(sample, sizeof(sample), "slabd_cache_objects{cache=\"%s\",state=\"%s\"}",
			 name, states[i]);
		assert_value(text, sample, (double)ctl_count(cache, states[i]));
	}
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		snprintf(sample, sizeof(sample), "%s{cache=\"%s\"}", pairs[i][0], name);
		assert_value(text, sample, (double)ctl_count(cache, pairs[i][1]));
	}
}

static void compare_status(const char *text, const json_t *status)
{
	static const char *const pairs[][2] = {
		{"slabd_heap_size_bytes", "heap_bytes"},
		{"slabd_heap_used_bytes", "heap_used_bytes"},
		{"slabd_caches", "caches"},
		{"slabd_clients", "clients"},
		{"slabd_worker_restarts_total", "worker_restarts"},
		{"slabd_refills_total", "refills"},
	};
	char sample[160];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		assert_value(text, pairs[i][0], (double)ctl_count(status, pairs[i][1]));
	snprintf(sample, sizeof(sample), "slabd_build_info{version=\"%s\"}",
		 ctl_text(status, "version"));
	assert_value(text, sample, 1);
	snprintf(sample, sizeof(sample), "slabd_backing_info{backing=\"%s\"}",
		 ctl_text(status, "backing"));
	assert_value(text, sample, 1);
}

Test(exporter, values_are_slabctls)
{
	pid_t pid = child_hold(hold, NULL);
	const char *text = metrics()->body;
	json_t *status = ctl_json(ctl("status", "--json", NULL));
	json_t *caches = ctl_json(ctl("caches", "--json", NULL)), *cache;
	size_t i;

	assert_value(text, "slabd_up", 1);
	assert_value(text, "slabd_scrape_complete", 1);
	assert_value(text, "slabd_damaged", 0);
	compare_status(text, status);
	cr_assert_eq(json_array_size(caches), 2);
	json_array_foreach(caches, i, cache) compare_cache(text, cache);
	json_decref(status);
	json_decref(caches);
	child_kill(pid);
	/* what a RECLAIM cache lost is back in slabs, what the other lost is orphaned */
	until_value("slabd_cache_objects{cache=\"sessions\",state=\"orphaned\"}", 100);
	assert_value(metrics()->body, "slabd_cache_objects{cache=\"index\",state=\"orphaned\"}", 0);
	assert_value(metrics()->body, "slabd_cache_objects{cache=\"index\",state=\"live\"}", 0);
}

static void keep_open(void *arg)
{
	(void)arg;
	cache_of(attach_to(NULL), "twice", 64, 0);
}

/* A cache that was destroyed while it was open, and another of its name. */
Test(exporter, the_destroyed_go_by_another_name)
{
	pid_t pid = child_hold(keep_open, NULL);
	const struct web_reply *got;
	struct grammar g;

	cr_assert_eq(ctl("destroy", "twice", "--yes", NULL)->code, 0);
	cr_assert_eq(ctl("create", "twice", "--size=64", NULL)->code, 0);
	got = metrics();
	check_openmetrics(got->body, &g);
	assert_value(got->body, "slabd_cache_clients{cache=\"twice\"}", 0);
	assert_value(got->body, "slabd_cache_clients{cache=\"(destroyed)\"}", 1);
	assert_value(got->body, "slabd_cache_objects{cache=\"(destroyed)\",state=\"live\"}", 0);
	cr_assert_eq(value_of(got->body, "slabd_cache_allocs_total{cache=\"(destroyed)\"}"), -1);
	child_kill(pid);
}

/* ---------------------------------------------------------------- formats */

Test(exporter, the_format_is_the_one_asked_for)
{
	static const struct {
		const char *accept;
		bool openmetrics;
	} cases[] = {
		{NULL, true},
		{"Accept: */*\r\n", true},
		{"Accept: application/openmetrics-text; version=1.0.0\r\n", true},
		{"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
		 "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
		 true},
		{"Accept: text/plain\r\n", false},
		{"Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\n", false},
		{"Accept: text/plain; q=0.9, application/openmetrics-text; q=0.3\r\n", false},
		{"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
		 false},
		{"Accept: \r\n", true},
		{"Accept: ,;q=,;;=,q=\r\n", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct web_reply *got = web_get(&exporter, "/metrics", cases[i].accept);

		cr_assert(web_has(got, cases[i].openmetrics ? OPENMETRICS : CLASSIC), "%s: %s",
			  cases[i].accept ? cases[i].accept : "none", got->head);
		cr_assert_eq(!!strstr(got->body, "# EOF"), cases[i].openmetrics);
		cr_assert_eq(!!strstr(got->body, "# TYPE slabd_worker_restarts counter"),
			     cases[i].openmetrics);
		cr_assert_eq(!!strstr(got->body, "# TYPE slabd_worker_restarts_total counter"),
			     !cases[i].openmetrics);
	}
}

/* By promtool, where it is installed. */
Test(exporter, promtool_finds_nothing_wrong)
{
	const struct web_reply *got;
	FILE *promtool;
	pid_t pid;

	if (system("command -v promtool >/dev/null") != 0)
		cr_skip_test("promtool is not installed");
	pid = child_hold(hold, NULL);
	got = web_get(&exporter, "/metrics", "Accept: text/plain\r\n");
	promtool = popen("promtool check metrics >&2", "w");
	cr_assert_not_null(promtool);
	cr_assert_eq(fwrite(got->body, 1, got->bytes, promtool), got->bytes);
	cr_assert_eq(pclose(promtool), 0);
	cr_assert_eq(system("promtool check rules $SLABD_SOURCE_DIR/docs/prometheus-alerts.yml"),
		     0);
	child_kill(pid);
}

/* ---------------------------------------------------------------- the documents */

static char *document(const char *name)
{
	char path[512], *text = calloc(1, 1 << 20);
	FILE *file;

	snprintf(path, sizeof(path), "%s/docs/%s", getenv("SLABD_SOURCE_DIR"), name);
	file = fopen(path, "re");
	cr_assert_not_null(file, "%s", path);
	cr_assert_gt(fread(text, 1, (1 << 20) - 1, file), 0);
	fclose(file);
	return text;
}

static bool is_name(int c)
{
	return isalnum(c) || c == '_';
}

/* Every slabd_... in a document is one that is served. */
static void assert_served(const char *name, const char *metrics_text)
{
	char *text = document(name), key[160];
	unsigned found = 0;

	for (char *at = text; (at = strstr(at, "slabd_"));) {
		size_t n = 0;

		while (is_name((unsigned char)at[n]))
			n++;
		snprintf(key, sizeof(key), "# TYPE %.*s ", (int)n, at);
		if (at[n] != '.' && (at == text || !is_name((unsigned char)at[-1]))) {
			cr_assert(strstr(metrics_text, key), "%s: %s is not served", name, key);
			found++;
		}
		at += n;
	}
	cr_assert_gt(found, 5, "%s", name);
	free(text);
}

Test(exporter, the_documents_name_what_is_served)
{
	char *text = strdup(web_get(&exporter, "/metrics", "Accept: text/plain\r\n")->body);
	char *table = document("metrics.md"), row[200];

	for (const char *at = text; (at = strstr(at, "# TYPE ")); at++) {
		char name[128];

		cr_assert_eq(sscanf(at, "# TYPE %127s", name), 1);
		snprintf(row, sizeof(row), "| `%s` |", name);
		cr_assert(strstr(table, row), "docs/metrics.md has no row for %s", name);
	}
	assert_served("metrics.md", text);
	assert_served("prometheus-alerts.yml", text);
	assert_served("grafana-dashboard.json", text);
	free(table);
	free(text);
}

/* A dashboard's expression, with a value for each of its variables, as a rule. */
static void write_rule(FILE *rules, const char *expression)
{
	static const char *const variables[][2] = {
		{"$__rate_interval", "1m"}, {"$instance", ".*"}, {"$cache", ".*"}};
	const char *at = expression;

	fputs("  - record: some:thing\n    expr: '", rules);
	while (*at) {
		size_t i = 0;

		while (i < 3 && strncmp(at, variables[i][0], strlen(variables[i][0])) != 0)
			i++;
		if (i < 3)
			fputs(variables[i][1], rules);
		else
			fputc(*at, rules);
		at += i < 3 ? strlen(variables[i][0]) : 1;
	}
	fputs("'\n", rules);
}

Test(exporter, promtool_understands_the_dashboard)
{
	char *text = document("grafana-dashboard.json");
	json_t *dashboard = json_loads(text, 0, NULL), *panel, *target;
	FILE *rules;
	size_t i, k;

	cr_assert_not_null(dashboard);
	if (system("command -v promtool >/dev/null") != 0)
		cr_skip_test("promtool is not installed");
	rules = fopen("rules.yml", "we");
	cr_assert_not_null(rules);
	fputs("groups:\n- name: dashboard\n  rules:\n", rules);
	json_array_foreach(json_object_get(dashboard, "panels"), i, panel)
		json_array_foreach(json_object_get(panel, "targets"), k, target)
			write_rule(rules, ctl_text(target, "expr"));
	cr_assert_eq(fclose(rules), 0);
	cr_assert_eq(system("promtool check rules rules.yml >&2"), 0);
	json_decref(dashboard);
	free(text);
}

/* ---------------------------------------------------------------- a slabd that does not answer */

static void assert_down(const struct web_reply *got)
{
	struct grammar g;

	cr_assert_eq(got->code, 200);
	check_openmetrics(got->body, &g);
	assert_value(got->body, "slabd_up", 0);
	assert_value(got->body, "slabd_scrape_complete", 0);
	cr_assert_eq(value_of(got->body, "slabd_heap_used_bytes"), -1);
}

/* One that waits no longer than it does by itself; the others of this suite have a busy machine's patience. */
static void restart_impatient(void)
{
	exporter_stop(&exporter);
	exporter_start(&exporter, NULL);
}

Test(exporter, a_stopped_slabd_is_down_in_time)
{
	const struct web_reply *got;
	uint64_t begin, first, second;

	restart_impatient();
	assert_value(metrics()->body, "slabd_up", 1);
	ctl_daemon_freeze(&ctl_slabd, true);
	begin = now_ms();
	got = metrics(); /* begins with a good sample that is still fresh */
	first = now_ms() - begin;
	assert_down(got);
	begin = now_ms();
	for (int i = 0; i < 5; i++)
		cr_assert_eq(web_get(&exporter, "/", NULL)->code, 200);
	second = now_ms() - begin;
	ctl_daemon_freeze(&ctl_slabd, false);
	cr_assert_lt(first, 5000, "%lu ms", first);
	cr_assert_lt(second, 5000, "%lu ms", second);
	until_value("slabd_up", 1);
}

/* Twenty who ask at once do not wait for each other's timeouts. */
Test(exporter, many_share_the_wait_for_a_stopped_slabd)
{
	enum { MANY = 20 };
	int fds[MANY];
	uint64_t begin, took;

	restart_impatient();
	ctl_daemon_freeze(&ctl_slabd, true);
	begin = now_ms();
	for (int i = 0; i < MANY; i++) {
		fds[i] = web_connect(&exporter);
		cr_assert_geq(fds[i], 0);
		web_send(fds[i],
			 "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	}
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(web_receive(fds[i])->code, 200);
	took = now_ms() - begin;
	ctl_daemon_freeze(&ctl_slabd, false);
	cr_assert_lt(took, 10000, "%lu ms", took);
}

Test(exporter, a_slabd_that_is_gone_and_comes_again)
{
	json_t *pool;

	assert_value(metrics()->body, "slabd_up", 1);
	ctl_slabd_stop();
	until_value("slabd_up", 0);
	assert_down(metrics());
	pool = json_loads(web_get(&exporter, "/api/pool", NULL)->body, 0, NULL);
	cr_assert(json_is_false(json_object_get(pool, "up")));
	cr_assert(strstr(ctl_text(pool, "why"), "no slabd at"), "%s", ctl_text(pool, "why"));
	json_decref(pool);
	ctl_slabd_start();
	until_value("slabd_up", 1);
}

Test(exporter, a_new_worker_goes_on_answering)
{
	assert_value(metrics()->body, "slabd_worker_restarts_total", 0);
	ctl_daemon_kill_worker(&ctl_slabd);
	until_value("slabd_worker_restarts_total", 1);
	assert_value(metrics()->body, "slabd_up", 1);
}

/* ---------------------------------------------------------------- the command line */

Test(exporter, bad_words_end_it_with_2)
{
	static const char *const bad[] = {
		"--listen=",
		"--listen=9466",
		"--listen=localhost:9466",
		"--listen=127.0.0.1:",
		"--listen=127.0.0.1:65536",
		"--listen=::1:80",
		"--listen=[::1]",
		"--listen=1.2.3:4",
		"--listen=127.0.0.1:-1",
		"--timeout=0",
		"--timeout=x",
		"--timeout=60001",
		"--timeout=",
		"--no-such",
		"word",
	};
	char text[4096];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_assert_eq(exporter_run(text, sizeof(text), bad[i], NULL), 2, "%s: %s", bad[i],
			     text);
		cr_assert(strstr(text, "slabd-exporter: "), "%s: %s", bad[i], text);
	}
	cr_assert_eq(exporter_run(text, sizeof(text), "--version", NULL), 0);
	cr_assert_eq(strncmp(text, "slabd-exporter ", 15), 0);
	cr_assert_eq(exporter_run(text, sizeof(text), "--help", NULL), 0);
}

Test(exporter, a_port_that_is_taken_ends_it_with_1)
{
	char listen[64], text[4096];

	snprintf(listen, sizeof(listen), "--listen=127.0.0.1:%u", exporter.port);
	cr_assert_eq(exporter_run(text, sizeof(text), listen, NULL), 1);
	cr_assert(strstr(text, "can't listen at 127.0.0.1"), "%s", text);
}
