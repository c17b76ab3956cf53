#include "tests/support/daemon_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/clock.h"
#include "tests/support/wire.h"

#define WORDS_MAX 48

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "daemon fixture, line %d: %s: %s\n", __LINE__, #condition, \
				strerror(errno));                                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---------------------------------------------------------------- a directory */

static void open_notify(struct daemon_fixture *d)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = DAEMON_PATIENCE_MS / 1000};

	memcpy(name.sun_path, d->notify_path, sizeof(d->notify_path));
	MUST((d->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0);
	MUST(bind(d->notify, (struct sockaddr *)&name, sizeof(name)) == 0);
	MUST(setsockopt(d->notify, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
}

void daemon_prepare(struct daemon_fixture *d)
{
	const char *top = getenv("TMPDIR");

	if (d->directory[0])
		return;
	MUST(snprintf(d->directory, sizeof(d->directory), "%s/d.XXXXXX", top ? top : "/tmp") <
	     (int)sizeof(d->directory));
	MUST(mkdtemp(d->directory));
	snprintf(d->socket, sizeof(d->socket), "%s/s", d->directory);
	snprintf(d->log, sizeof(d->log), "%s/log", d->directory);
	snprintf(d->notify_path, sizeof(d->notify_path), "%s/notify", d->directory);
	open_notify(d);
}

/* ---------------------------------------------------------------- start and end */

struct words {
	const char *list[WORDS_MAX];
	unsigned n;
};

static void add_words(struct words *words, va_list options)
{
	const char *word;

	while ((word = va_arg(options, const char *))) {
		MUST(words->n + 1 < WORDS_MAX);
		words->list[words->n++] = word;
	}
}

static void __attribute__((noreturn))
become(const struct daemon_fixture *d, const struct words *words)
{
	int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	const char *program = getenv("SLABD_BIN");

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("NOTIFY_SOCKET", d->notify_path, 1);
	if (!program || log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(125);
	execv(program, (char *const *)(uintptr_t)words->list);
	_exit(126);
}

static pid_t spawn(const struct daemon_fixture *d, const struct words *words)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		become(d, words);
	return pid;
}

static int wait_code(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		MUST(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void show_log(const struct daemon_fixture *d)
{
	FILE *log = fopen(d->log, "re");
	char line[512];

	while (log && fgets(line, sizeof(line), log))
		fputs(line, stderr);
	if (log)
		fclose(log);
}

void daemon_expect_notice(const struct daemon_fixture *d, const char *text)
{
	uint64_t until = now_ms() + DAEMON_PATIENCE_MS;
	char message[1024];
	ssize_t n;

	do {
		n = recv(d->notify, message, sizeof(message) - 1, 0);
		if (n < 0 || now_ms() > until) {
			show_log(d);
			fprintf(stderr, "daemon fixture: no notice \"%s\"\n", text);
			abort();
		}
		message[n] = 0;
	} while (!strstr(message, text));
}

void daemon_start(struct daemon_fixture *d, ...)
{
	struct words words = {.list = {"slabd", "--socket", d->socket, "--size=64M"}, .n = 4};
	va_list options;

	daemon_prepare(d);
	va_start(options, d);
	add_words(&words, options);
	va_end(options);
	d->keeper = spawn(d, &words);
	daemon_expect_notice(d, "READY=1");
}

int daemon_run(struct daemon_fixture *d, ...)
{
	struct words words = {.list = {"slabd"}, .n = 1};
	va_list options;

	daemon_prepare(d);
	va_start(options, d);
	add_words(&words, options);
	va_end(options);
	return wait_code(spawn(d, &words));
}

void daemon_stop(struct daemon_fixture *d)
{
	int code;

	MUST(kill(d->keeper, SIGTERM) == 0);
	code = wait_code(d->keeper);
	if (code != 0) {
		show_log(d);
		fprintf(stderr, "daemon fixture: slabd ended with %d\n", code);
		abort();
	}
	d->keeper = 0;
	close(d->notify);
}

static void wait_gone(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	MUST(poll(&p, 1, DAEMON_PATIENCE_MS) == 1);
	close(pidfd);
}

void daemon_kill(struct daemon_fixture *d)
{
	int worker = (int)syscall(SYS_pidfd_open, daemon_worker(d), 0);

	MUST(worker >= 0);
	MUST(kill(d->keeper, SIGKILL) == 0);
	wait_code(d->keeper);
	wait_gone(worker);
	d->keeper = 0;
}

pid_t daemon_worker(const struct daemon_fixture *d)
{
	return daemon_stats(d).worker;
}

void daemon_kill_worker(const struct daemon_fixture *d)
{
	pid_t worker = daemon_worker(d);
	int pidfd = (int)syscall(SYS_pidfd_open, worker, 0);

	MUST(pidfd >= 0);
	MUST(kill(worker, SIGKILL) == 0);
	wait_gone(pidfd);
	MUST(daemon_worker(d) != worker);
}

/* ---------------------------------------------------------------- over the wire */

/* One request on a connection of its own, across the deaths of workers. */
static const Slabd__Reply *ask(const struct daemon_fixture *d, Slabd__Request *request)
{
	static struct wire_reply answer;
	uint64_t until = now_ms() + DAEMON_PATIENCE_MS;
	int r;

	request->sequence = 2;
	do {
		int fd = wire_connect(d->socket);

		r = fd < 0 ? fd : wire_greet(fd);
		if (r == 0)
			r = wire_send(fd, request);
		if (r == 0)
			r = wire_receive(fd, &answer, DAEMON_PATIENCE_MS);
		if (fd >= 0)
			close(fd);
	} while (r < 0 && now_ms() < until);
	if (r < 0 || answer.reply->status < 0) {
		show_log(d);
		fprintf(stderr, "daemon fixture: %s\n", r < 0 ? strerror(-r) : answer.reply->error);
		abort();
	}
	return answer.reply;
}

struct daemon_stats daemon_stats(const struct daemon_fixture *d)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Stats verb = SLABD__STATS__INIT;
	const Slabd__StatsReply *s;
	struct daemon_stats ret;

	request.verb_case = SLABD__REQUEST__VERB_STATS;
	request.stats = &verb;
	s = ask(d, &request)->stats;
	MUST(s);
	ret = (struct daemon_stats){.caches = s->caches,
				    .clients = s->clients,
				    .worker_restarts = s->worker_restarts,
				    .max_caches = s->max_caches,
				    .max_clients = s->max_clients,
				    .heap_bytes = s->heap_bytes,
				    .heap_used_bytes = s->heap_used_bytes,
				    .memory_bytes = s->memory_bytes,
				    .refills = s->refills,
				    .uptime_ms = s->uptime_ms,
				    .damaged = s->damaged,
				    .worker = s->pid};
	snprintf(ret.backing, sizeof(ret.backing), "%s", s->backing);
	return ret;
}

bool daemon_cache(const struct daemon_fixture *d, const char *name, struct daemon_cache *ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheList verb = SLABD__CACHE_LIST__INIT;
	const Slabd__Reply *reply;
	const Slabd__CacheStats *c;

	request.verb_case = SLABD__REQUEST__VERB_CACHE_LIST;
	request.cache_list = &verb;
	do {
		reply = ask(d, &request);
		MUST(reply->caches);
		for (size_t i = 0; i < reply->caches->n_caches; i++) {
			c = reply->caches->caches[i];
			if (c->unlinked || strcmp(c->name, name) != 0)
				continue;
			*ret = (struct daemon_cache){.objects = c->objects,
						     .live = c->live,
						     .orphaned = c->orphaned,
						     .in_magazines = c->in_magazines,
						     .in_slabs = c->in_slabs,
						     .slabs = c->slabs,
						     .allocs = c->allocs,
						     .frees = c->frees,
						     .serial = c->serial,
						     .id = c->id,
						     .clients = c->clients,
						     .magazine = c->magazine,
						     .racks = c->racks,
						     .flags = c->flags,
						     .unlinked = c->unlinked};
			return true;
		}
		verb.first = reply->caches->next;
	} while (verb.first);
	return false;
}

bool daemon_client(const struct daemon_fixture *d, pid_t pid, struct daemon_client *ret)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Clients verb = SLABD__CLIENTS__INIT;
	const Slabd__Reply *reply;
	const Slabd__ClientStats *c;

	request.verb_case = SLABD__REQUEST__VERB_CLIENTS;
	request.clients = &verb;
	do {
		reply = ask(d, &request);
		MUST(reply->clients);
		for (size_t i = 0; i < reply->clients->n_clients; i++) {
			c = reply->clients->clients[i];
			if (c->pid != pid)
				continue;
			*ret = (struct daemon_client){.id = c->id,
						      .threads = c->threads,
						      .live = c->live,
						      .in_magazines = c->in_magazines};
			snprintf(ret->state, sizeof(ret->state), "%s", c->state);
			return true;
		}
		verb.first = reply->clients->next;
	} while (verb.first);
	return false;
}

/* ---------------------------------------------------------------- the audit */

static void __attribute__((noreturn))
unbalanced(const struct daemon_fixture *d, const Slabd__AuditReply *audit)
{
	show_log(d);
	for (size_t i = 0; i < audit->n_caches; i++) {
		const Slabd__AuditCache *c = audit->caches[i];

		fprintf(stderr,
			"audit: %s: objects %llu, in slabs %llu, in magazines %llu, live %llu, "
			"orphaned %llu, freeing %llu, lost %llu, doubled %llu\n",
			c->name, (unsigned long long)c->objects, (unsigned long long)c->in_slabs,
			(unsigned long long)c->in_magazines, (unsigned long long)c->live,
			(unsigned long long)c->orphaned, (unsigned long long)c->freeing,
			(unsigned long long)c->lost, (unsigned long long)c->doubled);
	}
	fprintf(stderr, "daemon fixture: the audit does not balance\n");
	abort();
}

/* Adds one page to the sum; false: it was not exact, and says nothing. */
static bool add_page(const struct daemon_fixture *d, const Slabd__AuditReply *audit,
		     struct daemon_audit *sum)
{
	if (!audit->exact)
		return false;
	if (!audit->balanced)
		unbalanced(d, audit);
	for (size_t i = 0; i < audit->n_caches; i++) {
		const Slabd__AuditCache *c = audit->caches[i];

		if (c->lost || c->doubled ||
		    c->objects !=
			    c->in_slabs + c->in_magazines + c->live + c->orphaned + c->freeing)
			unbalanced(d, audit);
		sum->objects += c->objects;
		sum->in_slabs += c->in_slabs;
		sum->in_magazines += c->in_magazines;
		sum->live += c->live;
		sum->orphaned += c->orphaned;
		sum->freeing += c->freeing;
		sum->moving += c->moving;
	}
	return true;
}

static struct daemon_audit audit(const struct daemon_fixture *d, bool at_work)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Audit verb = SLABD__AUDIT__INIT;
	uint64_t until = now_ms() + DAEMON_PATIENCE_MS;
	struct daemon_audit sum;
	bool exact;

	request.verb_case = SLABD__REQUEST__VERB_AUDIT;
	request.audit = &verb;
	do {
		sum = (struct daemon_audit){0};
		verb.first = 0;
		do {
			const Slabd__Reply *reply = ask(d, &request);

			MUST(reply->audit);
			exact = add_page(d, reply->audit, &sum);
			verb.first = reply->audit->next;
		} while (exact && verb.first);
		exact = exact && (at_work || !sum.moving);
		if (!exact && now_ms() > until) {
			fprintf(stderr, "daemon fixture: no audit was exact, %llu objects moving\n",
				(unsigned long long)sum.moving);
			abort();
		}
	} while (!exact);
	return sum;
}

struct daemon_audit daemon_audit(const struct daemon_fixture *d)
{
	return audit(d, false);
}

struct daemon_audit daemon_audit_at_work(const struct daemon_fixture *d)
{
	return audit(d, true);
}

void daemon_until(const struct daemon_fixture *d,
		  bool (*condition)(const struct daemon_fixture *d, const void *arg),
		  const void *arg, const char *what)
{
	uint64_t until = now_ms() + DAEMON_PATIENCE_MS;

	while (!condition(d, arg)) {
		if (now_ms() < until)
			continue;
		show_log(d);
		fprintf(stderr, "daemon fixture: waited in vain: %s\n", what);
		abort();
	}
}

/* ---------------------------------------------------------------- its log */

bool daemon_logged(const struct daemon_fixture *d, const char *text)
{
	FILE *log = fopen(d->log, "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (log && !found && getline(&line, &room, log) >= 0)
		found = strstr(line, text);
	free(line);
	if (log)
		fclose(log);
	return found;
}

static bool is_logged(const struct daemon_fixture *d, const void *text)
{
	(void)daemon_stats(d); /* its turn to write */
	return daemon_logged(d, text);
}

void daemon_expect_log(const struct daemon_fixture *d, const char *text)
{
	daemon_until(d, is_logged, text, text);
}
