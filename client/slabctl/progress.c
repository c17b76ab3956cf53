#include "client/slabctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

#define PATIENCE_MS 1000

struct progress {
	const char *verb;
	uint64_t before_ms; /* of the waits before this one */
	uint64_t shown_s;   /* 0: nothing is shown */
	int columns;	    /* that it takes */
};

static bool waiting(void *arg, uint64_t waited_ms)
{
	struct progress *progress = arg;
	uint64_t all = progress->before_ms + waited_ms;

	if (all < PATIENCE_MS || all / 1000 == progress->shown_s)
		return true;
	progress->shown_s = all / 1000;
	fflush(stdout);
	progress->columns = fprintf(stderr, "\r" TEXT_PROGRESS, progress->verb,
				    (unsigned long long)progress->shown_s);
	fflush(stderr);
	return true;
}

static void waited(void *arg, uint64_t waited_ms)
{
	struct progress *progress = arg;

	progress->before_ms += waited_ms;
	if (!progress->shown_s)
		return;
	fprintf(stderr, "\r%*s\r", progress->columns, "");
	progress->shown_s = 0;
}

void progress_begin(struct query *query, const char *verb)
{
	static struct progress progress;

	if (!isatty(STDERR_FILENO))
		return;
	progress = (struct progress){.verb = verb};
	query->waiting = waiting;
	query->waited = waited;
	query->waiting_arg = &progress;
}
