/* The HTTP side. An answer is written into a buffer of the pool, goes to the socket from there, and is
 * freed when libevent has sent it.
 *
 *	POST   /session		201 and where the session is
 *	GET    /session/ID	200
 *	PUT    /session/ID	200 (POST does the same)
 *	DELETE /session/ID	200 and its last state
 *
 *	400 no session id, 404 no such session, 405 no such method here, 413 over 216 bytes,
 *	500 damaged content, 501 no such method anywhere, 503 the pool is full */
#include "tests/demo/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#define BODY_MAX       4096
#define HEADERS_MAX    8192
#define IDLE_SECONDS   30
#define ID_DIGITS      16
#define SESSION_PREFIX "/session/"

/* The caches of this process, for send_done(), which libevent gives one pointer only. */
static struct store *pool;

/* ---------------------------------------------------------------- answers */

static int escape(char *to, size_t room, const char *text, size_t length)
{
	size_t used = 0;

	for (size_t i = 0; i < length && used + 7 < room; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
			used += (size_t)snprintf(to + used, room - used, "\\u%04x", byte);
		else
			to[used++] = (char)byte;
	}
	to[used] = '\0';
	return (int)used;
}

static int print_session(struct response *response, const struct session *session)
{
	char text[SESSION_TEXT_MAX * 6 + 8];

	escape(text, sizeof text, session->text, session->length);
	return snprintf(response->text, sizeof response->text,
			"{\"id\":\"%016" PRIx64 "\",\"text\":\"%s\",\"updates\":%" PRIu32
			",\"made_by\":%" PRIu32 ",\"written_by\":%" PRIu32 ",\"answered_by\":%d}\n",
			session->id, text, session->updates, session->maker, session->writer,
			getpid());
}

static void send_done(const void *data, size_t n, void *response)
{
	(void)data;
	(void)n;
	slabd_free(pool->responses, response);
}

/* Errors need no memory of the pool, so that a full one can be told. */
static void send_error(struct evhttp_request *request, int code, const char *reason)
{
	struct evbuffer *body = evhttp_request_get_output_buffer(request);

	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
			  "application/json");
	evbuffer_add_printf(body, "{\"error\":\"%s\"}\n", reason);
	evhttp_send_reply(request, code, NULL, NULL);
}

static void send_session(struct evhttp_request *request, int code, const struct session *session)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct response *response = slabd_alloc(pool->responses, 0);
	char location[sizeof SESSION_PREFIX + ID_DIGITS];
	int length;

	if (!response) {
		send_error(request, HTTP_SERVUNAVAIL, "the pool is full");
		return;
	}
	length = print_session(response, session);
	if (code == 201) {
		snprintf(location, sizeof location, SESSION_PREFIX "%016" PRIx64, session->id);
		evhttp_add_header(headers, "Location", location);
	}
	evhttp_add_header(headers, "Content-Type", "application/json");
	if (evbuffer_add_reference(evhttp_request_get_output_buffer(request), response->text,
				   (size_t)length, send_done, response) < 0)
		slabd_free(pool->responses, response);
	evhttp_send_reply(request, code, NULL, NULL);
}

static void answer(struct evhttp_request *request, int r, int code, const struct session *session)
{
	switch (r) {
	case 0:
		send_session(request, code, session);
		break;
	case -ENOENT:
		send_error(request, HTTP_NOTFOUND, "no such session");
		break;
	case -ENOMEM:
		send_error(request, HTTP_SERVUNAVAIL, "the pool is full");
		break;
	default:
		fprintf(stderr, "slabd-demo: worker %d: %s: %s\n", getpid(),
			evhttp_request_get_uri(request), strerror(-r));
		send_error(request, HTTP_INTERNAL, "damaged content");
	}
}

/* ---------------------------------------------------------------- requests */

/* The body, or -1 if it is longer than a session holds. */
static ssize_t read_body(struct evhttp_request *request, char text[static SESSION_TEXT_MAX])
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);

	if (evbuffer_get_length(body) > SESSION_TEXT_MAX)
		return -1;
	return evbuffer_copyout(body, text, SESSION_TEXT_MAX);
}

