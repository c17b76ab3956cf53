/* Atomic operations with their order in their name.
 *
 * Everything in shared memory that another thread or process may read while we write goes through
 * these.  On the alloc and free paths only compiler order matters (DESIGN section 4): one thread
 * writes a magazine, and whoever repairs it after its death has learnt of that death from the
 * kernel, so it sees a prefix of the program order.  atomic_step() keeps the compiler from
 * re-ordering the steps; it emits no instruction. */
#ifndef SHM_ATOMIC_H
#define SHM_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if !defined(__linux__) || !defined(__GLIBC__) || !defined(__LP64__) || \
	__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "slabd needs 64-bit little-endian Linux with glibc"
#endif

#define CACHE_LINE 64

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define load_relaxed(p)	       atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p)	       atomic_load_explicit((p), memory_order_acquire)
#define store_relaxed(p, v)    atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v)    atomic_store_explicit((p), (v), memory_order_release)
#define add_relaxed(p, v)      ((void)atomic_fetch_add_explicit((p), (v), memory_order_relaxed))
#define or_relaxed(p, v)       ((void)atomic_fetch_or_explicit((p), (v), memory_order_relaxed))
#define and_relaxed(p, v)      ((void)atomic_fetch_and_explicit((p), (v), memory_order_relaxed))
#define exchange_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)

/* Acquire and release at once when it succeeds; *expected is what was found when it fails. */
#define cas_acq_rel(p, expected, wanted)                                                         \
	atomic_compare_exchange_strong_explicit((p), (expected), (wanted), memory_order_acq_rel, \
						memory_order_acquire)

#define atomic_step() atomic_signal_fence(memory_order_seq_cst)

#endif
