#include "daemon/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE  "SLABD_WORKER" /* the numbers that struct worker_setup holds */
#define ASK_MS	  5000
#define ASK_BYTES 32

int handoff_program(char *path, size_t bytes)
{
	ssize_t n = readlink("/proc/self/exe", path, bytes - 1);

	if (n < 0)
		return -errno;
	path[n] = 0;
	return 0;
}

static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---------------------------------------------------------------- asking */

static void answer_layout(const char *path, int out)
{
	unblock_signals();
	dup2(out, STDOUT_FILENO);
	execl(path, path, "--layout", (char *)NULL);
	_exit(127);
}

/* All that comes until the end, or until time is up. */
static size_t read_answer(int fd, char *text, size_t bytes)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t used = 0;

	while (used < bytes - 1 && poll(&p, 1, ASK_MS) > 0) {
		ssize_t n = read(fd, text + used, bytes - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	text[used] = 0;
	return used;
}

int handoff_layout(const char *path)
{
	char text[ASK_BYTES], *end;
	int pipes[2], status = 0;
	unsigned long layout;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		answer_layout(path, pipes[1]);
	close(pipes[1]);
	read_answer(pipes[0], text, sizeof(text));
	close(pipes[0]);
	if (pid < 0)
		return -EAGAIN;
	kill(pid, SIGKILL); /* if it has not ended, it has said all it may */
	waitpid(pid, &status, 0);
	layout = strtoul(text, &end, 10);
	return end == text || layout == 0 || layout > 1000000 ? -ENOEXEC : (int)layout;
}

/* ---------------------------------------------------------------- passing on */

static void keep_open(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

int handoff_exec(const char *path, char **argv, const struct worker_setup *setup)
{
	const struct backing *b = setup->backing;
	const int fds[] = {setup->listener, setup->keeper, setup->lock, b->state,
			   b->catalog,	    b->depot,	   b->heap};
	char text[160];

	snprintf(text, sizeof(text), "%d:%d:%d:%d:%d:%d:%d:%d:%u", fds[0], fds[1], fds[2], fds[3],
		 fds[4], fds[5], fds[6], (int)b->kind, setup->restarts);
	if (setenv(VARIABLE, text, 1) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		keep_open(fds[i]);
	execv(path, argv);
	return -errno;
}

bool handoff_take(struct worker_setup *setup, struct backing *backing)
{
	const char *text = getenv(VARIABLE);
	int fds[7], kind;
	unsigned restarts;
	bool good;

	if (!text)
		return false;
	good = sscanf(text, "%d:%d:%d:%d:%d:%d:%d:%d:%u", &fds[0], &fds[1], &fds[2], &fds[3],
		      &fds[4], &fds[5], &fds[6], &kind, &restarts) == 9 &&
	       kind >= 0 && kind <= (int)BACKING_FILES;
	unsetenv(VARIABLE);
	if (!good)
		return false;
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	*backing = (struct backing){.state = fds[3],
				    .catalog = fds[4],
				    .depot = fds[5],
				    .heap = fds[6],
				    .kind = (enum backing_kind)kind};
	setup->listener = fds[0];
	setup->keeper = fds[1];
	setup->lock = fds[2];
	setup->restarts = restarts;
	setup->backing = backing;
	return true;
}
