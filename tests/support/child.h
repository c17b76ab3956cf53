/* Child processes of a test.  Criterion must not be used in them: they speak by exit code, and what
 * goes wrong in one is a line on stderr and code 1. */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <slabd/slabd.h>

/* In a child: what must hold. */
#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "child %d, %s:%d: %s; last error: %s\n", (int)getpid(), \
				__FILE__, __LINE__, #condition, slabd_error());                 \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

/* In set-up, tear-down and helpers: what must hold.  Criterion reports a failed assertion in a tear-down
 * and yet calls the test passed; an abort there fails it. */
#define MUST(condition)                                                                           \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(stderr, "pid %d, %s:%d: %s: %s; last error: %s\n", (int)getpid(), \
				__FILE__, __LINE__, #condition, strerror(errno), slabd_error());  \
			abort();                                                                  \
		}                                                                                 \
	} while (0)

/* Forks; the child runs body and ends with 0.  It dies with the thread that made it. */
pid_t child_start(void (*body)(void *arg), void *arg);
/* The same for one that lives on until it is killed; returns when body has ended. */
pid_t child_hold(void (*body)(void *arg), void *arg);
/* Its exit code; 128 + n for signal n. */
int child_join(pid_t pid);
/* Both. */
int child_run(void (*body)(void *arg), void *arg);
/* SIGKILL, and joins. */
void child_kill(pid_t pid);
/* Stops it, and waits until it is stopped. */
void child_stop(pid_t pid);

/* A pipe for words from one process to another; made before the fork. */
struct baton {
	int out, in;
};

struct baton baton_make(void);
void baton_pass(struct baton baton, uint64_t word);
/* Waits at most 30 s. */
uint64_t baton_take(struct baton baton);

/* The cache of this name, made or opened; aborts if it can't be. */
struct slabd_cache *cache_of(struct slabd *slabd, const char *name, size_t size, uint32_t flags);
/* Attached; aborts if it can't be. */
struct slabd *attach_to(const char *address);

/* Is this slabd_error()'s sentence?  Prints both where it isn't. */
bool error_is(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A content that tells objects apart. */
void object_fill(void *object, size_t size, uint64_t seed);
bool object_holds(const void *object, size_t size, uint64_t seed);

#endif
