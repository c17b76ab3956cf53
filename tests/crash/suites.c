/* What is done about a case: its own kill points; kills in the recovery from each of them; a second
 * victim after each of them; a worker that dies while the client goes on; and one that folds what the
 * client is about to take. */
#include "tests/crash/crash.h"

#include <stdlib.h>
#include <string.h>

static double seconds(void)
{
	return (double)pool_now() / 1e9;
}

/* Adds a trace and its recoveries to the totals. */
static unsigned account(const struct trace *trace)
{
	unsigned failures = recover_all(trace);

	totals->steps += trace->steps;
	totals->points += trace->n;
	totals->failures += failures;
	return failures;
}

static void tell(const char *suite, const char *name, uint64_t steps, uint64_t states,
		 unsigned failures, double began)
{
	totals->cases++;
	printf("%-9s %-34s %9llu steps %6llu states %7.2f s%s\n", suite, name,
	       (unsigned long long)steps, (unsigned long long)states, seconds() - began,
	       failures ? "  FAILED" : "");
}

void suite_single(const struct crash_case *c, unsigned sample)
{
	double began = seconds();
	struct trace trace = {0};
	unsigned failures;

	(void)sample;
	trace_run(&trace, c, world.base);
	failures = account(&trace);
	if (!effects_are_right(&trace)) {
		failures++;
		totals->failures++;
	}
	tell("kill", c->name, trace.steps, trace.n, failures, began);
	trace_free(&trace);
}

/* ---------------------------------------------------------------- crash in recovery */

#define FEW 6 /* states: all of them are taken */

struct sum {
	uint64_t steps, states;
	unsigned failures;
};

static void kill_recovery(struct sum *sum, const struct trace *outer, const char *image,
			  const struct crash_case *how)
{
	struct crash_case c = *how;
	struct trace trace = {0};

	c.cache = outer->crash_case->cache;
	c.name = outer->crash_case->name;
	c.again = outer->crash_case->again;
	recovery_client = outer->client_dies ? outer->client : 0;
	trace_run(&trace, &c, image);
	/* what was lost or won is measured by the operation that was killed first */
	trace.before = outer->before;
	trace.after = outer->after;
	trace.client = outer->client;
	trace.client_dies = outer->client_dies;
	sum->failures += account(&trace);
	sum->steps += trace.steps;
	sum->states += trace.n;
	trace_free(&trace);
}

void suite_recovery(const struct crash_case *c, unsigned sample)
{
	double began = seconds();
	struct trace outer = {0};
	struct sum sum = {0};

	trace_run(&outer, c, world.base);
	if (outer.n <= FEW)
		sample = 1;
	for (uint32_t i = 0; i < outer.n; i += sample) {
		const char *image = outer.points[outer.n - 1 - i].image;

		if (outer.client_dies)
			kill_recovery(&sum, &outer, image, &recovery_by_worker);
		kill_recovery(&sum, &outer, image, &recovery_by_restart);
	}
	tell("recovery", c->name, sum.steps, sum.states, sum.failures, began);
	trace_free(&outer);
}

/* ---------------------------------------------------------------- two victims */

/* False if the second's shape can't be had from there. */
static bool kill_second(struct sum *sum, const struct trace *outer, const char *image,
			const struct crash_case *second)
{
	struct trace trace = {.first = outer->client};

	if (!trace_run(&trace, second, image))
		return false;
	sum->failures += account(&trace);
	sum->steps += trace.steps;
	sum->states += trace.n;
	trace_free(&trace);
	return true;
}

/* A second that begins from no state of the first is a pair that was not tried: a failure. */
static void kill_pair(struct sum *sum, const struct trace *outer, const struct crash_case *second,
		      unsigned sample)
{
	uint32_t begun = 0, tried = 0;

	for (uint32_t i = 0; i < outer->n; i += sample, tried++)
		begun += kill_second(sum, outer, outer->points[i].image, second);
	totals->pairs++;
	if (begun < tried)
		printf("pairs     %s, then %s: from %u of %u states; the others have not what the "
		       "second needs\n",
		       outer->crash_case->name, second->name, begun, tried);
	if (begun)
		return;
	sum->failures++;
	totals->failures++;
}

