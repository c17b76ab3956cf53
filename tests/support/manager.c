#include "tests/support/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX      32
#define FIRST_FD       3
#define OUT_OF_THE_WAY 200

#define MUST(condition)                                                                     \
	do {                                                                                \
		if (!(condition)) {                                                         \
			fprintf(stderr, "manager, line %d: %s: %s\n", __LINE__, #condition, \
				strerror(errno));                                           \
			abort();                                                            \
		}                                                                           \
	} while (0)

void manager_init(struct manager *m)
{
	*m = (struct manager){.listener = -1};
	daemon_prepare(&m->d);
}

/* ---------------------------------------------------------------- the store */

int manager_fd(const struct manager *m, const char *name)
{
	int found = -1;

	for (unsigned i = 0; i < m->n; i++) {
		if (strcmp(m->store[i].name, name) != 0)
			continue;
		if (found >= 0)
			return -1;
		found = m->store[i].fd;
	}
	return found;
}

void manager_forget(struct manager *m, const char *name)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < m->n; i++) {
		if (strcmp(m->store[i].name, name) == 0)
			close(m->store[i].fd);
		else
			m->store[kept++] = m->store[i];
	}
	m->n = kept;
}

/* The line NAME=value of a message; empty: none. */
static void value_of(const char *message, const char *name, char *value, size_t bytes)
{
	const char *at = strstr(message, name);

	value[0] = 0;
	if (at)
		snprintf(value, bytes, "%.*s", (int)strcspn(at + strlen(name), "\n"),
			 at + strlen(name));
}

static void take_message(struct manager *m, const char *message, int fd)
{
	char name[32];

	value_of(message, "FDNAME=", name, sizeof(name));
	if (strstr(message, "FDSTOREREMOVE=1")) {
		manager_forget(m, name);
	} else if (strstr(message, "FDSTORE=1")) {
		MUST(fd >= 0 && name[0] && m->n < MANAGER_STORE);
		snprintf(m->store[m->n].name, sizeof(name), "%s", name);
		m->store[m->n++].fd = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
}

/* One message, in text; aborts when none comes in time. */
static void receive(struct manager *m, char *text, size_t bytes)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = text, .iov_len = bytes - 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c;
	ssize_t n = recvmsg(m->d.notify, &message, MSG_CMSG_CLOEXEC);
	int fd = -1;

	MUST(n >= 0);
	text[n] = 0;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	take_message(m, text, fd);
}

void manager_expect(struct manager *m, const char *text)
{
	char message[512];

	do
		receive(m, message, sizeof(message));
	while (!strstr(message, text));
}

/* ---------------------------------------------------------------- starts */

static void pass_fd(int from, int to)
{
	MUST(dup2(from, to) == to);
}

/* Numbers 3 and up, in the child. */
static void pass_store(const struct manager *m)
{
	char number[16], names[MANAGER_STORE * 32 + 16] = "";
	int fds[MANAGER_STORE + 1], n = 0;

	for (unsigned i = 0; i < m->n; i++) {
		strcat(strcat(names, n ? ":" : ""), m->store[i].name);
		fds[n++] = fcntl(m->store[i].fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	}
	if (m->listener >= 0) {
		strcat(strcat(names, n ? ":" : ""), "client");
		fds[n++] = fcntl(m->listener, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	}
	for (int i = 0; i < n; i++)
		pass_fd(fds[i], FIRST_FD + i);
	if (n == 0)
		return;
	snprintf(number, sizeof(number), "%d", n);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
}

static pid_t spawn(struct manager *m, va_list options)
{
	const char *words[WORDS_MAX] = {"slabd", "--socket", m->d.socket};
	pid_t pid;
	int log;

	for (unsigned n = 3; (words[n] = va_arg(options, const char *)); n++)
		MUST(n + 1 < WORDS_MAX);
	pid = fork();
	MUST(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("NOTIFY_SOCKET", m->d.notify_path, 1);
	log = open(m->d.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	MUST(log >= 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2);
	pass_store(m);
	execv(getenv("SLABD_BIN"), (char *const *)(uintptr_t)words);
	_exit(126);
}

void manager_start(struct manager *m, ...)
{
	va_list options;

	va_start(options, m);
	m->d.keeper = spawn(m, options);
	va_end(options);
	manager_expect(m, "READY=1");
}

int manager_run(struct manager *m, ...)
{
	va_list options;
	int status;
	pid_t pid;

	va_start(options, m);
	pid = spawn(m, options);
	va_end(options);
	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void manager_listen(struct manager *m)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	memcpy(name.sun_path, m->d.socket, sizeof(m->d.socket));
	m->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	MUST(m->listener >= 0);
	MUST(bind(m->listener, (struct sockaddr *)&name, sizeof(name)) == 0);
	MUST(listen(m->listener, 64) == 0);
}
