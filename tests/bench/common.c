#include "tests/bench/common.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <slabd/slabd.h>

static unsigned long number(const char *text, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value < least || value > most) {
		fprintf(stderr, "bench: %s: not a number from %lu to %lu\n", text, least, most);
		exit(2);
	}
	return value;
}

struct options bench_options(int argc, char **argv)
{
	struct options options = {.rounds = 21, .object_size = 64};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			options.json = true;
		} else if (strncmp(argv[i], "--rounds=", 9) == 0) {
			options.rounds = (unsigned)number(argv[i] + 9, 1, ROUNDS_MAX);
		} else if (strncmp(argv[i], "--size=", 7) == 0) {
			options.object_size = number(argv[i] + 7, 8, 4096);
		} else {
			fprintf(stderr, "usage: %s [--json] [--rounds=N] [--size=BYTES]\n",
				argv[0]);
			exit(2);
		}
	}
	return options;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		fprintf(stderr, "bench: not pinned to CPU %d: %s\n", cpu, strerror(errno));
}

long preemptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

void fail(const char *what)
{
	int error = errno;
	const char *said = slabd_error();

	fprintf(stderr, "bench: %s: %s\n", what, said && *said ? said : strerror(error));
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
	if (!n)
		return NAN;
	qsort(values, n, sizeof *values, compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void shuffle(uint32_t *numbers, size_t n)
{
	uint64_t state = 88172645463325252;

	for (size_t i = 0; i < n; i++)
		numbers[i] = (uint32_t)i;
	for (size_t i = n; i > 1; i--) {
		size_t other;
		uint32_t kept = numbers[i - 1];

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		other = state % i;
		numbers[i - 1] = numbers[other];
		numbers[other] = kept;
	}
}

double undisturbed(repetition run)
{
	for (int i = 0; i < BENCH_RETRY; i++) {
		long before = preemptions();
		double ns = run();

		if (preemptions() == before)
			return ns;
	}
	return NAN;
}

struct figure series_median(const struct series *series, unsigned rounds)
{
	double clean[ROUNDS_MAX];
	struct figure figure = {0};

	for (unsigned i = 0; i < rounds; i++)
		if (!isnan(series->ns[i]))
			clean[figure.clean++] = series->ns[i];
	figure.ns = median(clean, figure.clean);
	return figure;
}

double series_ratio(const struct series *over, const struct series *under, unsigned rounds)
{
	double ratios[ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < rounds; i++)
		if (!isnan(over->ns[i]) && !isnan(under->ns[i]))
			ratios[n++] = over->ns[i] / under->ns[i];
	return median(ratios, n);
}
