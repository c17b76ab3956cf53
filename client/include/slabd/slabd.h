/* slabd: a kmem_cache for user space, shared by processes.
 *
 * A daemon, slabd, owns shared memory that holds caches: objects of one size under one name.  Every
 * process that attaches sees them; what one allocates, another finds by handle, uses and frees.
 *
 * Return values: int is 0 or a negative errno; a pointer is NULL with errno set.  In both cases
 * slabd_error() has a sentence that names the object, the number and the next step.
 *
 * Threads: every function may be called from any thread at any time, unless it says otherwise.
 * Fork: a child needs no code.  It starts with no magazines and no identity; its first alloc or free
 * makes it a client of its own.  What its parent had allocated stays the parent's, until freed or
 * adopted.  After daemon(3) the parent is gone, so adopt what must live on, or attach after it.
 * Signals: like malloc, nothing here is async-signal-safe.  Leaving alloc or free by longjmp or by
 * asynchronous cancellation is undefined.
 * A process that dies, even by SIGKILL and at any instruction, leaks nothing: what its threads had in
 * magazines returns to the pool, what it had allocated is reclaimed (SLABD_RECLAIM) or stays as
 * orphans that can be adopted or freed.
 *
 * What is not caught: between the check and the store of a free of one's own object lie nanoseconds
 * in which a second free of it, by another thread or process, goes unseen (SLABD_STRICT has no such
 * window).  A double free by pointer is caught until the object is handed out again; a stale handle
 * passes only after an exact multiple of 65,536 frees of its object.
 *
 * With SLABD_POISON=1 in the environment, valgrind and AddressSanitizer report a use of an object that
 * this process has freed, until alloc, get or adopt gives it back: see libslabd(3). */
#ifndef SLABD_SLABD_H
#define SLABD_SLABD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__linux__) || !defined(__LP64__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "slabd needs 64-bit little-endian Linux"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Flags of alloc. */
#define SLABD_ZERO   0x1u /* zero the object: object_size bytes */
#define SLABD_NOWAIT 0x2u /* no refill: NULL, ENOMEM when no magazine is at hand */

/* Flags of a cache. */
#define SLABD_RECLAIM 0x1u /* objects die with the process that owns them */
#define SLABD_STRICT  0x2u /* every free is a compare-and-swap: no window, some ns more */
/* Align to cache lines, as the kernel's SLAB_HWCACHE_ALIGN.  Where that leaves 4 bytes behind an object
 * the tag lies there, on lines that nobody else's objects or tags share (but objects of at most 32
 * bytes do): for objects that pass between processes. */
#define SLABD_HWALIGN	0x4u
#define SLABD_EXCLUSIVE 0x8u /* create: -EEXIST if the name exists */

struct slabd;		       /* an attachment of this process to a segment */
struct slabd_cache;	       /* a cache, as this process has it open */
typedef uint64_t slabd_handle; /* names an object in every process; 0: none */

struct slabd_cache_args {
	size_t size_of_args; /* sizeof(struct slabd_cache_args), for what may be added */
	size_t object_size;  /* bytes, 1 to 131,072 */
	size_t align;	     /* bytes, a power of two up to 4,096; 0: 8 */
	uint32_t flags;	     /* SLABD_RECLAIM, SLABD_STRICT, SLABD_HWALIGN, SLABD_EXCLUSIVE */
	uint32_t magazine;   /* objects that a thread takes from the depot at once; 0: by size */
};

/* ---------------------------------------------------------------- attachments */

/* Attaches this process to the segment at address: SOCKET or SOCKET#SEGMENT (SEGMENT main is the
 * default).  NULL: $SLABD_ADDRESS, else $XDG_RUNTIME_DIR/slabd/slabd.sock (not for root), else
 * /run/slabd/slabd.sock.  A second attach to the same segment returns the first, counted.
 *
 * Waits for slabd at most 10 s ($SLABD_TIMEOUT_MS).  -ENOENT, -ECONNREFUSED: no slabd there, or no
 * such segment; -EACCES: the socket is not for this user; -EPERM: another pid namespace than slabd's;
 * -EPROTO: another version; -ENOSPC: too many clients; -EIO: the segment is damaged; -ETIMEDOUT;
 * -EINVAL, -ENAMETOOLONG: the address. */
int slabd_attach(struct slabd **ret, const char *address);

/* Gives back one attach; with the last, every cache of the attachment is closed, the magazines of all
 * threads return, the memory is unmapped, and the process stops being a client: what it still had
 * allocated is reclaimed or becomes orphans, as at its death.  No thread may be using the attachment,
 * its caches or its objects.  NULL is fine. */
void slabd_detach(struct slabd *slabd);

/* Returns the magazines of the calling thread, of all caches of the attachment, to the depot.  For a
 * thread that will be idle; at thread exit it happens by itself. */
void slabd_flush(struct slabd *slabd);

/* Do raw pointers into objects mean the same here as in other processes?  False where the address
 * range was taken at attach; handles work either way. */
bool slabd_same_address(const struct slabd *slabd);

/* The default attachment: slabd_attach(NULL) on first use, kept until the process ends.  NULL and
 * errno if that failed; the next call tries again. */
struct slabd *slabd_default(void);

