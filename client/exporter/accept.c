#include "client/exporter/accept.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---------------------------------------------------------------- Accept */

static bool is_type(const char *item, size_t n, const char *type)
{
	return strlen(type) == n && strncasecmp(item, type, n) == 0;
}

/* The q of an item that ends at end; 1 without one. */
static double quality(const char *item, const char *end)
{
	for (; item < end; item++)
		if (*item == ';') {
			item += 1 + strspn(item + 1, " \t");
			if (end - item > 2 && strncasecmp(item, "q=", 2) == 0)
				return strtod(item + 2, NULL);
			item--;
		}
	return 1;
}

bool accept_openmetrics(const char *accept)
{
	double openmetrics = 0, classic = 0, *best;

	if (!accept)
		return true;
	while (*accept) {
		const char *item = accept + strspn(accept, " \t,");
		const char *end = item + strcspn(item, ",");
		size_t n = strcspn(item, ",; \t");

		if (is_type(item, n, "text/plain") || is_type(item, n, "text/html") ||
		    is_type(item, n, "text/*"))
			best = &classic;
		else if (is_type(item, n, "application/openmetrics-text") ||
			 is_type(item, n, "application/*") || is_type(item, n, "*/*"))
			best = &openmetrics;
		else
			best = NULL;
		if (best && quality(item, end) > *best)
			*best = quality(item, end);
		accept = end;
	}
	return openmetrics >= classic;
}

/* ---------------------------------------------------------------- Host */

bool accept_host(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char name[64];
	size_t n;

	if (!host) /* HTTP/1.0: no browser */
		return true;
	n = *host == '[' ? strcspn(++host, "]") : strcspn(host, ":");
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = 0;
	return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1 ||
	       inet_pton(AF_INET6, name, address) == 1;
}