static bool parse_id(const char *text, uint64_t *id)
{
	char *end;

	if (strspn(text, "0123456789abcdef") != ID_DIGITS)
		return false;
	*id = strtoull(text, &end, 16);
	return *end == '\0' && *id;
}

static void refuse_method(struct evhttp_request *request, const char *allow)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
	send_error(request, HTTP_BADMETHOD, "not that method here");
}

static void create(struct evhttp_request *request)
{
	char text[SESSION_TEXT_MAX];
	ssize_t length = read_body(request, text);
	struct session session;

	if (length < 0)
		send_error(request, HTTP_ENTITYTOOLARGE, "a session holds 216 bytes");
	else
		answer(request, store_create(pool, text, (size_t)length, &session), 201, &session);
}

static void update(struct evhttp_request *request, uint64_t id)
{
	char text[SESSION_TEXT_MAX];
	ssize_t length = read_body(request, text);
	struct session session;

	if (length < 0)
		send_error(request, HTTP_ENTITYTOOLARGE, "a session holds 216 bytes");
	else
		answer(request, store_update(pool, id, text, (size_t)length, &session), HTTP_OK,
		       &session);
}

static void serve_session(struct evhttp_request *request, const char *name)
{
	struct session session;
	uint64_t id;

	if (!parse_id(name, &id)) {
		send_error(request, HTTP_BADREQUEST, "a session's id has 16 hexadecimal digits");
		return;
	}
	switch (evhttp_request_get_command(request)) {
	case EVHTTP_REQ_GET:
		answer(request, store_read(pool, id, &session), HTTP_OK, &session);
		break;
	case EVHTTP_REQ_PUT:
	case EVHTTP_REQ_POST:
		update(request, id);
		break;
	case EVHTTP_REQ_DELETE:
		answer(request, store_delete(pool, id, &session), HTTP_OK, &session);
		break;
	default:
		refuse_method(request, "GET, PUT, POST, DELETE");
	}
}

static void on_request(struct evhttp_request *request, void *unused)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

	(void)unused;
	if (!path)
		send_error(request, HTTP_BADREQUEST, "no path");
	else if (strncmp(path, SESSION_PREFIX, strlen(SESSION_PREFIX)) == 0)
		serve_session(request, path + strlen(SESSION_PREFIX));
	else if (strcmp(path, "/session") != 0)
		send_error(request, HTTP_NOTFOUND, "there is /session and /session/ID");
	else if (evhttp_request_get_command(request) == EVHTTP_REQ_POST)
		create(request);
	else
		refuse_method(request, "POST");
}

/* ---------------------------------------------------------------- life */

static void on_term(evutil_socket_t signal_number, short what, void *base)
{
	(void)signal_number;
	(void)what;
	event_base_loopexit(base, NULL);
}

static struct evhttp *serve(struct event_base *base, int listener)
{
	struct evhttp *http = evhttp_new(base);

	if (!http)
		return NULL;
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
						 EVHTTP_REQ_DELETE);
	evhttp_set_max_body_size(http, BODY_MAX);
	evhttp_set_max_headers_size(http, HEADERS_MAX);
	evhttp_set_timeout(http, IDLE_SECONDS);
	evhttp_set_gencb(http, on_request, NULL);
	if (evhttp_accept_socket(http, listener) < 0) {
		evhttp_free(http);
		return NULL;
	}
	return http;
}

int worker_run(struct store *store, int listener)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = base ? serve(base, listener) : NULL;
	struct event *term = http ? evsignal_new(base, SIGTERM, on_term, base) : NULL;
	int status = EXIT_FAILURE;

	pool = store;
	if (term && event_add(term, NULL) == 0 && event_base_dispatch(base) == 0)
		status = EXIT_SUCCESS;
	else
		fprintf(stderr, "slabd-demo: worker %d: libevent: %s\n", getpid(), strerror(errno));
	if (term)
		event_free(term);
	if (http)
		evhttp_free(http);
	if (base)
		event_base_free(base);
	return status;
}
