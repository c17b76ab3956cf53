/* What every bench program needs: a clock, a CPU of its own, medians, and repetitions that nobody
 * disturbed.
 *
 * How a figure is made: peers take turns, round after round, each round one short repetition of each
 * peer. A repetition in which the scheduler took the CPU away (getrusage's involuntary context
 * switches) is thrown away and done again, a few times. A peer's figure is the median of its clean
 * repetitions; a ratio is the median of the ratios within the rounds where both were clean. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUNDS_MAX  101
#define ROUNDS_FEW  7 /* fewer clean repetitions than these are marked */
#define PEERS_MAX   16
#define BENCH_RETRY 5

struct options {
	bool json;
	unsigned rounds;
	size_t object_size;
};

/* --json, --rounds=N, --size=BYTES; ends the process on anything else. */
struct options bench_options(int argc, char **argv);

/* The object is used, as far as the compiler knows: nothing about it may be left out or moved. */
static inline void touch(void *object, uint64_t value)
{
	*(uint64_t *)object = value;
	__asm__ volatile("" ::"r"(object) : "memory");
}

uint64_t now_ns(void);
void pin_to(int cpu);	/* this thread */
long preemptions(void); /* of this thread */
void fail(const char *what)
	__attribute__((noreturn)); /* with errno, and slabd's words if it has any */

double median(double *values, size_t n);   /* sorts them; NaN of nothing */
void shuffle(uint32_t *numbers, size_t n); /* the same order for everybody */

/* One peer's figures in one workload, by round; NaN: disturbed. */
struct series {
	double ns[ROUNDS_MAX];
};

/* One repetition: ns per operation. */
typedef double (*repetition)(void);
/* A repetition that was not preempted, or NaN after some tries. */
double undisturbed(repetition run);

struct figure {
	double ns;
	unsigned clean;
};

struct figure series_median(const struct series *series, unsigned rounds);
double series_ratio(const struct series *over, const struct series *under, unsigned rounds);

#endif
