#include "client/exporter/listen.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part before the colon: an IPv6 address stands in brackets. */
static bool parse_address(const char *text, size_t n, struct sockaddr_storage *at, socklen_t *bytes)
{
	struct sockaddr_in6 *in6 = (void *)at;
	struct sockaddr_in *in = (void *)at;
	bool six = n >= 2 && text[0] == '[' && text[n - 1] == ']';
	char name[INET6_ADDRSTRLEN];

	if (n >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(six ? n - 2 : n), six ? text + 1 : text);
	*bytes = six ? sizeof(*in6) : sizeof(*in);
	at->ss_family = six ? AF_INET6 : AF_INET;
	return inet_pton(at->ss_family, name,
			 six ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) == 1;
}

bool listen_parse(const char *text, struct sockaddr_storage *at, socklen_t *bytes)
{
	const char *colon = strrchr(text, ':');
	unsigned long port;
	char *end;

	*at = (struct sockaddr_storage){0};
	if (!colon || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > UINT16_MAX)
		return false;
	if (!parse_address(text, (size_t)(colon - text), at, bytes))
		return false;
	if (at->ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)at)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)(void *)at)->sin_port = htons((uint16_t)port);
	return true;
}

bool listen_is_loopback(const struct sockaddr_storage *at)
{
	const struct sockaddr_in *in = (const void *)at;
	const struct sockaddr_in6 *in6 = (const void *)at;

	return at->ss_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr)
					 : ntohl(in->sin_addr.s_addr) >> 24 == 127;
}

const char *listen_name(int fd, char name[LISTEN_NAME_BYTES])
{
	struct sockaddr_storage at = {0};
	const struct sockaddr_in *in = (const void *)&at;
	const struct sockaddr_in6 *in6 = (const void *)&at;
	socklen_t n = sizeof(at);
	char address[INET6_ADDRSTRLEN] = "";

	getsockname(fd, (struct sockaddr *)&at, &n);
	if (at.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
		snprintf(name, LISTEN_NAME_BYTES, "[%s]:%u", address, ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address));
		snprintf(name, LISTEN_NAME_BYTES, "%s:%u", address, ntohs(in->sin_port));
	}
	return name;
}
