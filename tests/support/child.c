#include "tests/support/child.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PATIENCE_MS 30000

/* ---------------------------------------------------------------- processes */

pid_t child_start(void (*body)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(arg);
		_exit(0);
	}
	return pid;
}

int child_join(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int child_run(void (*body)(void *arg), void *arg)
{
	return child_join(child_start(body, arg));
}

void child_kill(pid_t pid)
{
	MUST(kill(pid, SIGKILL) == 0);
	MUST(child_join(pid) == 128 + SIGKILL);
}

void child_stop(pid_t pid)
{
	int status;

	MUST(kill(pid, SIGSTOP) == 0);
	MUST(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
}

/* ---------------------------------------------------------------- words between them */

struct baton baton_make(void)
{
	int fds[2];

	MUST(pipe(fds) == 0);
	return (struct baton){.out = fds[0], .in = fds[1]};
}

void baton_pass(struct baton baton, uint64_t word)
{
	MUST(write(baton.in, &word, sizeof(word)) == sizeof(word));
}

uint64_t baton_take(struct baton baton)
{
	struct pollfd p = {.fd = baton.out, .events = POLLIN};
	uint64_t word = 0;

	MUST(poll(&p, 1, PATIENCE_MS) == 1);
	MUST(read(baton.out, &word, sizeof(word)) == sizeof(word));
	return word;
}

/* ---------------------------------------------------------------- one that holds */

struct holder {
	void (*body)(void *arg);
	void *arg;
	struct baton ready;
};

static void hold(void *arg)
{
	const struct holder *holder = arg;

	holder->body(holder->arg);
	baton_pass(holder->ready, 1);
	for (;;)
		pause();
}

pid_t child_hold(void (*body)(void *arg), void *arg)
{
	struct holder holder = {body, arg, baton_make()};
	pid_t pid = child_start(hold, &holder);

	baton_take(holder.ready);
	return pid;
}

/* ---------------------------------------------------------------- slabd */

struct slabd *attach_to(const char *address)
{
	struct slabd *slabd;

	MUST(slabd_attach(&slabd, address) == 0);
	return slabd;
}

struct slabd_cache *cache_of(struct slabd *slabd, const char *name, size_t size, uint32_t flags)
{
	struct slabd_cache_args args = {
		.size_of_args = sizeof(args), .object_size = size, .flags = flags};
	struct slabd_cache *cache;

	MUST(slabd_cache_create(slabd, name, &args, &cache) == 0);
	return cache;
}

bool error_is(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (strcmp(slabd_error(), text) == 0)
		return true;
	fprintf(stderr, "slabd_error() is \"%s\", not \"%s\"\n", slabd_error(), text);
	return false;
}

/* ---------------------------------------------------------------- contents */

static unsigned char byte_of(size_t i, uint64_t seed)
{
	return (unsigned char)((seed ^ (i * UINT64_C(0x9e3779b97f4a7c15))) >> 17);
}

void object_fill(void *object, size_t size, uint64_t seed)
{
	unsigned char *bytes = object;

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_of(i, seed * UINT64_C(0xff51afd7ed558ccd));
}

bool object_holds(const void *object, size_t size, uint64_t seed)
{
	const unsigned char *bytes = object;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte_of(i, seed * UINT64_C(0xff51afd7ed558ccd)))
			return false;
	return true;
}
