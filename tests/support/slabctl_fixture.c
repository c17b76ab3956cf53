#include "tests/support/slabctl_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#define WORDS_MAX    64
#define DEADLINE_MS  60000 /* of one run: far beyond what slabctl allows itself */
#define START_WAIT_S "--wait=30"

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "slabctl fixture, line %d: %s: %s\n", __LINE__, \
				#condition, strerror(errno));                           \
			abort();                                                        \
		}                                                                       \
	} while (0)

static struct ctl_run result;

/* ---------------------------------------------------------------- running slabctl */

struct words {
	const char *list[WORDS_MAX];
};

static struct words collect(const char *first, va_list arguments)
{
	struct words words = {.list = {"slabctl"}};
	size_t n = 1;

	for (const char *word = first; word; word = va_arg(arguments, const char *)) {
		MUST(n + 1 < WORDS_MAX);
		words.list[n++] = word;
	}
	return words;
}

/* In the child: its standard descriptors, then slabctl. */
static void __attribute__((noreturn)) become(const struct words *words, int in, int out, int error)
{
	const char *program = getenv("SLABCTL_BIN");

	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(error, 2) < 0 || !program)
		_exit(125);
	signal(SIGPIPE, SIG_DFL);
	execv(program, (char *const *)(uintptr_t)words->list);
	_exit(126);
}

static void reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR);
	result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reads what is there; false at the end of it. */
static bool take_into(int fd, char *to, size_t room)
{
	size_t n = strlen(to);
	ssize_t r;

	MUST(n + 1 < room);
	r = read(fd, to + n, room - 1 - n);
	if (r <= 0)
		return false;
	to[n + (size_t)r] = 0;
	return true;
}

static bool take(int fd, char *to)
{
	return take_into(fd, to, CTL_OUTPUT_BYTES);
}

/* Is done once this has been printed. */
struct cue {
	const char *printed; /* NULL: it was, or never is */
	const struct ctl_daemon *daemon;
};

/* Reads both ends until they are closed. */
static void read_all(int out, int error, struct cue *cue)
{
	struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = error, .events = POLLIN}};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		MUST(poll(p, 2, DEADLINE_MS) > 0);
		if (p[0].revents && !take(out, result.out))
			p[0].fd = -1;
		if (p[1].revents && !take(error, result.error))
			p[1].fd = -1;
		if (cue->printed && strstr(result.out, cue->printed)) {
			ctl_daemon_freeze(cue->daemon, true);
			cue->printed = NULL;
		}
	}
}

