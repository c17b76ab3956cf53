/* bench-PEER SIZE MOST [count]: does repetitions of workloads on one peer, as standard input asks: a line is a
 * workload's name; the answer is a line of its figures, then how often the scheduler took the CPU away
 * meanwhile, then a line's trip between the CPUs before and after (0: not asked). First of all it says
 * "ready", or "absent" where its peer can't be had. With "count" it does what callgrind is to count, and ends. Its driver is driver.c. */
#include <stdio.h>
#include <string.h>

#include "tests/bench/crew.h"
#include "tests/bench/single.h"
#ifdef PEER_SLABD
#include "tests/bench/refill.h"
#endif

#ifndef PEER_ALONE
#define PEER_ALONE 0 /* 1: can't serve two at once */
#endif
#define COUNTED_BATCHES 20

struct answer {
	double figures[5];
	unsigned figures_n;
	long preempted;
	double trip[2];
};

static size_t most;

static void measure_single(struct answer *answer, double (*run)(void))
{
	answer->preempted = preemptions();
	answer->figures[0] = run();
	answer->preempted = preemptions() - answer->preempted;
}

static void measure_latency(struct answer *answer)
{
	answer->figures_n = 5;
	answer->preempted = preemptions();
	latency(answer->figures);
	answer->preempted = preemptions() - answer->preempted;
}

#ifdef PEER_SLABD
static void measure_refill(struct answer *answer)
{
	answer->figures_n = 3;
	answer->preempted = preemptions();
	refill(answer->figures);
	answer->preempted = preemptions() - answer->preempted;
}
#endif

/* Between two trips of a line, where more than one CPU is at work. */
static void measure_crew(struct answer *answer, enum crew_task task, unsigned size)
{
	struct crew_result before = {0}, after = {0}, result;

	if (size > 1)
		before = crew_run(TASK_TRIP, 2);
	result = crew_run(task, size);
	if (size > 1)
		after = crew_run(TASK_TRIP, 2);
	answer->figures[0] = result.ns;
	answer->preempted = before.preempted + result.preempted + after.preempted;
	answer->trip[0] = before.ns;
	answer->trip[1] = after.ns;
}

/* Bytes that each of most live objects takes. */
static void measure_memory(struct answer *answer)
{
	for (size_t i = 0; i < most; i++) {
		objects[i] = peer_alloc();
		touch(objects[i], i);
	}
	answer->figures[0] = (double)(peer_memory() - memory_before) / (double)most;
	for (size_t i = 0; i < most; i++)
		peer_free(objects[i]);
}

/* ---------------------------------------------------------------- for callgrind: counted by name */

__attribute__((noinline)) static void count_alloc(void)
{
	for (size_t i = 0; i < BATCH_SMALL; i++) {
		objects[i] = peer_alloc();
		touch(objects[i], i);
	}
}

__attribute__((noinline)) static void count_free(void)
{
	for (size_t i = 0; i < BATCH_SMALL; i++)
		peer_free(objects[order_small[i]]);
}

__attribute__((noinline)) static void count(void)
{
	for (int i = 0; i < COUNTED_BATCHES; i++) {
		count_alloc();
		count_free();
	}
}

/* ---------------------------------------------------------------- questions and answers */

static bool answer_to(const char *name, struct answer *answer)
{
	answer->figures_n = 1;
	if (strcmp(name, "W1") == 0)
		measure_single(answer, pair);
	else if (strcmp(name, "W2a") == 0)
		measure_single(answer, batch_small);
	else if (strcmp(name, "W2b") == 0)
		measure_single(answer, batch_large);
	else if (strcmp(name, "W4") == 0)
		measure_single(answer, bulk);
	else if (strcmp(name, "W6") == 0)
		measure_memory(answer);
	else if (strcmp(name, "W7") == 0)
		measure_latency(answer);
#ifdef PEER_SLABD
	else if (strcmp(name, "W10") == 0)
		measure_refill(answer);
#endif
	else if (strcmp(name, "W5a") == 0)
		measure_crew(answer, TASK_REPLACE, 1);
	else if (PEER_ALONE)
		return false;
	else if (strcmp(name, "W3") == 0)
		measure_crew(answer, TASK_HAND_OVER, 2);
	else if (strcmp(name, "W3b") == 0)
		measure_crew(answer, TASK_HAND_OVER_BULK, 2);
	else if (strcmp(name, "ring") == 0)
		measure_crew(answer, TASK_RING, 2);
	else if (strcmp(name, "W5b") == 0)
		measure_crew(answer, TASK_REPLACE, 2);
	else if (strcmp(name, "W5c") == 0)
		measure_crew(answer, TASK_REPLACE, 4);
	else
		return false;
	return true;
}

static void serve(void)
{
	char line[64];

	while (fgets(line, sizeof line, stdin)) {
		struct answer answer = {0};

		line[strcspn(line, "\n")] = '\0';
		if (!answer_to(line, &answer)) {
			puts("absent");
			continue;
		}
		for (unsigned i = 0; i < answer.figures_n; i++)
			printf("%.4f ", answer.figures[i]);
		printf("%ld %.3f %.3f\n", answer.preempted, answer.trip[0], answer.trip[1]);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s SIZE MOST [count]\n", argv[0]);
		return 2;
	}
	most = strtoul(argv[2], NULL, 10);
	if (most < BATCH_LARGE)
		most = BATCH_LARGE;
	setvbuf(stdout, NULL, _IOLBF, 0);
	pin_to(0);
	single_prepare(most);
	memory_before = resident_bytes();
	if (!peer_open(strtoul(argv[1], NULL, 10), most)) {
		puts("absent");
		return 0;
	}
	if (argc > 3) {
		count();
	} else {
		puts("ready");
		serve();
	}
	peer_close();
	return 0;
}
