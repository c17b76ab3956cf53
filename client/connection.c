#include "client/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/limits.h"
#include "proto/packet.h"
#include "proto/slabd.pb-c.h"
#include "proto/version.h"
#include "shm/layout.h"

/* A client's replies are short: a sentence, a welcome, two numbers.  This is on the stack of whoever
 * allocates. */
#define REPLY_BYTES  2048
#define DECODE_BYTES 4096

/* ---------------------------------------------------------------- the socket */

/* Is the number still our socket? */
static bool is_ours(const struct connection *c)
{
	struct stat st;

	return c->open && fstat(c->fd, &st) == 0 && st.st_dev == c->device && st.st_ino == c->inode;
}

int connection_open(struct connection *c, const struct address *address)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	memcpy(name.sun_path, address->socket, sizeof(name.sun_path));
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*c = (struct connection){.open = true, .fd = fd, .device = st.st_dev, .inode = st.st_ino};
	return 0;
}

void connection_close(struct connection *c)
{
	if (is_ours(c))
		close(c->fd);
	*c = (struct connection){0};
}

static int wait_for(const struct connection *c, short events, uint64_t deadline)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	struct timespec now, left;
	uint64_t ns;
	int r;

	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
		if (ns >= deadline)
			return -ETIMEDOUT;
		ns = deadline - ns;
		left = (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
					 .tv_nsec = (long)(ns % 1000000000)};
		r = ppoll(&p, 1, &left, NULL);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}

/* ---------------------------------------------------------------- packets */

