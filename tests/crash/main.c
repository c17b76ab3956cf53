/* A kill at every instruction.
 *
 * 1. A victim, forked from here, is single-stepped through one operation.  A SIGKILL before an
 *    instruction leaves the shared regions as the instructions before it made them, no more and no
 *    less: so looking at them after each step is as good as killing there, and one run of the operation
 *    gives the outcome of a kill at every instruction of it.
 *
 * 2. From each state of the regions that comes up, a recovery is run on a copy, the mirror: the worker
 *    hears of the death, or dies too and a new one starts.  Then the oracle: the audit balances, the
 *    worker's lists agree with it, each object is as its owner and its handles have a right to expect, a
 *    survivor allocates and frees, and at the end everything that the heap has room for can be had,
 *    each object once.  So 0 lost, 0 doubled, at every point. */
#include "tests/crash/crash.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
	return (double)pool_now() / 1e9;
}

static void run_case(const struct crash_case *c)
{
	double began = seconds(), stepped;
	struct trace trace;
	unsigned failures;

	trace_run(&trace, c, world.base);
	stepped = seconds();
	failures = recover_all(&trace);
	printf("%-32s %8llu steps %6u states %8.3f s stepping %8.3f s recovering%s\n", c->name,
	       (unsigned long long)trace.steps, trace.n, stepped - began, seconds() - stepped,
	       failures ? "  FAILED" : "");
	totals->cases++;
	totals->steps += trace.steps;
	totals->points += trace.n;
	totals->failures += failures;
	trace_free(&trace);
}

/* On one CPU: tracer and victim take turns, and waking the other one there is quickest. */
static void pin(int job)
{
	cpu_set_t set;
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

	CPU_ZERO(&set);
	CPU_SET(job % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void job_main(int job, const char *only)
{
	pin(job);
	world_open();
	for (;;) {
		unsigned i = totals->next++;
		const struct crash_case *c;

		if (i >= client_cases_n + worker_cases_n)
			break;
		c = i < client_cases_n ? &client_cases[i] : &worker_cases[i - client_cases_n];
		if (!only || strstr(c->name, only))
			run_case(c);
	}
	fflush(NULL);
	_exit(0);
}

int main(int argc, char **argv)
{
	int jobs = 2, status, bad = 0;
	double began = seconds();

	setvbuf(stdout, NULL, _IOLBF, 0);
	coverage_open();
	for (int i = 0; i < jobs; i++)
		if (fork() == 0)
			job_main(i, argc > 1 ? argv[1] : NULL);
	while (wait(&status) > 0)
		bad |= status;
	printf("%llu cases, %llu kill points, %llu distinct states, %llu recoveries in %.1f s: "
	       "%.0f "
	       "points/s; %llu failures\n",
	       (unsigned long long)totals->cases, (unsigned long long)totals->steps,
	       (unsigned long long)totals->points, (unsigned long long)totals->recoveries,
	       seconds() - began, (double)totals->steps / (seconds() - began),
	       (unsigned long long)totals->failures);
	if (argc > 2)
		unreached_report(argc > 3);
	return bad ? 2 : totals->failures ? 1 : 0;
}
