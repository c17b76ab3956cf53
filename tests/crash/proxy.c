#include "tests/crash/crash.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/connection.h"
#include "daemon/clients.h"
#include "daemon/reap.h"
#include "daemon/refill.h"

struct mailbox {
	enum message message;
	bool observer, named;
	struct request request;
	char name[NAME_BYTES];
	struct answer answer;
	struct welcome welcome;
};

struct mailbox *mailbox;
struct pool *served_by;
const struct side *served_side;
bool is_victim;
uint32_t victim_client;

void proxy_open(void)
{
	mailbox = mmap(NULL, sizeof(*mailbox), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (mailbox == MAP_FAILED)
		die("no memory");
}

void victim_says(enum message message)
{
	mailbox->message = message;
	raise(SIGUSR1);
}

enum message mailbox_message(void)
{
	return mailbox->message;
}

/* ---------------------------------------------------------------- the worker's side */

static void take_result(void *arg, const struct result *result)
{
	*(struct result *)arg = *result;
}

static void take_shrunk(void *arg, const struct result *result, uint64_t bytes)
{
	(void)bytes;
	*(struct result *)arg = *result;
}

static void serve_hello(void)
{
	struct peer peer = {.pid = getpid(),
			    .uid = getuid(),
			    .start_time = clients_start_time(getpid()),
			    .image = 1,
			    .comm = "victim"};
	const struct superblock *super = served_side->segment.super;
	struct result result = {0};
	uint32_t id = 0;

	if (!mailbox->observer && clients_attach(served_by, &peer, &id, &result) < 0)
		die("%s", result.why);
	if (id)
		victim_client = id;
	mailbox->welcome = (struct welcome){.client = id,
					    .segment_high = super->segment_high,
					    .segment_low = super->segment_low,
					    .base = super->base,
					    .catalog_bytes = super->catalog_bytes,
					    .depot_bytes = super->depot_bytes,
					    .heap_bytes = super->heap_bytes};
}

static int serve_open(uint32_t client, struct cache **ret, struct result *result)
{
	const struct request *q = &mailbox->request;
	struct geometry_request geometry = {q->object_size, q->align, q->flags, q->magazine};

	if (q->verb == REQUEST_CREATE)
		return registry_create(served_by, client, q->sequence, mailbox->name, &geometry,
				       ret, result);
	return registry_open_cache(served_by, client, mailbox->named ? mailbox->name : NULL, q->id,
				   q->serial, ret, result);
}

static void serve_call(void)
{
	const struct request *q = &mailbox->request;
	/* before it has an id of its own, the survivor is the only one to have got one */
	uint32_t client = served_side == &world.mirror && world.survivor_id ? world.survivor_id
									    : victim_client;
	struct result result = {0};
	struct cache *cache = NULL;

	clients_set_threads(served_by, client, q->threads);
	switch (q->verb) {
	case REQUEST_CREATE:
	case REQUEST_OPEN:
		serve_open(client, &cache, &result);
		break;
	case REQUEST_REFILL:
		if (registry_find(served_by, client, q->id, q->serial, &cache, &result) == 0)
			refill_request(served_by, cache, q->objects, false, &result);
		break;
	case REQUEST_CLOSE:
		registry_close(served_by, client, q->id, q->serial, &result);
		break;
	case REQUEST_DESTROY:
		registry_destroy(served_by, client, q->sequence, NULL, q->id, q->serial,
				 take_result, &result);
		break;
	case REQUEST_SHRINK:
		reap_shrink(served_by, NULL, take_shrunk, &result);
		break;
	case REQUEST_DETACH:
		clients_detach(served_by, client, take_result, &result);
		break;
	case REQUEST_DOORBELL:
		break;
	}
	run_jobs(served_by);
	mailbox->answer = (struct answer){.status = result.status};
	memcpy(mailbox->answer.why, result.why, sizeof(mailbox->answer.why));
	if (cache) {
		mailbox->answer.id = cache->view.id;
		mailbox->answer.serial = cache->serial;
	}
}

void proxy_serve(void)
{
	if (mailbox->message == MESSAGE_HELLO)
		serve_hello();
	else
		serve_call();
}

uint32_t proxy_come_and_go(void)
{
	struct result result = {0};
	uint32_t id;

	victim_client = 0;
	mailbox->observer = false;
	serve_hello();
	id = victim_client;
	clients_detach(served_by, id, take_result, &result);
	run_jobs(served_by);
	return id;
}

static void ask(enum message message)
{
	if (is_victim) {
		victim_says(message);
		return;
	}
	mailbox->message = message;
	proxy_serve();
}

/* ---------------------------------------------------------------- the client's side */

int __wrap_connection_open(struct connection *connection, const struct address *address);
void __wrap_connection_close(struct connection *connection);
int __wrap_connection_hello(struct connection *connection, const struct hello *hello,
			    struct welcome *welcome, struct answer *answer, uint64_t deadline);
int __wrap_connection_call(struct connection *connection, const struct request *request,
			   struct answer *answer, uint64_t deadline);
int __wrap_connection_ring(struct connection *connection, const struct request *request);

int __wrap_connection_open(struct connection *connection, const struct address *address)
{
	(void)address;
	connection->open = !lies.refuse;
	return lies.refuse ? -ECONNREFUSED : 0;
}

void __wrap_connection_close(struct connection *connection)
{
	connection->open = false;
}

int __wrap_connection_hello(struct connection *connection, const struct hello *hello,
			    struct welcome *welcome, struct answer *answer, uint64_t deadline)
{
	const struct backing *b = &(is_victim ? &world.live : &world.mirror)->backing;

	(void)connection;
	(void)deadline;
	mailbox->observer = hello->observer;
	ask(MESSAGE_HELLO);
	*answer = (struct answer){0};
	*welcome = mailbox->welcome;
	if (hello->observer)
		return 0;
	welcome->fds[0] = backing_catalog_reader(b);
	welcome->fds[1] = dup(b->depot);
	welcome->fds[2] = dup(b->heap);
	welcome->nfds = 3;
	return 0;
}

int __wrap_connection_call(struct connection *connection, const struct request *request,
			   struct answer *answer, uint64_t deadline)
{
	(void)connection;
	(void)deadline;
	if (lies.deaf || lies.reject) {
		*answer = (struct answer){.status = lies.deaf ? 0 : -ENOMEM};
		return 0;
	}
	mailbox->request = *request;
	mailbox->named = request->name;
	if (request->name)
		snprintf(mailbox->name, sizeof(mailbox->name), "%s", request->name);
	ask(MESSAGE_CALL);
	*answer = mailbox->answer;
	return 0;
}

int __wrap_connection_ring(struct connection *connection, const struct request *request)
{
	(void)connection;
	(void)request;
	return 0;
}
