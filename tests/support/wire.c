#include "tests/support/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"
#include "proto/version.h"
#include "shm/layout.h"

static int make_socket(const char *path, struct sockaddr_un *name)
{
	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	snprintf(name->sun_path, sizeof(name->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

int wire_connect(const char *path)
{
	struct sockaddr_un name;
	int fd = make_socket(path, &name), r;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int wire_listen(const char *path)
{
	struct sockaddr_un name;
	int fd = make_socket(path, &name), r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(fd, 8) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

void wire_hello(Slabd__Hello *hello)
{
	*hello = (Slabd__Hello)SLABD__HELLO__INIT;
	hello->protocol_major = PROTO_MAJOR;
	hello->protocol_minor = PROTO_MINOR;
	hello->layout = SLABD_LAYOUT_VERSION;
	hello->version = (char *)(uintptr_t)SLABD_VERSION_STRING;
	hello->segment = (char *)(uintptr_t) "main";
	hello->observer = true;
}

int wire_send(int fd, const Slabd__Request *request)
{
	uint8_t bytes[4096];
	size_t n = slabd__request__get_packed_size(request);

	if (n > sizeof(bytes))
		return -EMSGSIZE;
	slabd__request__pack(request, bytes);
	return packet_send(fd, bytes, n, NULL, 0, true);
}

static int wait_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}

static ssize_t take(int fd, void *bytes, size_t n, int ms)
{
	int fds[PROTO_FDS_MAX];
	unsigned nfds = PROTO_FDS_MAX;
	ssize_t r = wait_readable(fd, ms);

	if (r < 0)
		return r;
	r = packet_receive(fd, bytes, n, fds, &nfds, true);
	for (unsigned i = 0; r > 0 && i < nfds; i++)
		close(fds[i]);
	return r ? r : -ECONNRESET;
}

int wire_receive(int fd, struct wire_reply *ret, int ms)
{
	static char bytes[PROTO_PACKET_MAX];
	struct packet_arena arena = {ret->memory, ret->memory + sizeof(ret->memory)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	ssize_t n = take(fd, bytes, sizeof(bytes), ms);

	if (n < 0)
		return (int)n;
	ret->reply = slabd__reply__unpack(&allocator, (size_t)n, (const uint8_t *)bytes);
	return ret->reply ? 0 : -EBADMSG;
}

int wire_welcome(int fd, struct wire_reply *ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Hello hello;
	int r;

	wire_hello(&hello);
	request.sequence = 1;
	request.verb_case = SLABD__REQUEST__VERB_HELLO;
	request.hello = &hello;
	r = wire_send(fd, &request);
	if (r == 0)
		r = wire_receive(fd, ret, 30000);
	return r < 0 ? r : ret->reply->status;
}

int wire_greet(int fd)
{
	static struct wire_reply answer;

	return wire_welcome(fd, &answer);
}

int wire_take_hello(int fd, uint64_t *sequence, int ms)
{
	char bytes[4096], memory[8192];
	struct packet_arena arena = {memory, memory + sizeof(memory)};
	ProtobufCAllocator allocator = packet_allocator(&arena);
	ssize_t n = take(fd, bytes, sizeof(bytes), ms);
	Slabd__Request *request;

	if (n < 0)
		return (int)n;
	request = slabd__request__unpack(&allocator, (size_t)n, (const uint8_t *)bytes);
	if (!request || request->verb_case != SLABD__REQUEST__VERB_HELLO)
		return -EBADMSG;
	*sequence = request->sequence;
	return 0;
}

int wire_wait_end(int fd, int ms)
{
	static char bytes[PROTO_PACKET_MAX];
	ssize_t n;

	do
		n = take(fd, bytes, sizeof(bytes), ms);
	while (n > 0);
	return n == -ETIMEDOUT ? -ETIMEDOUT : 0;
}
