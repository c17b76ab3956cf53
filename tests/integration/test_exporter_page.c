/* The page of slabd-exporter: its data, that it brings all it needs, and how a browser draws it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "tests/support/child.h"
#include "tests/support/exporter_fixture.h"
#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define OBJECTS 1234

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

TestSuite(exporter_page, .init = set_up, .fini = tear_down, .timeout = 100);

static void hold(void *arg)
{
	struct slabd_cache *cache = cache_of(attach_to(NULL), "sessions", 1024, 0);

	(void)arg;
	for (int i = 0; i < OBJECTS; i++)
		CHECK(slabd_alloc(cache, 0));
}

/* ---------------------------------------------------------------- its data */

static json_t *pool(void)
{
	const struct web_reply *got = web_get(&exporter, "/api/pool", NULL);
	json_t *document;

	cr_assert_eq(got->code, 200);
	cr_assert(web_has(got, "Content-Type: application/json"), "%s", got->head);
	document = json_loads(got->body, 0, NULL);
	cr_assert_not_null(document, "%s", got->body);
	return document;
}

Test(exporter_page, the_data_are_the_pools)
{
	pid_t pid = child_hold(hold, NULL);
	json_t *document = pool(), *cache, *client, *ctl_caches;

	cr_assert(json_is_true(json_object_get(document, "up")));
	cr_assert(json_is_true(json_object_get(document, "complete")));
	cr_assert_str_eq(ctl_text(document, "why"), "");
	cr_assert_eq(ctl_count(json_object_get(document, "status"), "clients"), 1);
	cache = json_array_get(json_object_get(document, "caches"), 0);
	cr_assert_str_eq(ctl_text(cache, "name"), "sessions");
	cr_assert_eq(ctl_count(cache, "live"), OBJECTS);
	cr_assert_eq(strlen(ctl_text(cache, "map")), (size_t)ctl_count(cache, "slabs"));
	ctl_caches = ctl_json(ctl("cache", "sessions", "--json", NULL));
	cr_assert_str_eq(ctl_text(cache, "map"), ctl_text(ctl_caches, "slab_map"));
	client = json_array_get(json_object_get(document, "clients"), 0);
	cr_assert_eq(ctl_count(client, "pid"), pid);
	cr_assert_eq(ctl_count(client, "live"), OBJECTS);
	json_decref(ctl_caches);
	json_decref(document);
	child_kill(pid);
}

/* Of more caches than maps are asked for, the largest have one, and all the rest is there. */
Test(exporter_page, many_caches)
{
	char name[32];
	json_t *document, *caches, *cache;
	pid_t pid;
	size_t at;

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "cache.%d", i);
		cr_assert_eq(ctl("create", name, "--size=64", NULL)->code, 0);
	}
	pid = child_hold(hold, NULL);
	document = pool();
	caches = json_object_get(document, "caches");
	cr_assert_eq(json_array_size(caches), 61);
	json_array_foreach(caches, at, cache)
		cr_assert_eq(!!json_object_get(cache, "map"), ctl_count(cache, "live") == OBJECTS);
	json_decref(document);
	child_kill(pid);
}

/* ---------------------------------------------------------------- what it brings */

Test(exporter_page, it_brings_all_it_needs)
{
	static const char *const paths[] = {"/", "/page.css", "/page.js"};
	static const char *const types[] = {"text/html", "text/css", "text/javascript"};
	char line[64];

	for (size_t i = 0; i < 3; i++) {
		const struct web_reply *got = web_get(&exporter, paths[i], NULL);

		cr_assert_eq(got->code, 200);
		snprintf(line, sizeof(line), "Content-Type: %s; charset=utf-8", types[i]);
		cr_assert(web_has(got, line), "%s", got->head);
		cr_assert(web_has(got, "X-Content-Type-Options: nosniff"));
		cr_assert(strstr(got->head,
				 "Content-Security-Policy: default-src 'none'; script-src "
				 "'self'; style-src 'self'; connect-src 'self';"));
		cr_assert_null(strstr(got->head, "unsafe"));
		cr_assert_null(strstr(got->body, "https://"), "%s", paths[i]);
		cr_assert_null(strstr(got->body, "@import"), "%s", paths[i]);
		cr_assert_null(strstr(got->body, "innerHTML"), "%s", paths[i]);
	}
}

/* The policy forbids all of these, so a browser would not run them. */
Test(exporter_page, nothing_is_inline)
{
	const char *html = web_get(&exporter, "/", NULL)->body;

	cr_assert_null(strstr(html, "<style"));
	cr_assert_null(strstr(html, " style="));
	cr_assert_null(strstr(html, " onclick="));
	cr_assert_null(strstr(html, "javascript:"));
	cr_assert_null(strstr(html, "<script>"));
	cr_assert(strstr(html, "<script src=\"page.js\" defer></script>"));
}

/* ---------------------------------------------------------------- in a browser */

/* What a browser has made of the page after a while, by its own clock. */
static char *drawn(void)
{
	char command[512], *html = calloc(1, WEB_BYTES);
	FILE *browser;

	snprintf(command, sizeof(command),
		 "timeout 90 chromium --headless --no-sandbox --disable-gpu --disable-breakpad "
		 "--disable-dev-shm-usage "
		 "--user-data-dir=\"$TMPDIR/browser-%d\" --virtual-time-budget=3000 --dump-dom "
		 "http://127.0.0.1:%u/ 2>/dev/null",
		 getpid(), exporter.port);
	browser = popen(command, "r");
	cr_assert_not_null(browser);
	cr_assert_gt(fread(html, 1, WEB_BYTES - 1, browser), 0, "the browser gave nothing");
	cr_assert_eq(pclose(browser), 0);
	return html;
}

static void assert_drawn(const char *html, const char *text)
{
	cr_assert(strstr(html, text), "the page has no %s:\n%s", text, html);
}

Test(exporter_page, a_browser_draws_the_pool)
{
	char *html, text[128];
	pid_t pid;

	if (system("command -v chromium >/dev/null") != 0)
		cr_skip_test("chromium is not installed");
	pid = child_hold(hold, NULL);
	html = drawn();
	assert_drawn(html, "<h3>sessions</h3>");
	assert_drawn(html, "<li class=\"live\"><b>1,234</b> live</li>");
	assert_drawn(html, "data-state=\"live\"");
	assert_drawn(html, "aria-label=\"Map of the slabs. ");
	assert_drawn(html, "<th scope=\"row\">sessions</th><td>1 KiB</td>");
	snprintf(text, sizeof(text), "(%d)</th><td>1,234</td>", pid);
	assert_drawn(html, text);
	free(html);
	child_kill(pid);
}

Test(exporter_page, a_browser_says_that_slabd_is_gone)
{
	char *html;

	if (system("command -v chromium >/dev/null") != 0)
		cr_skip_test("chromium is not installed");
	ctl_slabd_stop();
	html = drawn();
	assert_drawn(html, "data-state=\"down\">no answer<");
	assert_drawn(html, "no slabd at ");
	free(html);
	ctl_slabd_start();
}
