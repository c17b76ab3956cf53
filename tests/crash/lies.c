/* What fails in the victim because its case wants it to. */
#include "tests/crash/crash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

struct lies lies;

void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);

static bool fails(unsigned *countdown)
{
	return *countdown && --*countdown == 0;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails(&lies.calloc) ? NULL : __real_calloc(n, bytes);
}

void *__wrap_malloc(size_t bytes)
{
	return fails(&lies.malloc) ? NULL : __real_malloc(bytes);
}

void *__wrap_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (!fails(&lies.mmap))
		return __real_mmap(address, bytes, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __real_clock_gettime(clockid_t id, struct timespec *time);
int __wrap_clock_gettime(clockid_t id, struct timespec *time);

int __wrap_clock_gettime(clockid_t id, struct timespec *time)
{
	if (!lies.frozen)
		return __real_clock_gettime(id, time);
	*time = (struct timespec){.tv_sec = 1};
	return 0;
}

int __real_madvise(void *address, size_t bytes, int advice);
int __wrap_madvise(void *address, size_t bytes, int advice);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

int __wrap_madvise(void *address, size_t bytes, int advice)
{
	if (!fails(&lies.madvise))
		return __real_madvise(address, bytes, advice);
	errno = ENOMEM;
	return -1;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	return fails(&lies.setspecific) ? ENOMEM : __real_pthread_setspecific(key, value);
}
