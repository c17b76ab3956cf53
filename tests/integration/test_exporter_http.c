/* slabd-exporter as a web server: what it refuses, and that nobody can keep it from serving others. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/support/exporter_fixture.h"
#include "tests/support/slabctl_fixture.h"

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

TestSuite(exporter_http, .init = set_up, .fini = tear_down, .timeout = 100);

static const struct web_reply *ask(const char *request)
{
	int fd = web_connect(&exporter);

	cr_assert_geq(fd, 0);
	web_send(fd, request);
	return web_receive(fd);
}

static void assert_serves(void)
{
	const struct web_reply *got = web_get(&exporter, "/metrics", NULL);

	cr_assert_eq(got->code, 200);
	cr_assert(strstr(got->body, "\nslabd_up 1\n"));
}

/* ---------------------------------------------------------------- what is refused */

#define HOST "Host: localhost\r\nConnection: close\r\n"

Test(exporter_http, only_get_and_head)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"};
	char text[256];

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		const struct web_reply *got;

		snprintf(text, sizeof(text), "%s /metrics HTTP/1.1\r\n" HOST "\r\n", methods[i]);
		got = ask(text);
		cr_assert_eq(got->code, 405, "%s: %s", methods[i], got->head);
		cr_assert(web_has(got, "Allow: GET, HEAD"), "%s", got->head);
	}
	cr_assert_eq(ask("FROB /metrics HTTP/1.1\r\n" HOST "\r\n")->code, 501);
	cr_assert_eq(ask("POST /metrics HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello")->code,
		     405);
	assert_serves();
}

Test(exporter_http, head_has_no_body)
{
	const struct web_reply *got = ask("HEAD / HTTP/1.1\r\n" HOST "\r\n");

	cr_assert_eq(got->code, 200);
	cr_assert_eq(got->bytes, 0);
	cr_assert_null(strstr(got->head, "Content-Length: 0"), "%s", got->head);
}

Test(exporter_http, only_what_there_is)
{
	static const char *const paths[] = {
		"/metrics/",   "/Metrics",    "//",
		"/..",	       "/../metrics", "/page",
		"/page.html",  "/api",	      "/%2e%2e/etc/passwd",
		"/metrics%00", "/api/pool/1", "/favicon.ico",
		"*",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		int code = web_get(&exporter, paths[i], NULL)->code;

		cr_assert(code == 404 || code == 400, "%s: %d", paths[i], code);
	}
	cr_assert_eq(web_get(&exporter, "/metrics?a=b", NULL)->code, 200);
	cr_assert_eq(web_get(&exporter, "/?#", NULL)->code, 200);
}

Test(exporter_http, no_foreign_host)
{
	static const struct {
		const char *host;
		int code;
	} cases[] = {
		{"localhost", 200},
		{"LocalHost:9466", 200},
		{"127.0.0.1", 200},
		{"127.0.0.1:9466", 200},
		{"[::1]:9466", 200},
		{"192.0.2.1", 200},
		{"evil.example", 421},
		{"localhost.evil", 421},
		{"127.0.0.1.evil", 421},
		{"127.0.0.1.evil:1", 421},
		{"[::1", 200},
		{"[]", 421},
		{"a", 421},
	};
	char text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct web_reply *got;

		snprintf(text, sizeof(text),
			 "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", cases[i].host);
		got = ask(text);
		cr_assert_eq(got->code, cases[i].code, "%s: %s", cases[i].host, got->head);
	}
	cr_assert_eq(ask("GET / HTTP/1.0\r\n\r\n")->code, 200);
}

/* ---------------------------------------------------------------- too much, and no HTTP */

Test(exporter_http, headers_and_body_have_a_limit)
{
	static char text[100000], filler[90000];
	const struct web_reply *got;

	memset(filler, 'x', sizeof(filler) - 1);
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", filler);
	got = ask(text);
	cr_assert(got->code == 400 || got->code == 413 || got->code == 0, "%d", got->code);
	snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\n" HOST "\r\n", filler);
	got = ask(text);
	cr_assert(got->code == 400 || got->code == 413 || got->code == 0, "%d", got->code);
	snprintf(text, sizeof(text),
		 "POST / HTTP/1.1\r\n" HOST "Content-Length: 80000\r\n\r\n%.80000s", filler);
	got = ask(text);
	cr_assert(got->code == 413 || got->code == 0, "%d", got->code);
	got = ask("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n");
	cr_assert(got->code == 413 || got->code == 400 || got->code == 0, "%d", got->code);
	got = ask("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n");
	cr_assert_neq(got->code, 200);
	assert_serves();
}

Test(exporter_http, what_is_no_http_is_refused)
{
	static const char *const requests[] = {
		"\r\n\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
		"GET http://[bad HTTP/1.1\r\n" HOST "\r\n",
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		const struct web_reply *got = ask(requests[i]);

		cr_assert(got->code == 0 || got->code >= 400, "%zu: %s", i, got->head);
	}
	assert_serves();
}

/* ---------------------------------------------------------------- slow, and many */

/* Who is slow keeps nobody else, and is cut off. */
Test(exporter_http, the_slow_are_cut_off)
{
	int silent = web_connect(&exporter), half = web_connect(&exporter);

	web_send(half, "GET /metrics HTTP/1.1\r\nHost: loc");
	assert_serves();
	cr_assert_neq(web_receive(silent)->code, 200);
	cr_assert_neq(web_receive(half)->code, 200);
	assert_serves();
}

/* Who asks and reads nothing keeps nobody else either. */
Test(exporter_http, who_reads_nothing_is_no_harm)
{
	int fds[8];

	for (size_t i = 0; i < 8; i++) {
		cr_assert_geq(fds[i] = web_connect(&exporter), 0);
		for (int k = 0; k < 50; k++)
			web_send(fds[i], "GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n");
	}
	assert_serves();
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
	assert_serves();
}

/* More connections than it has descriptors: they end, the rest is served, and slabd stays in reach. */
Test(exporter_http, many_connections_end_by_themselves)
{
	static int fds[400];
	size_t n = sizeof(fds) / sizeof(*fds);

	assert_serves();
	for (size_t i = 0; i < n; i++)
		cr_assert_geq(fds[i] = web_connect(&exporter), 0);
	assert_serves(); /* after those before it were cut off for their silence */
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	assert_serves();
}

Test(exporter_http, one_connection_serves_many_requests)
{
	int fd = web_connect(&exporter);
	const struct web_reply *got;
	unsigned answers = 0;

	for (int i = 0; i < 20; i++)
		web_send(fd, "GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n");
	web_send(fd, "GET /page.css HTTP/1.1\r\n" HOST "\r\n");
	got = web_receive(fd);
	cr_assert_eq(got->code, 200);
	for (const char *at = got->body; (at = strstr(at, "HTTP/1.1 200")); at++)
		answers++;
	cr_assert_eq(answers, 20);
}
