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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
	return (double)pool_now() / 1e9;
}

/* ---------------------------------------------------------------- what is to be done */

struct task {
	void (*suite)(const struct crash_case *c, unsigned sample);
	const struct crash_case *crash_case;
};

struct choice {
	const char *only; /* what a case has in its name; NULL: anything */
	bool brief;
};

static struct task tasks[1024];
static unsigned tasks_n;

enum kind { ANY, CORE, DEEP, ORPHAN };

static bool is_of_kind(const struct crash_case *c, enum kind kind)
{
	if (kind == ORPHAN)
		return c->orphan;
	return kind == ANY || c->core || (kind == DEEP && c->deep);
}

static bool is_wanted(const struct crash_case *c, enum kind kind, const struct choice *choice)
{
	return is_of_kind(c, kind) && (!choice->brief || c->core || c->hostile) &&
	       (!choice->only || strstr(c->name, choice->only));
}

static void add_tasks(void (*suite)(const struct crash_case *c, unsigned sample),
		      const struct crash_case *(*nth)(unsigned n), enum kind kind,
		      const struct choice *choice)
{
	const struct crash_case *c;

	for (unsigned i = 0; (c = nth(i)); i++)
		if (is_wanted(c, kind, choice))
			tasks[tasks_n++] = (struct task){suite, c};
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

static void job_main(int job, unsigned sample)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(job);
	world_open();
	for (;;) {
		unsigned i = totals->next++;

		if (i >= tasks_n)
			break;
		tasks[i].suite(tasks[i].crash_case, sample);
	}
	fflush(NULL);
	_exit(0);
}

static void usage(void)
{
	fputs("usage: crash [-s kill|recovery|pairs|meanwhile|folds] [-c CASE] [-k] [-n EVERY] [-j "
	      "JOBS] "
	      "[-u]\n"
	      "  -s  this suite alone     -c  cases with this in their name\n"
	      "  -k  core and hostile cases alone\n"
	      "  -n  every so many states in recovery, pairs, meanwhile and folds; 1: all\n"
	      "  -u  compare with unreached.txt; twice: and print the instructions\n",
	      stderr);
	exit(2);
}

static bool has(const char *suite, const char *name)
{
	return !suite || !strcmp(suite, name);
}

int main(int argc, char **argv)
{
	struct choice choice = {0};
	const char *suite = NULL;
	unsigned sample = 3, jobs = 2, unreached = 0;
	int status, bad = 0, option;
	double began = seconds();

	while ((option = getopt(argc, argv, "s:c:kn:j:u")) != -1) {
		if (option == 's')
			suite = optarg;
		else if (option == 'c')
			choice.only = optarg;
		else if (option == 'k')
			choice.brief = true;
		else if (option == 'n')
			sample = (unsigned)atoi(optarg);
		else if (option == 'j')
			jobs = (unsigned)atoi(optarg);
		else if (option == 'u')
			unreached++;
		else
			usage();
	}
	if (!sample || !jobs || optind != argc)
		usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	coverage_open();
	if (has(suite, "recovery")) { /* the longest first */
		add_tasks(suite_recovery, worker_case, DEEP, &choice);
		add_tasks(suite_recovery, tomb_case, DEEP, &choice);
		add_tasks(suite_recovery, client_case, DEEP, &choice);
	}
	if (has(suite, "pairs"))
		add_tasks(suite_pairs, client_case, CORE, &choice);
	if (has(suite, "meanwhile"))
		add_tasks(suite_meanwhile, client_case, CORE, &choice);
	if (has(suite, "folds"))
		add_tasks(suite_folds, client_case, ORPHAN, &choice);
	if (has(suite, "kill")) {
		add_tasks(suite_single, client_case, ANY, &choice);
		add_tasks(suite_single, worker_case, ANY, &choice);
		add_tasks(suite_single, tomb_case, ANY, &choice);
	}
	for (unsigned i = 0; i < jobs; i++)
		if (fork() == 0)
			job_main((int)i, sample);
	while (wait(&status) > 0) {
		bad |= status;
		if (WIFSIGNALED(status))
			fprintf(stderr, "crash: signal %d ended the harness itself\n",
				WTERMSIG(status));
	}
	printf("%llu cases, %llu kill points, %llu distinct states, %llu recoveries in %.1f s: "
	       "%.0f "
	       "points/s; %llu failures\n",
	       (unsigned long long)totals->cases, (unsigned long long)totals->steps,
	       (unsigned long long)totals->points, (unsigned long long)totals->recoveries,
	       seconds() - began, (double)totals->steps / (seconds() - began),
	       (unsigned long long)totals->failures);
	if (totals->pairs)
		printf("%llu pairs of core operations\n", (unsigned long long)totals->pairs);
	if (totals->skipped)
		printf("%llu times a worker could not begin what it was to die of meanwhile\n",
		       (unsigned long long)totals->skipped);
	if (totals->cases != tasks_n) {
		fprintf(stderr, "crash: %llu cases of %u came to their end\n",
			(unsigned long long)totals->cases, tasks_n);
		bad = 1;
	}
	if (unreached && unreached_report(unreached > 1))
		bad = 1;
	return bad ? 2 : totals->failures ? 1 : 0;
}
