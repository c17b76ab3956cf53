/* DPDK's rte_mempool with its cache per lcore, without hugepages, devices or root. Its memory is a
 * memfd, mapped shared, so processes forked later use the same pool, each as an lcore of its own. */
#ifndef BENCH_PEER_DPDK_H
#define BENCH_PEER_DPDK_H

#include <stdio.h>

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#define PEER_SHARED    1
#define PEER_CACHED    512 /* the most that rte_mempool allows */
#define PEER_OVERHEAD  192 /* an object's header, trailer and padding, roundly */
#define PEER_EAL_BYTES ((size_t)96 << 20)

static struct rte_mempool *peer_pool;

static PEER_INLINE bool peer_open(size_t object_size, size_t most)
{
	size_t bytes = (object_size + PEER_OVERHEAD) * most + PEER_EAL_BYTES;
	char megabytes[32], program[] = "bench", cpu[] = "-l0", memory[] = "-m",
			    huge[] = "--no-huge", pci[] = "--no-pci", files[] = "--no-shconf",
			    log[] = "--log-level=3", telemetry[] = "--no-telemetry",
			    iova[] = "--iova-mode=va";
	char *arguments[] = {program, cpu,   memory, megabytes, huge,
			     pci,     files, log,    telemetry, iova};

	snprintf(megabytes, sizeof megabytes, "%zu", bytes >> 20);
	if (rte_eal_init(sizeof arguments / sizeof *arguments, arguments) < 0)
		return false;
	memory_before = resident_bytes();
	peer_pool = rte_mempool_create("bench", (unsigned)most, (unsigned)object_size, PEER_CACHED,
				       0, NULL, NULL, NULL, NULL, SOCKET_ID_ANY, 0);
	return peer_pool != NULL;
}

static PEER_INLINE void peer_join(unsigned number)
{
	RTE_PER_LCORE(_lcore_id) = number;
}

static PEER_INLINE void peer_close(void)
{
}

static PEER_INLINE uint64_t peer_memory(void)
{
	return resident_bytes();
}

static PEER_INLINE void *peer_alloc(void)
{
	void *object;

	if (!PEER_LIKELY(rte_mempool_get(peer_pool, &object) == 0))
		fail("rte_mempool_get");
	return object;
}

static PEER_INLINE void peer_free(void *object)
{
	rte_mempool_put(peer_pool, object);
}

static PEER_INLINE void peer_alloc_bulk(size_t n, void **objects)
{
	if (!PEER_LIKELY(rte_mempool_get_bulk(peer_pool, objects, (unsigned)n) == 0))
		fail("rte_mempool_get_bulk");
}

static PEER_INLINE void peer_free_bulk(size_t n, void **objects)
{
	rte_mempool_put_bulk(peer_pool, objects, (unsigned)n);
}

#endif
