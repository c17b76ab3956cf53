/* Is slabd there?  With --wait the answer may take its time: until then it is asked again, each time
 * anew, since what is not there yet can't be waited on. */
#include "client/slabctl/verbs.h"

#include <stdio.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/wire.h"

#define RETRY_MS 20
#define FAIR_MS	 100

/* Worth another try: it is not there, or it ended while it was starting. */
static bool may_come(int code)
{
	return code == EXIT_UNREACHABLE || code == EXIT_TIMEOUT;
}

/* The last try may have had no time to fail but by the clock: then the one before it knows why. */
static int open_until(struct query *query, uint64_t start, uint64_t end)
{
	uint64_t now = start;
	char why[sizeof(query->why) - 64];
	int code, last = 0;

	for (;;) {
		unsigned left = (unsigned)(end - now);

		if (query->timeout_ms > left)
			query->timeout_ms = left ? left : 1;
		code = query_open(query);
		now = wire_now();
		if (!may_come(code))
			return code;
		if (code != EXIT_TIMEOUT || left >= FAIR_MS || !last) {
			last = code;
			snprintf(why, sizeof(why), "%.*s", (int)sizeof(why) - 1, query->why);
		}
		if (now >= end)
			break;
		if (query->waiting)
			query->waiting(query->waiting_arg, now - start);
		wire_pause(end - now < RETRY_MS ? (unsigned)(end - now) : RETRY_MS);
		now = wire_now();
		if (now > end)
			now = end;
	}
	return query_fail(query, last, TEXT_WAITED, why, (double)(now - start) / 1000);
}

static int wait_open(struct query *query, unsigned wait_ms)
{
	uint64_t start = wire_now();
	int code = open_until(query, start, start + wait_ms);

	if (query->waited)
		query->waited(query->waiting_arg, 0);
	return code;
}

int verb_ping(struct query *query, const struct order *order)
{
	int code = order->wait ? wait_open(query, order->wait_ms) : query_open(query);

	if (code)
		return code;
	if (order->json)
		return json_print(json_pack("{s:s, s:o}", "version", query->version, "address",
					    json_text(query->shown)));
	printf("slabd %s answers at %s\n", query->version, query->shown);
	return EXIT_DONE;
}
