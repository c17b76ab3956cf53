/* Boost.Interprocess for C. */
#ifndef BENCH_BOOST_H
#define BENCH_BOOST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

bool boost_open(size_t object_size, size_t most); /* false: a size that it was not compiled for */
void boost_join(void);	 /* a process of its own: a node cache of its own */
void *boost_alloc(void); /* NULL: nothing left */
void boost_free(void *object);

#ifdef __cplusplus
}
#endif

#endif