void suite_pairs(const struct crash_case *first, unsigned sample)
{
	const struct crash_case *second;
	double began = seconds();
	struct trace outer = {0};
	struct sum sum = {0};

	trace_run(&outer, first, world.base);
	for (unsigned k = 0; (second = client_case(k)); k++)
		if (second->core)
			kill_pair(&sum, &outer, second, sample);
	for (unsigned k = 0; (second = worker_case(k)); k++)
		if (second->core)
			kill_pair(&sum, &outer, second, sample);
	tell("pairs", first->name, sum.steps, sum.states, sum.failures, began);
	trace_free(&outer);
}

/* ---------------------------------------------------------------- the client goes on */

static void restart(void *arg)
{
	(void)arg;
	live_close();
	live_open();
	pool_tick(served_by);
	run_jobs(served_by);
}

struct meanwhile {
	const struct crash_case *worker;
	uint32_t at;
	struct trace *trace;
};

/* The worker is killed in the midst of something, and the next one starts. */
static void die_and_restart(void *arg)
{
	const struct meanwhile *m = arg;

	if (!trace_kill_at(m->worker, m->at, &m->trace->first))
		totals->skipped++;
	live_close(); /* it was idle: all that it knew is old */
	live_open();
}

/* At full speed from where it was interrupted. */
static void go_on(struct sum *sum, const struct crash_case *c, const char *image,
		  struct trace *trace)
{
	trace->then_run = true;
	trace_run(trace, c, image);
	sum->failures += account(trace);
	if (c->orphan && !effects_are_right(trace)) {
		sum->failures++;
		totals->failures++;
	}
	sum->steps += trace->steps;
	sum->states += trace->n;
	trace_free(trace);
}

static void go_on_after(struct sum *sum, const struct crash_case *c, const char *image, uint32_t at,
			struct meanwhile m)
{
	struct trace trace = {.meanwhile = die_and_restart, .arg = &m, .meanwhile_at = at};

	m.trace = &trace;
	go_on(sum, c, image, &trace);
}

void suite_meanwhile(const struct crash_case *c, unsigned sample)
{
	const struct crash_case *worker;
	double began = seconds();
	struct trace outer = {0};
	struct sum sum = {0};

	trace_run(&outer, c, world.base);
	for (uint32_t at = 1; at < outer.n; at++)
		go_on(&sum, c, world.base,
		      &(struct trace){.meanwhile = restart, .meanwhile_at = at});
	for (uint32_t at = 1; at < outer.n; at += (sample + 1) / 2)
		for (unsigned k = 0; (worker = worker_case(k)); k++)
			for (uint32_t i = 2; worker->core && i < 20; i += 2 + 2 * sample)
				go_on_after(&sum, c, world.base, at,
					    (struct meanwhile){.worker = worker, .at = i});
	tell("meanwhile", c->name, sum.steps, sum.states, sum.failures, began);
	trace_free(&outer);
}

/* ---------------------------------------------------------------- its orphan is folded */

#define FOLD_STATES 16

void suite_folds(const struct crash_case *c, unsigned sample)
{
	double began = seconds();
	char *image = graves_make();
	struct crash_case orphan = *c;
	struct trace outer = {0};
	struct sum sum = {0};

	orphan.again = graves_again;
	trace_run(&outer, &orphan, image);
	/* between any two steps of its, for it may have read the tag */
	for (uint64_t step = 0; step < outer.steps; step += (sample + 1) / 2)
		go_on(&sum, &orphan, image,
		      &(struct trace){.meanwhile = graves_fold_now, .meanwhile_step = step});
	for (uint32_t at = 1; at < outer.n; at += (sample + 1) / 2)
		for (uint32_t i = 1 + at % sample; i < FOLD_STATES; i += sample)
			go_on_after(&sum, &orphan, image, at,
				    (struct meanwhile){.worker = &graves_fold, .at = i});
	tell("folds", c->name, sum.steps, sum.states, sum.failures, began);
	trace_free(&outer);
	free(image);
}
