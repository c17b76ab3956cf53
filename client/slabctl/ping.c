/* Is slabd there?  With --wait the answer may take its time: until then it is asked again, each time
 * anew, since what is not there yet can't be waited on. */
#include "client/slabctl/verbs.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

#define RETRY_MS 20

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Worth another try: it is not there, or it ended while it was starting. */
static bool may_come(int code)
{
	return code == EXIT_UNREACHABLE || code == EXIT_TIMEOUT;
}

static int wait_open(struct query *query, unsigned wait_ms)
{
	const struct timespec pause = {0, RETRY_MS * 1000000};
	double start = now(), left = wait_ms;
	char why[sizeof(query->why) - 64];
	int code;

	for (;;) {
		if (query->timeout_ms > left)
			query->timeout_ms = left < 1 ? 1 : (unsigned)left;
		code = query_open(query);
		left = wait_ms - (now() - start);
		if (!may_come(code) || left <= 0)
			break;
		ppoll(NULL, 0, &pause, NULL);
	}
	if (!may_come(code))
		return code;
	memccpy(why, query->why, 0, sizeof(why) - 1);
	why[sizeof(why) - 1] = 0;
	snprintf(query->why, sizeof(query->why), TEXT_WAITED, why, (now() - start) / 1e3);
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
