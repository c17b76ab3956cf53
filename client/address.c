#include "client/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SEGMENT "main"
#define SYSTEM_SOCKET	"/run/slabd/slabd.sock"

static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

/* The default of who named none; text has room for it. */
static const char *default_address(char *text, size_t bytes)
{
	const char *named = environment("SLABD_ADDRESS"), *runtime;

	if (named)
		return named;
	runtime = geteuid() ? environment("XDG_RUNTIME_DIR") : NULL;
	if (!runtime)
		return SYSTEM_SOCKET;
	snprintf(text, bytes, "%s/slabd/slabd.sock", runtime);
	return text;
}

int address_resolve(struct address *ret, const char *given, char *why, size_t why_bytes)
{
	char text[512];
	const char *address = given && *given ? given : default_address(text, sizeof(text));
	const char *hash = strrchr(address, '#');
	size_t socket_bytes = hash ? (size_t)(hash - address) : strlen(address);
	const char *segment = hash ? hash + 1 : DEFAULT_SEGMENT;

	if (socket_bytes == 0 || !*segment) {
		snprintf(why, why_bytes,
			 "address \"%.200s\": is SOCKET or SOCKET#SEGMENT, neither part empty",
			 address);
		return -EINVAL;
	}
	if (socket_bytes >= sizeof(ret->socket)) {
		snprintf(
			why, why_bytes,
			"address \"%.200s\": the socket's path has %zu bytes, at most %zu fit; use "
			"a shorter path",
			address, socket_bytes, sizeof(ret->socket) - 1);
		return -ENAMETOOLONG;
	}
	if (strlen(segment) >= sizeof(ret->segment)) {
		snprintf(why, why_bytes,
			 "address \"%.200s\": the segment's name has %zu bytes, at most %zu fit",
			 address, strlen(segment), sizeof(ret->segment) - 1);
		return -ENAMETOOLONG;
	}
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->socket, address, socket_bytes);
	strcpy(ret->segment, segment);
	return 0;
}