static const struct ctl_run *run(const struct words *words, int onto, struct cue cue)
{
	int out[2], error[2], null;
	pid_t pid;

	memset(&result, 0, sizeof(result));
	MUST(pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0);
	MUST((null = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	MUST((pid = fork()) >= 0);
	if (pid == 0)
		become(words, null, onto >= 0 ? onto : out[1], error[1]);
	close(null);
	close(out[1]);
	close(error[1]);
	read_all(out[0], error[0], &cue);
	close(out[0]);
	close(error[0]);
	reap(pid);
	return &result;
}

const struct ctl_run *ctl(const char *first, ...)
{
	struct words words;
	va_list arguments;

	va_start(arguments, first);
	words = collect(first, arguments);
	va_end(arguments);
	return run(&words, -1, (struct cue){0});
}

const struct ctl_run *ctl_onto(int fd, const char *first, ...)
{
	struct words words;
	va_list arguments;

	va_start(arguments, first);
	words = collect(first, arguments);
	va_end(arguments);
	return run(&words, fd, (struct cue){0});
}

const struct ctl_run *ctl_while_frozen(const struct ctl_daemon *daemon, const char *printed,
				       const char *first, ...)
{
	struct words words;
	va_list arguments;

	va_start(arguments, first);
	words = collect(first, arguments);
	va_end(arguments);
	run(&words, -1, (struct cue){printed, daemon});
	ctl_daemon_freeze(daemon, false);
	return &result;
}

bool ctl_failed(const struct ctl_run *run, int code, const char *text, const char *next)
{
	if (run->code == code && !*run->out && strncmp(run->error, "slabctl: ", 9) == 0 &&
	    strstr(run->error, text) && strstr(run->error, next))
		return true;
	fprintf(stderr,
		"slabctl fixture: exit code %d, wanted %d; stdout \"%s\", wanted none; wanted "
		"\"slabctl: \", \"%s\" and \"%s\" on stderr: %s",
		run->code, code, run->out, text, next, run->error);
	return false;
}

/* ---------------------------------------------------------------- one that goes on */

void ctl_follow_start(struct ctl_follow *follow, const char *first, ...)
{
	struct words words;
	va_list arguments;
	int out[2], error[2], null;

	va_start(arguments, first);
	words = collect(first, arguments);
	va_end(arguments);
	memset(follow, 0, sizeof(*follow));
	MUST(pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0);
	MUST((null = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	MUST((follow->pid = fork()) >= 0);
	if (follow->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become(&words, null, out[1], error[1]);
	}
	close(null);
	close(out[1]);
	close(error[1]);
	follow->out_fd = out[0];
	follow->error_fd = error[0];
}

static bool follow_take(struct ctl_follow *follow)
{
	struct pollfd p[2] = {{.fd = follow->out_fd, .events = POLLIN},
			      {.fd = follow->error_fd, .events = POLLIN}};
	bool more = false;

	MUST(poll(p, 2, DEADLINE_MS) > 0);
	if (p[0].revents)
		more |= take_into(p[0].fd, follow->out, sizeof(follow->out));
	if (p[1].revents)
		more |= take_into(p[1].fd, follow->error, sizeof(follow->error));
	return more;
}

void ctl_follow_until(struct ctl_follow *follow, const char *text)
{
	while (!strstr(follow->out, text))
		MUST(follow_take(follow));
}

int ctl_follow_end(struct ctl_follow *follow)
{
	while (follow_take(follow))
		;
	close(follow->out_fd);
	if (follow->error_fd >= 0)
		close(follow->error_fd);
	reap(follow->pid);
	return result.code;
}

void ctl_follow_stop(struct ctl_follow *follow)
{
	MUST(kill(follow->pid, SIGINT) == 0);
	ctl_follow_end(follow);
}

void ctl_follow_on_terminal(struct ctl_follow *follow, unsigned lines, unsigned columns,
			    const char *first, ...)
{
	struct winsize size = {.ws_row = (unsigned short)lines, .ws_col = (unsigned short)columns};
	struct words words;
	va_list arguments;
	int slave;

	va_start(arguments, first);
	words = collect(first, arguments);
	va_end(arguments);
	memset(follow, 0, sizeof(*follow));
	follow->error_fd = -1;
	MUST(openpty(&follow->out_fd, &slave, NULL, NULL, &size) == 0);
	MUST((follow->pid = fork()) >= 0);
	if (follow->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(follow->out_fd);
		if (login_tty(slave) < 0) /* a resize is a signal to whose terminal it is */
			_exit(124);
		become(&words, 0, 1, 2);
	}
	close(slave);
}

void ctl_follow_type(struct ctl_follow *follow, const char *keys)
{
	MUST(write(follow->out_fd, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

void ctl_follow_resize(struct ctl_follow *follow, unsigned lines, unsigned columns)
{
	struct winsize size = {.ws_row = (unsigned short)lines, .ws_col = (unsigned short)columns};

	MUST(ioctl(follow->out_fd, TIOCSWINSZ, &size) == 0);
}

unsigned ctl_terminal_columns;

const struct ctl_run *ctl_on_terminal(const char *answer, const char *first, ...)
{
	struct words words;
	struct winsize size = {.ws_col = (unsigned short)ctl_terminal_columns};
	va_list arguments;
	int master, slave;
	pid_t pid;

	va_start(arguments, first);
	words = collect(first, arguments);
	va_end(arguments);
	memset(&result, 0, sizeof(result));
	MUST(openpty(&master, &slave, NULL, NULL, &size) == 0);
	MUST((pid = fork()) >= 0);
	if (pid == 0)
		become(&words, slave, slave, slave);
	close(slave);
	while (take(master, result.out)) /* EIO once nobody has the terminal open */
		if (answer && strstr(result.out, "[y/N]")) {
			MUST(write(master, answer, strlen(answer)) == (ssize_t)strlen(answer));
			answer = NULL;
		}
	close(master);
	reap(pid);
	return &result;
}

/* ---------------------------------------------------------------- slabd */

void ctl_daemon_start(struct ctl_daemon *daemon, const char *const *options)
{
	const char *words[WORDS_MAX] = {"slabd", "--socket", daemon->socket}, *program;
	size_t n = 3;

	MUST((program = getenv("SLABD_BIN")) != NULL);
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/slabctl-%d.sock", getenv("TMPDIR"),
		 getpid());
	for (; options && *options; options++) {
		MUST(n + 1 < WORDS_MAX);
		words[n++] = *options;
	}
	MUST(setenv("SLABD_ADDRESS", daemon->socket, 1) == 0);
	MUST((daemon->pid = fork()) >= 0);
	if (daemon->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(program, (char *const *)(uintptr_t)words);
		_exit(126);
	}
	ctl("ping", START_WAIT_S, NULL);
	if (result.code != 0)
		fprintf(stderr, "slabctl fixture: slabd did not start: %s", result.error);
	MUST(result.code == 0);
}

void ctl_daemon_stop(struct ctl_daemon *daemon)
{
	MUST(kill(daemon->pid, SIGTERM) == 0);
	MUST(kill(daemon->pid, SIGCONT) == 0); /* a test that failed may have left it stopped */
	while (waitpid(daemon->pid, NULL, 0) < 0)
		MUST(errno == EINTR);
}

struct ctl_daemon ctl_slabd;

void ctl_slabd_start(void)
{
	static const char *const options[] = {"--size", "64M", "--hugepages=never", NULL};

	ctl_daemon_start(&ctl_slabd, options);
}

void ctl_slabd_stop(void)
{
	ctl_daemon_stop(&ctl_slabd);
}

/* The worker is the keeper's only child. */
static pid_t worker_of(pid_t keeper)
{
	char path[64];
	FILE *children;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", keeper, keeper);
	MUST((children = fopen(path, "re")) != NULL);
	MUST(fscanf(children, "%d", &pid) == 1);
	fclose(children);
	return pid;
}

void ctl_daemon_kill_worker(const struct ctl_daemon *daemon)
{
	struct pollfd end = {.events = POLLIN};
	pid_t worker = worker_of(daemon->pid);

	MUST((end.fd = (int)syscall(SYS_pidfd_open, worker, 0)) >= 0);
	MUST(kill(worker, SIGKILL) == 0);
	MUST(poll(&end, 1, DEADLINE_MS) == 1);
	close(end.fd);
	ctl("ping", START_WAIT_S, NULL);
	MUST(result.code == 0);
}

void ctl_daemon_freeze(const struct ctl_daemon *daemon, bool frozen)
{
	int signal = frozen ? SIGSTOP : SIGCONT;

	MUST(kill(worker_of(daemon->pid), signal) == 0);
	MUST(kill(daemon->pid, signal) == 0);
}
