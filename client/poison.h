/* SLABD_POISON=1; the theory stands in poison.c.  Every function here does nothing where poison_on is false. */
#ifndef CLIENT_POISON_H
#define CLIENT_POISON_H

#include <stdbool.h>
#include <stddef.h>

struct slabd;
struct slabd_cache;
struct slabd_fast_slot;

#ifdef SLABD_POISON

extern bool poison_on;

/* A segment is mapped; is about to be unmapped. */
void poison_attached(struct slabd *slabd);
void poison_detached(struct slabd *slabd);

/* This thread has just allocated object, and puts its magazines out of the fast paths' sight. */
void poison_taken(struct slabd_cache *cache, void *object);
/* The same, and the taking itself, of up to n; how many. */
size_t poison_take_many(struct slabd_cache *cache, size_t n, void **objects);
/* The object is this thread's alone and on its way to a magazine. */
void poison_given(const struct slabd_cache *cache, void *object);
/* A handle led to object. */
void poison_found(const struct slabd_cache *cache, void *object);
/* Puts the magazines of a slot out of the fast paths' sight. */
void poison_hide(struct slabd_cache *cache, struct slabd_fast_slot *slot);

#else

#define poison_on		  false
#define poison_attached(s)	  ((void)(s))
#define poison_detached(s)	  ((void)(s))
#define poison_taken(c, o)	  ((void)(c), (void)(o))
#define poison_take_many(c, n, o) ((size_t)0)
#define poison_given(c, o)	  ((void)(c), (void)(o))
#define poison_found(c, o)	  ((void)(c), (void)(o))
#define poison_hide(c, s)	  ((void)(c), (void)(s))

#endif

#endif
