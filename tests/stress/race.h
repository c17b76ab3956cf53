/* What the races share: a page that both sides see, a barrier, and the word in an object's content that
 * says whose it is. */
#ifndef TESTS_STRESS_RACE_H
#define TESTS_STRESS_RACE_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "client/internal.h"
#include "tests/support/child.h"

#define SPINS 2000 /* before the processor is left to others */

/* In a process that must not go on. */
#define EXPECT(condition)                                                                  \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, \
				#condition, slabd_error());                                \
			abort();                                                           \
		}                                                                          \
	} while (0)

struct race_kind {
	const char *name;
	uint32_t flags;
};

static const struct race_kind race_kinds[] = {
	{"plain", 0},
	{"reclaim", SLABD_RECLAIM},
	{"strict", SLABD_STRICT},
	{"strict-reclaim", SLABD_STRICT | SLABD_RECLAIM},
};

#define RACE_KINDS (sizeof(race_kinds) / sizeof(*race_kinds))

static inline void *race_page(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	EXPECT(p != MAP_FAILED);
	return p;
}

static inline uint64_t race_random(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ z >> 29;
}

/* $SLABD_TEST_SEED repeats a run's draws. */
static inline uint64_t race_seed(void)
{
	const char *given = getenv("SLABD_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : clock_now();

	printf("SLABD_TEST_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

static inline void race_relax(unsigned *spins)
{
	if (++*spins % SPINS == 0)
		sched_yield();
	else
		__builtin_ia32_pause();
}

/* Two sides: both come, both go on. */
struct race_barrier {
	_Alignas(64) _Atomic uint64_t arrived[2];
};

static inline void race_meet(struct race_barrier *barrier, unsigned side)
{
	uint64_t mine = ++barrier->arrived[side];
	unsigned spins = 0;

	while (barrier->arrived[!side] < mine)
		race_relax(&spins);
}

/* The owner word, first in every object: 0 in a free one, a token of its owner in a live one. */
static inline bool race_own(void *object, uint64_t token)
{
	uint64_t none = 0;

	return __atomic_compare_exchange_n((uint64_t *)object, &none, token, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline void race_disown(void *object)
{
	__atomic_store_n((uint64_t *)object, 0, __ATOMIC_RELEASE);
}

static inline uint32_t race_tag(const struct slabd_cache *cache, slabd_handle handle)
{
	return load_relaxed(cache_tag(&cache->view, (uint32_t)handle));
}

#endif
