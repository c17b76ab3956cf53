/* What every bench program needs: a clock, a CPU of its own, memory, a random order. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	bool json;
	size_t object_size;
};

/* --json, --size=BYTES; ends the process on anything else. */
struct options bench_options(int argc, char **argv);

/* The object is used, as far as the compiler knows: nothing about it may be left out or moved. */
static inline void touch(void *object, uint64_t value)
{
	*(uint64_t *)object = value;
	__asm__ volatile("" ::"r"(object) : "memory");
}

uint64_t now_ns(void);
void pin_to(int cpu);				       /* this thread */
long preemptions(void);				       /* of this thread */
void fail(const char *what) __attribute__((noreturn)); /* with errno */

uint64_t resident_bytes(void); /* of this process, as the kernel counts them */
void *shared_memory(size_t bytes);
void shuffle(uint32_t *numbers, size_t n); /* the same order for everybody */
uint64_t next_random(uint64_t *state);	   /* never 0 */

#endif
