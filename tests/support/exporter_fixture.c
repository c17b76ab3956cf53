#include "tests/support/exporter_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

#define MUST(condition)                                                                  \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "exporter fixture, line %d: %s: %s\n", __LINE__, \
				#condition, strerror(errno));                            \
			abort();                                                         \
		}                                                                        \
	} while (0)

static struct web_reply reply;

/* ---------------------------------------------------------------- the program */

struct words {
	const char *list[WORDS_MAX];
	size_t n;
};

static void collect(struct words *words, va_list arguments)
{
	const char *word;

	while ((word = va_arg(arguments, const char *))) {
		MUST(words->n + 1 < WORDS_MAX);
		words->list[words->n++] = word;
	}
}

/* Its stdout, and its stderr if both, come out of the descriptor that this gives. */
static int spawn(const struct words *words, bool both, pid_t *pid)
{
	const char *program = getenv("SLABD_EXPORTER_BIN");
	int out[2];

	MUST(program);
	MUST(pipe2(out, O_CLOEXEC) == 0);
	MUST((*pid = fork()) >= 0);
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		if (both)
			dup2(out[1], 2);
		execv(program, (char *const *)(uintptr_t)words->list);
		_exit(126);
	}
	close(out[1]);
	return out[0];
}

/* Reads until there is end, or the stream ends. */
static void read_until(int fd, char *text, size_t bytes, const char *end)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t r;

	text[0] = 0;
	while (!end || !strstr(text, end)) {
		MUST(poll(&p, 1, EXPORTER_PATIENCE_MS) > 0);
		r = read(fd, text + n, bytes - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
		text[n] = 0;
	}
}

static int join(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void exporter_start(struct exporter *exporter, ...)
{
	struct words words = {.list = {"slabd-exporter", "--listen", "127.0.0.1:0"}, .n = 3};
	va_list arguments;
	char line[256];
	int out;

	va_start(arguments, exporter);
	collect(&words, arguments);
	va_end(arguments);
	out = spawn(&words, false, &exporter->pid);
	read_until(out, line, sizeof(line), "\n");
	close(out);
	MUST(sscanf(line, "slabd-exporter: listening on http://127.0.0.1:%u/", &exporter->port) ==
	     1);
}

void exporter_stop(struct exporter *exporter)
{
	int code;

	MUST(kill(exporter->pid, SIGTERM) == 0);
	code = join(exporter->pid);
	if (code)
		fprintf(stderr, "exporter fixture: it ended with %d\n", code);
	MUST(code == 0);
}

int exporter_run(char *text, size_t bytes, ...)
{
	struct words words = {.list = {"slabd-exporter"}, .n = 1};
	va_list arguments;
	pid_t pid;
	int out;

	va_start(arguments, bytes);
	collect(&words, arguments);
	va_end(arguments);
	out = spawn(&words, true, &pid);
	read_until(out, text, bytes, NULL);
	close(out);
	return join(pid);
}

/* ---------------------------------------------------------------- the web client */

int web_connect(const struct exporter *exporter)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)exporter->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd;

	MUST((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

void web_send(int fd, const char *text)
{
	size_t n = strlen(text), sent = 0;

	while (sent < n) {
		ssize_t r = send(fd, text + sent, n - sent, MSG_NOSIGNAL);

		if (r <= 0)
			return;
		sent += (size_t)r;
	}
}

const struct web_reply *web_receive(int fd)
{
	char *body;
	size_t head;

	memset(&reply, 0, sizeof(reply));
	read_until(fd, reply.body, sizeof(reply.body), NULL);
	close(fd);
	body = strstr(reply.body, "\r\n\r\n");
	if (!body)
		return &reply;
	head = (size_t)(body - reply.body) + 2;
	MUST(head < sizeof(reply.head));
	memcpy(reply.head, reply.body, head);
	memmove(reply.body, body + 4, strlen(body + 4) + 1);
	reply.bytes = strlen(reply.body);
	MUST(sscanf(reply.head, "HTTP/1.%*c %d", &reply.code) == 1);
	return &reply;
}

const struct web_reply *web_get(const struct exporter *exporter, const char *path,
				const char *headers)
{
	char text[16384];
	int fd = web_connect(exporter);

	MUST(fd >= 0);
	snprintf(text, sizeof(text),
		 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path,
		 headers ? headers : "");
	web_send(fd, text);
	return web_receive(fd);
}

bool web_has(const struct web_reply *got, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = got->head; *at; at = strstr(at, "\r\n") + 2)
		if (strncasecmp(at, line, n) == 0 && strncmp(at + n, "\r\n", 2) == 0)
			return true;
	return false;
}
