/* A ring between one producer and one consumer, in memory that both see. Each side keeps its own copy
 * of the other's index and looks again only when that copy leaves it nothing to do. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#define RING_SLOTS 1024u
#define RING_SPINS 100000 /* then the CPU is offered to others: the partner may be waiting for it */

struct ring {
	_Alignas(64) _Atomic uint64_t put; /* by the producer, with its copy of the consumer's */
	uint64_t taken_seen;
	_Alignas(64) _Atomic uint64_t taken;
	uint64_t put_seen;
	_Alignas(64) void *slots[RING_SLOTS];
};

static inline void ring_wait(unsigned *spins)
{
	__builtin_ia32_pause();
	if (++*spins % RING_SPINS == 0)
		sched_yield();
}

static inline void ring_put(struct ring *ring, void *item)
{
	uint64_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
	unsigned spins = 0;

	while (put - ring->taken_seen == RING_SLOTS) {
		ring->taken_seen = atomic_load_explicit(&ring->taken, memory_order_acquire);
		if (put - ring->taken_seen == RING_SLOTS)
			ring_wait(&spins);
	}
	ring->slots[put % RING_SLOTS] = item;
	atomic_store_explicit(&ring->put, put + 1, memory_order_release);
}

static inline void *ring_take(struct ring *ring)
{
	uint64_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	unsigned spins = 0;
	void *item;

	while (taken == ring->put_seen) {
		ring->put_seen = atomic_load_explicit(&ring->put, memory_order_acquire);
		if (taken == ring->put_seen)
			ring_wait(&spins);
	}
	item = ring->slots[taken % RING_SLOTS];
	atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
	return item;
}

#endif
