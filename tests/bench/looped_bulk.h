/* Bulk calls of a peer that has none: what its user would write. After peer_alloc and peer_free. */
#ifndef BENCH_LOOPED_BULK_H
#define BENCH_LOOPED_BULK_H

static PEER_INLINE void peer_alloc_bulk(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		objects[i] = peer_alloc();
}

static PEER_INLINE void peer_free_bulk(size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		peer_free(objects[i]);
}

#endif