/* ---------------------------------------------------------------- caches */

/* Makes the cache of this name ([A-Za-z0-9_.-], at most 63 characters), or opens it if one with the
 * same object size, align, flags and, if given, magazine exists.  A cache outlives the processes that
 * use it.
 *
 * -EINVAL: a size, align, flag or name out of bounds, or another cache has the name; -EEXIST: with
 * SLABD_EXCLUSIVE; -ENOSPC: too many caches; -ENOMEM; -ETIMEDOUT; -ESTALE: this slabd has another
 * segment (detach and attach again).  *ret belongs to the attachment; close it. */
int slabd_cache_create(struct slabd *slabd, const char *name, const struct slabd_cache_args *args,
		       struct slabd_cache **ret);

/* Opens an existing cache.  Opens are counted: a second returns the same pointer.  -ENOENT. */
int slabd_cache_open(struct slabd *slabd, const char *name, struct slabd_cache **ret);

/* Gives back one open; with the last, no thread may still be using the pointer, and the magazines
 * that all threads of this process hold return to the depot.  The cache lives on.  NULL is fine. */
void slabd_cache_close(struct slabd_cache *cache);

/* Takes the cache's name away and closes it.  Other openers go on; the memory goes with the last of
 * them; the name can be used again at once.  -EBUSY, and nothing is changed, while objects are live
 * or orphaned, unless all are this process's in a SLABD_RECLAIM cache. */
int slabd_cache_destroy(struct slabd_cache *cache);

/* Returns the calling thread's magazines and all free memory of the cache to the system. */
int slabd_cache_shrink(struct slabd_cache *cache);

/* Bytes of an object, as given to create. */
size_t slabd_cache_size(const struct slabd_cache *cache);

/* ---------------------------------------------------------------- objects */

/* An object of the cache, owned by this process; uninitialised unless SLABD_ZERO.  When the depot is
 * dry it waits for slabd, at most 10 s ($SLABD_TIMEOUT_MS); with SLABD_NOWAIT it does not, but in the
 * first call of a thread or a forked child, which may wait 0.1 s for its identity.
 * NULL: ENOMEM, the heap is full or NOWAIT found nothing; ETIMEDOUT; EINVAL, flags; ESTALE and EIO, see
 * attach and create. */
void *slabd_alloc(struct slabd_cache *cache, unsigned flags);

/* Frees an object, whichever process allocated it.  Never fails, and waits for nobody, but in the first
 * call of a thread or a forked child 0.1 s at most for its identity.  NULL is fine.  A pointer that is
 * no live object of this cache is refused, left as it is, and reported once to the error handler.  Keeps
 * errno. */
void slabd_free(struct slabd_cache *cache, void *object);

/* Frees the object that handle names, if it still is that one.  -ESTALE: it was freed, or handed
 * out again since; -EINVAL: no handle of this cache. */
int slabd_free_handle(struct slabd_cache *cache, slabd_handle handle);

/* n objects at once: n or 0 (errno as slabd_alloc's; nothing is allocated then). */
size_t slabd_alloc_bulk(struct slabd_cache *cache, unsigned flags, size_t n, void **objects);

/* Frees n objects; NULLs among them are fine.  Bad entries are refused, one report each, and the rest
 * are freed.  For objects that come from a process on another processor this costs a fraction of so many
 * slabd_free: a free waits for the object's tag to make the way, a bulk for several at once. */
void slabd_free_bulk(struct slabd_cache *cache, size_t n, void *const *objects);

/* ---------------------------------------------------------------- handles */

/* The handle of a live object; 0 for NULL, and with errno EINVAL or ESTALE for anything else. */
slabd_handle slabd_handle_of(struct slabd_cache *cache, const void *object);

/* The object that handle names, checked at this instant.  It pins nothing: what keeps the object from
 * being freed meanwhile is a lock or count of the application's, or slabd_adopt.  NULL: ESTALE, it was
 * freed; EINVAL, no handle of this cache. */
void *slabd_get(struct slabd_cache *cache, slabd_handle handle);

/* As slabd_get, and the object is this process's from now on, whoever owned it, living or dead.
 * One compare-and-swap: an object on its way between two processes always belongs to one of them.
 * While another process may adopt or free by handle, its owner must not free it by pointer unless
 * the cache is SLABD_STRICT. */
void *slabd_adopt(struct slabd_cache *cache, slabd_handle handle);

/* A cache's root: a handle by which strangers find their first object; 0 in a new cache. */
slabd_handle slabd_root(struct slabd_cache *cache);

/* Sets the root if it still is expected; false if not.  One compare-and-swap. */
bool slabd_set_root(struct slabd_cache *cache, slabd_handle expected, slabd_handle wanted);

/* ---------------------------------------------------------------- errors */

/* The calling thread's last failure in a sentence; never NULL.  Valid until the thread's next call
 * here. */
const char *slabd_error(void);

/* Who is told of refused frees, once each, in the process that tried; called on the freeing thread,
 * which may call slabd functions.  message is one line without a newline, valid during the call.
 * NULL: the default, which prints the line to stderr and, with $SLABD_ABORT=1, aborts. */
void slabd_set_error_handler(void (*handler)(const char *message, void *arg), void *arg);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