static int send_request(struct connection *c, const Slabd__Request *request, const int *fds,
			unsigned nfds, uint64_t deadline)
{
	uint8_t bytes[512];
	size_t n = slabd__request__get_packed_size(request);
	int r;

	if (n > sizeof(bytes))
		return -EMSGSIZE;
	slabd__request__pack(request, bytes);
	if (!is_ours(c))
		return -ENOTCONN;
	while ((r = packet_send(c->fd, bytes, n, fds, nfds, false)) == -EAGAIN && deadline) {
		r = wait_for(c, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return r;
}

static void take_status(struct answer *answer, const Slabd__Reply *reply)
{
	answer->status = reply->status;
	snprintf(answer->why, sizeof(answer->why), "%s", reply->error);
	if (reply->status > 0 || reply->status < -4095) /* no errno */
		answer->status = -EBADMSG;
}

static void take_welcome(struct welcome *welcome, const Slabd__Welcome *w)
{
	welcome->client = w->client_id;
	welcome->token_high = w->token_high;
	welcome->token_low = w->token_low;
	welcome->segment_high = w->segment_high;
	welcome->segment_low = w->segment_low;
	welcome->base = w->heap_base;
	welcome->catalog_bytes = w->catalog_bytes;
	welcome->depot_bytes = w->depot_bytes;
	welcome->heap_bytes = w->heap_bytes;
}

/* One reply: 1 if it is the answer to sequence, 0 if to an older request, -errno. */
static int take_reply(const void *bytes, size_t n, uint64_t sequence, struct answer *answer,
		      struct welcome *welcome)
{
	char memory[DECODE_BYTES];
	struct packet_arena arena = {.at = memory, .end = memory + sizeof(memory)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	Slabd__Reply *reply = slabd__reply__unpack(&allocator, n, bytes);

	if (!reply)
		return -EBADMSG;
	if (reply->sequence != sequence)
		return 0; /* we gave up on that one */
	take_status(answer, reply);
	if (reply->answer_case == SLABD__REPLY__ANSWER_CACHE) {
		answer->id = reply->cache->id;
		answer->serial = reply->cache->serial;
	} else if (reply->answer_case == SLABD__REPLY__ANSWER_WELCOME && welcome) {
		take_welcome(welcome, reply->welcome);
	} else if (welcome && answer->status == 0) {
		return -EBADMSG;
	}
	return 1;
}

static void close_fds(struct welcome *welcome)
{
	for (unsigned i = 0; welcome && i < welcome->nfds; i++)
		close(welcome->fds[i]);
	if (welcome)
		welcome->nfds = 0;
}

static int receive_reply(struct connection *c, uint64_t sequence, struct answer *answer,
			 struct welcome *welcome, uint64_t deadline)
{
	char bytes[REPLY_BYTES];
	int r = 0;

	while (r == 0) {
		ssize_t n;

		if (!is_ours(c))
			return -ENOTCONN;
		if (welcome)
			welcome->nfds = PROTO_FDS_MAX;
		n = packet_receive(c->fd, bytes, sizeof(bytes), welcome ? welcome->fds : NULL,
				   welcome ? &welcome->nfds : NULL, false);
		if (n == -EAGAIN)
			r = wait_for(c, POLLIN, deadline);
		else if (n <= 0)
			r = n ? (int)n : -ECONNRESET;
		else
			r = take_reply(bytes, (size_t)n, sequence, answer, welcome);
		if (r <= 0)
			close_fds(welcome);
	}
	return r < 0 ? r : 0;
}

/* ---------------------------------------------------------------- hello */

/* One number per exec, the same for every copy of the library in a process. */
static uint64_t image_id(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t half[2] = {1, 2};

	if (random)
		memcpy(half, random, sizeof(half));
	return (half[0] ^ half[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
}

int connection_hello(struct connection *c, const struct hello *hello, struct welcome *welcome,
		     struct answer *answer, uint64_t deadline)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Hello h = SLABD__HELLO__INIT;
	/* for slabd on a kernel without SO_PEERPIDFD, which knows nothing better */
	int pidfd = hello->observer ? -1 : (int)syscall(SYS_pidfd_open, getpid(), 0), r;

	memset(welcome, 0, sizeof(*welcome));
	memset(answer, 0, sizeof(*answer));
	h.protocol_major = PROTO_MAJOR;
	h.protocol_minor = PROTO_MINOR;
	h.layout = SLABD_LAYOUT_VERSION;
	h.version = (char *)(uintptr_t)SLABD_VERSION_STRING;
	h.segment = (char *)(uintptr_t)hello->segment;
	h.observer = hello->observer;
	h.image = image_id();
	h.resume_id = hello->resume_id;
	h.token_high = hello->token_high;
	h.token_low = hello->token_low;
	h.segment_high = hello->segment_high;
	h.segment_low = hello->segment_low;
	request.sequence = 1;
	request.verb_case = SLABD__REQUEST__VERB_HELLO;
	request.hello = &h;
	r = send_request(c, &request, &pidfd, pidfd >= 0, deadline);
	if (pidfd >= 0)
		close(pidfd);
	return r < 0 ? r : receive_reply(c, 1, answer, welcome, deadline);
}

/* ---------------------------------------------------------------- verbs */

union verb {
	Slabd__CacheCreate create;
	Slabd__CacheOpen open;
	Slabd__CacheClose close;
	Slabd__CacheDestroy destroy;
	Slabd__CacheShrink shrink;
	Slabd__Refill refill;
	Slabd__Doorbell doorbell;
	Slabd__Detach detach;
};

static void write_create(Slabd__Request *request, union verb *verb, const struct request *from)
{
	verb->create = (Slabd__CacheCreate)SLABD__CACHE_CREATE__INIT;
	verb->create.name = (char *)(uintptr_t)from->name;
	verb->create.object_size = from->object_size;
	verb->create.align = from->align;
	verb->create.flags = from->flags;
	verb->create.magazine = from->magazine;
	request->verb_case = SLABD__REQUEST__VERB_CACHE_CREATE;
	request->cache_create = &verb->create;
}

static void write_open(Slabd__Request *request, union verb *verb, const struct request *from)
{
	verb->open = (Slabd__CacheOpen)SLABD__CACHE_OPEN__INIT;
	if (from->name)
		verb->open.name = (char *)(uintptr_t)from->name;
	verb->open.id = from->id;
	verb->open.serial = from->serial;
	request->verb_case = SLABD__REQUEST__VERB_CACHE_OPEN;
	request->cache_open = &verb->open;
}

/* The request that says it; verb must live as long. */
static void write_verb(Slabd__Request *request, union verb *verb, const struct request *from)
{
	request->sequence = from->sequence;
	switch (from->verb) {
	case REQUEST_CREATE:
		write_create(request, verb, from);
		break;
	case REQUEST_OPEN:
		write_open(request, verb, from);
		break;
	case REQUEST_CLOSE:
		verb->close = (Slabd__CacheClose)SLABD__CACHE_CLOSE__INIT;
		verb->close.id = from->id;
		verb->close.serial = from->serial;
		request->verb_case = SLABD__REQUEST__VERB_CACHE_CLOSE;
		request->cache_close = &verb->close;
		break;
	case REQUEST_DESTROY:
		verb->destroy = (Slabd__CacheDestroy)SLABD__CACHE_DESTROY__INIT;
		verb->destroy.id = from->id;
		verb->destroy.serial = from->serial;
		request->verb_case = SLABD__REQUEST__VERB_CACHE_DESTROY;
		request->cache_destroy = &verb->destroy;
		break;
	case REQUEST_SHRINK:
		verb->shrink = (Slabd__CacheShrink)SLABD__CACHE_SHRINK__INIT;
		verb->shrink.id = from->id;
		verb->shrink.serial = from->serial;
		request->verb_case = SLABD__REQUEST__VERB_CACHE_SHRINK;
		request->cache_shrink = &verb->shrink;
		break;
	case REQUEST_REFILL:
		verb->refill = (Slabd__Refill)SLABD__REFILL__INIT;
		verb->refill.id = from->id;
		verb->refill.serial = from->serial;
		verb->refill.objects = from->objects;
		verb->refill.threads = from->threads;
		request->verb_case = SLABD__REQUEST__VERB_REFILL;
		request->refill = &verb->refill;
		break;
	case REQUEST_DOORBELL:
		verb->doorbell = (Slabd__Doorbell)SLABD__DOORBELL__INIT;
		verb->doorbell.id = from->id;
		verb->doorbell.serial = from->serial;
		verb->doorbell.threads = from->threads;
		request->verb_case = SLABD__REQUEST__VERB_DOORBELL;
		request->doorbell = &verb->doorbell;
		break;
	case REQUEST_DETACH:
		verb->detach = (Slabd__Detach)SLABD__DETACH__INIT;
		request->verb_case = SLABD__REQUEST__VERB_DETACH;
		request->detach = &verb->detach;
		break;
	}
}

int connection_call(struct connection *c, const struct request *from, struct answer *answer,
		    uint64_t deadline)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	union verb verb;
	int r;

	memset(answer, 0, sizeof(*answer));
	write_verb(&request, &verb, from);
	r = send_request(c, &request, NULL, 0, deadline);
	return r < 0 ? r : receive_reply(c, from->sequence, answer, NULL, deadline);
}

int connection_ring(struct connection *c, const struct request *from)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	union verb verb;

	write_verb(&request, &verb, from);
	request.sequence = 0;
	return send_request(c, &request, NULL, 0, 0);
}
