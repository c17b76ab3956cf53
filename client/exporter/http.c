#include "client/exporter/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "client/exporter/accept.h"
#include "client/exporter/api.h"
#include "client/exporter/listen.h"
#include "client/exporter/metrics.h"
#include "client/exporter/page.h"
#include "client/slabctl/exits.h"

#define HEADER_BYTES	 8192 /* of a request, all of them together */
#define BODY_BYTES	 1024 /* there is nothing to send here */
#define IDLE_SECONDS	 5    /* then a connection is closed */
#define FILES_MAX	 128  /* descriptors, and so connections */
#define HTTP_MISDIRECTED 421
#define ACCEPT_PAUSE_US	 200000 /* while there is no descriptor for one more */

#define ALL_METHODS                                                                                \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | \
	 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* The page may use what comes with it, and nothing else. */
#define POLICY                                                                          \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct server {
	struct sampler *sampler;
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener; /* evhttp's */
	struct event *pause, *term, *interrupt;
	bool loopback; /* reached from this machine alone */
};

/* ---------------------------------------------------------------- answers */

static void header(struct evhttp_request *request, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static void answer(struct evhttp_request *request, int code, const char *type, const void *body,
		   size_t bytes)
{
	struct evbuffer *buffer = evhttp_request_get_output_buffer(request);
	char length[24];

	snprintf(length, sizeof(length), "%zu", bytes);
	header(request, "Content-Type", type);
	header(request, "Content-Length", length);
	header(request, "Cache-Control", "no-store");
	header(request, "Content-Security-Policy", POLICY);
	header(request, "X-Content-Type-Options", "nosniff");
	header(request, "Referrer-Policy", "no-referrer");
	header(request, "Cross-Origin-Resource-Policy", "same-origin");
	if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		evbuffer_add(buffer, body, bytes);
	evhttp_send_reply(request, code, code == HTTP_MISDIRECTED ? "Misdirected Request" : NULL,
			  NULL);
}

static void refuse(struct evhttp_request *request, int code, const char *sentence)
{
	answer(request, code, "text/plain; charset=utf-8", sentence, strlen(sentence));
}

static void answer_text(struct evhttp_request *request, const char *type, char *text, size_t bytes)
{
	if (text)
		answer(request, HTTP_OK, type, text, bytes);
	else
		refuse(request, HTTP_INTERNAL, "slabd-exporter has no memory\n");
	free(text);
}

/* ---------------------------------------------------------------- what there is */

static void serve_metrics(struct server *server, struct evhttp_request *request)
{
	bool openmetrics = accept_openmetrics(
		evhttp_find_header(evhttp_request_get_input_headers(request), "Accept"));
	size_t bytes = 0;
	char *text = metrics_text(sampler_take(server->sampler, false), openmetrics, &bytes);

	header(request, "Vary", "Accept");
	answer_text(request,
		    openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
				: "text/plain; version=0.0.4; charset=utf-8",
		    text, bytes);
}

static void serve_pool(struct server *server, struct evhttp_request *request)
{
	char *text = api_text(sampler_take(server->sampler, true));

	answer_text(request, "application/json", text, text ? strlen(text) : 0);
}

static void serve_html(struct server *server, struct evhttp_request *request)
{
	(void)server;
	answer(request, HTTP_OK, "text/html; charset=utf-8", page_html, page_html_bytes);
}

static void serve_css(struct server *server, struct evhttp_request *request)
{
	(void)server;
	answer(request, HTTP_OK, "text/css; charset=utf-8", page_css, page_css_bytes);
}

static void serve_js(struct server *server, struct evhttp_request *request)
{
	(void)server;
	answer(request, HTTP_OK, "text/javascript; charset=utf-8", page_js, page_js_bytes);
}

static const struct route {
	const char *path;
	void (*serve)(struct server *server, struct evhttp_request *request);
} routes[] = {
	{"/metrics", serve_metrics}, {"/api/pool", serve_pool}, {"/", serve_html},
	{"/page.css", serve_css},    {"/page.js", serve_js},
};

static const struct route *find_route(const struct evhttp_request *request)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

	for (size_t i = 0; path && i < sizeof(routes) / sizeof(*routes); i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

static void on_request(struct evhttp_request *request, void *arg)
{
	struct server *server = arg;
	const struct route *route = find_route(request);
	enum evhttp_cmd_type command = evhttp_request_get_command(request);
	const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");

	if (server->loopback && !accept_host(host)) {
		refuse(request, HTTP_MISDIRECTED,
		       "ask by address or as localhost: this is for this machine\n");
	} else if (!route) {
		refuse(request, HTTP_NOTFOUND, "there is / and /metrics\n");
	} else if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
		header(request, "Allow", "GET, HEAD");
		refuse(request, HTTP_BADMETHOD, "this can only be read\n");
	} else {
		route->serve(server, request);
	}
}

/* ---------------------------------------------------------------- listening */

static struct server *accepting; /* the listener's own argument is evhttp's */

/* No descriptor for one more connection: it stays in the backlog while others end. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_US};

	(void)arg;
	evconnlistener_disable(listener);
	event_add(accepting->pause, &pause);
}

static void on_pause_end(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(server->listener);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	event_base_loopexit(server->base, NULL);
}

static int open_listener(struct server *server, const char *listen)
{
	struct sockaddr_storage at;
	socklen_t n;

	if (!listen_parse(listen, &at, &n)) {
		fprintf(stderr,
			"slabd-exporter: --listen \"%.63s\": must be ADDR:PORT, as 127.0.0.1:9466 "
			"or "
			"[::1]:9466\n",
			listen);
		return EXIT_USAGE;
	}
	server->loopback = listen_is_loopback(&at);
	server->listener = evconnlistener_new_bind(server->base, NULL, NULL,
						   LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC |
							   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_DISABLED,
						   -1, (struct sockaddr *)&at, (int)n);
	if (!server->listener) {
		fprintf(stderr,
			"slabd-exporter: can't listen at %.63s: %s; say another: --listen "
			"127.0.0.1:PORT\n",
			listen, strerror(errno));
		return EXIT_FAILED;
	}
	if (!evhttp_bind_listener(server->http, server->listener)) {
		evconnlistener_free(server->listener);
		fprintf(stderr, "slabd-exporter: no memory\n");
		return EXIT_FAILED;
	}
	accepting = server;
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	return EXIT_DONE;
}

/* ---------------------------------------------------------------- serving */

static bool set_up(struct server *server)
{
	const struct rlimit files = {FILES_MAX, FILES_MAX};

	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	server->base = event_base_new();
	if (!server->base)
		return false;
	server->http = evhttp_new(server->base);
	server->pause = evtimer_new(server->base, on_pause_end, server);
	server->term = evsignal_new(server->base, SIGTERM, on_signal, server);
	server->interrupt = evsignal_new(server->base, SIGINT, on_signal, server);
	if (!server->http || !server->pause || !server->term || !server->interrupt)
		return false;
	event_add(server->term, NULL);
	event_add(server->interrupt, NULL);
	evhttp_set_max_headers_size(server->http, HEADER_BYTES);
	evhttp_set_max_body_size(server->http, BODY_BYTES);
	evhttp_set_timeout(server->http, IDLE_SECONDS);
	evhttp_set_allowed_methods(server->http, ALL_METHODS); /* and on_request() refuses most */
	evhttp_set_gencb(server->http, on_request, server);
	return true;
}

static void tear_down(struct server *server)
{
	if (server->http)
		evhttp_free(server->http);
	if (server->pause)
		event_free(server->pause);
	if (server->term)
		event_free(server->term);
	if (server->interrupt)
		event_free(server->interrupt);
	if (server->base)
		event_base_free(server->base);
}

int http_serve(struct sampler *sampler, const char *listen)
{
	struct server server = {.sampler = sampler};
	char name[LISTEN_NAME_BYTES];
	int code = EXIT_FAILED;

	if (!set_up(&server))
		fprintf(stderr, "slabd-exporter: libevent does not start: %s\n", strerror(errno));
	else
		code = open_listener(&server, listen);
	if (!code) {
		printf("slabd-exporter: listening on http://%s/\n",
		       listen_name(evconnlistener_get_fd(server.listener), name));
		fflush(stdout);
		evconnlistener_enable(server.listener);
		if (event_base_dispatch(server.base) < 0)
			code = EXIT_FAILED;
	}
	tear_down(&server);
	return code;
}
