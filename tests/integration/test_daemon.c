/* slabd's own life: options, configuration, its socket, its signals, its end. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/wire.h"

static struct daemon_fixture d;
static char path[160], text[512];

static void set_up(void)
{
	daemon_prepare(&d);
	snprintf(path, sizeof(path), "%s/conf", d.directory);
}

TestSuite(daemon, .init = set_up, .timeout = 100);

static void write_config(const char *content)
{
	FILE *file = fopen(path, "we");

	cr_assert(file);
	fputs(content, file);
	cr_assert_eq(fclose(file), 0);
}

/* The line that was logged last ends with exactly this. */
__attribute__((format(printf, 1, 2))) static void expect_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text) - 2, format, args);
	va_end(args);
	strcat(text, "\n");
	cr_assert(daemon_logged(&d, text), "not in %s: %s", d.log, text);
}

static void expect_end(void)
{
	struct stat st;

	cr_assert(stat(d.socket, &st) < 0 && errno == ENOENT, "the socket is gone");
}

/* ---------------------------------------------------------------- configuration */

struct wrong {
	const char *content, *sentence; /* after PATH:LINE: */
	int line;
};

#define KEYS                                                                                     \
	"socket, size, hugepages, backing, max-caches, max-clients, max-clients-per-user, log-l" \
	"evel"

static const struct wrong wrongs[] = {
	{"[daemon]\nsiez = 1G\n", "unknown key 'siez'; there are: " KEYS, 2},
	{"[daemon]\n\n# a comment\nsize = 1T\n",
	 "size: '1T' is no size from 4M to 64G (bytes, or with K, M or G)", 4},
	{"[daemon]\nsize = 1M\n", "size: '1M' is no size from 4M to 64G (bytes, or with K, M or G)",
	 2},
	{"[daemon]\nsize = -1\n", "size: '-1' is no size from 4M to 64G (bytes, or with K, M or G)",
	 2},
	{"[daemon]\nsize =\n", "size: '' is no size from 4M to 64G (bytes, or with K, M or G)", 2},
	{"[daemon]\nsize = 99999999999999999999G\n",
	 "size: '99999999999999999999G' is no size from 4M to 64G (bytes, or with K, M or G)", 2},
	{"[daemon]\nhugepages = maybe\n", "hugepages: 'maybe' is none of require, prefer, never",
	 2},
	{"[daemon]\nlog-level = loud\n", "log-level: 'loud' is none of error, warning, info, debug",
	 2},
	{"[daemon]\nmax-caches = 65536\n", "max-caches: '65536' is no number from 1 to 65535", 2},
	{"[daemon]\nmax-caches = 0\n", "max-caches: '0' is no number from 1 to 65535", 2},
	{"[daemon]\nmax-clients = many\n", "max-clients: 'many' is no number from 1 to 16381", 2},
	{"[daemon]\nmax-clients-per-user = 1 2\n",
	 "max-clients-per-user: '1 2' is no number from 1 to 16381", 2},
	{"[deamon]\nsize = 1G\n",
	 "'size' stands in the unknown section [deamon]; the one section is [daemon], with: " KEYS,
	 2},
	{"size = 1G\n", "'size' stands in no section; the one section is [daemon], with: " KEYS, 1},
	{"[daemon]\nsize 1G\n", "neither a [section] nor KEY = VALUE", 2},
	{"[daemon\nsize = 1G\n", "neither a [section] nor KEY = VALUE", 1},
	{"[daemon]\nsize = 1M\nsiez = 1\n",
	 "size: '1M' is no size from 4M to 64G (bytes, or with K, M or G)", 2},
};

Test(daemon, wrong_configuration)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		write_config(wrongs[i].content);
		cr_assert_eq(daemon_run(&d, "--check-config", "--config", path, NULL), 2, "%s",
			     wrongs[i].content);
		expect_line("error: %s:%d: %s", path, wrongs[i].line, wrongs[i].sentence);
		cr_assert_eq(daemon_run(&d, "--socket", d.socket, "--config", path, NULL), 2,
			     "nor does it start with it");
	}
}

Test(daemon, long_line_in_configuration)
{
	char content[4000];

	memset(content, ' ', sizeof(content));
	memcpy(content, "[daemon]\nsize = 1G", 18);
	memcpy(content + 3900, "1\n", 3); /* beyond what is read at once */
	write_config(content);
	cr_assert_eq(daemon_run(&d, "--check-config", "--config", path, NULL), 2);
	cr_assert(daemon_logged(&d, "conf:2: a line of more than "));
}

Test(daemon, good_configuration)
{
	write_config("# all keys\n[daemon]\nsocket = /run/slabd/slabd.sock\nsize = 2G\n"
		     "hugepages = never\nmax-caches = 10\nmax-clients = 20 ; too few\n"
		     "max-clients-per-user = 5\nlog-level = debug\n");
	cr_assert_eq(daemon_run(&d, "--check-config", "--config", path, NULL), 0);
	expect_line("ok    %s", path);
	cr_assert_eq(daemon_run(&d, "--check-config", NULL), 0);
	expect_line("ok    no configuration file");
}

Test(daemon, missing_configuration)
{
	cr_assert_eq(daemon_run(&d, "--check-config", "--config", path, NULL), 2);
	expect_line("error: %s: No such file or directory", path);
}

Test(daemon, wrong_options)
{
	cr_assert_eq(daemon_run(&d, "--size", "3", NULL), 2);
	expect_line("error: --size: '3' is no size from 4M to 64G (bytes, or with K, M or G)");
	cr_assert_eq(daemon_run(&d, "--set", "max-caches=x", NULL), 2);
	expect_line("error: --set max-caches: 'x' is no number from 1 to 65535");
	cr_assert_eq(daemon_run(&d, "--set", "max-caches", NULL), 2);
	cr_assert(daemon_logged(&d, "--set max-caches: KEY=VALUE is wanted"));
	cr_assert_eq(daemon_run(&d, "--set", "shoe-size=44", NULL), 2);
	expect_line("error: --set unknown key 'shoe-size'; there are: " KEYS);
	cr_assert_eq(daemon_run(&d, "--hugepages=some", NULL), 2);
	expect_line("error: --hugepages: 'some' is none of require, prefer, never");
	cr_assert_eq(daemon_run(&d, "--no-such-option", NULL), 2);
	cr_assert_eq(daemon_run(&d, "--socket", "", NULL), 2);
	expect_line("error: --socket: a socket's path has 1 to 107 bytes, not 0");
	memset(text, 'p', 150);
	text[150] = 0;
	cr_assert_eq(daemon_run(&d, "--socket", text, NULL), 2);
	expect_line("error: --socket: a socket's path has 1 to 107 bytes, not 150");
}

Test(daemon, help_and_version)
{
	cr_assert_eq(daemon_run(&d, "--help", NULL), 0);
	cr_assert(daemon_logged(&d, "5 another slabd has the socket or the files."));
	cr_assert_eq(daemon_run(&d, "--version", NULL), 0);
	cr_assert(daemon_logged(&d, "(protocol "));
}

/* ---------------------------------------------------------------- preflight */

Test(daemon, check)
{
	struct stat st;

	cr_assert_eq(daemon_run(&d, "--check", "--socket", d.socket, "--size=64M", NULL), 0);
	expect_line("ok    options    no configuration file, which is fine");
	expect_line("ok    directory  of %s can be written", d.socket);
	expect_line("ok    socket     %s is free", d.socket);
	cr_assert(daemon_logged(&d, "memory     heap of 64 MiB on "));
	cr_assert_lt(stat(d.socket, &st), 0, "it starts nothing");
	snprintf(text, sizeof(text), "%s.lock", d.socket);
	cr_assert_lt(stat(text, &st), 0, "and leaves nothing");
}

Test(daemon, check_beside_another)
{
	daemon_start(&d, NULL);
	cr_assert_eq(daemon_run(&d, "--check", "--socket", d.socket, NULL), 1);
	expect_line("FAIL  socket     %s: another slabd (pid %d) serves this socket; stop it, or "
		    "choose another --socket",
		    d.socket, (int)d.keeper);
	daemon_stop(&d);
}

Test(daemon, check_with_wrong_options)
{
	cr_assert_eq(daemon_run(&d, "--check", "--size=1", NULL), 1);
	expect_line(
		"FAIL  options    --size: '1' is no size from 4M to 64G (bytes, or with K, M or "
		"G)");
	snprintf(path, sizeof(path), "%s/no/such/place", d.directory);
	cr_assert_eq(daemon_run(&d, "--check", "--socket", path, NULL), 1);
	expect_line("FAIL  directory  neither %s/no/such nor %s/no exists; make %s/no, or choose "
		    "another --socket",
		    d.directory, d.directory, d.directory);
}

/* ---------------------------------------------------------------- the socket */

Test(daemon, two_on_one_socket)
{
	struct slabd *slabd;

	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	cr_assert_eq(daemon_run(&d, "--socket", d.socket, NULL), 5);
	expect_line("error: %s: another slabd (pid %d) serves this socket; stop it, or choose "
		    "another --socket",
		    d.socket, (int)d.keeper);
	cr_assert_eq(daemon_stats(&d).clients, 1, "the first does not notice");
	slabd_detach(slabd);
	daemon_stop(&d);
}

Test(daemon, directory_missing)
{
	struct stat st;

	snprintf(path, sizeof(path), "%s/made/s", d.directory);
	daemon_start(&d, "--socket", path, NULL);
	cr_assert_eq(stat(path, &st), 0, "one level is made");
	daemon_stop(&d);
	snprintf(path, sizeof(path), "%s/a/b/s", d.directory);
	cr_assert_eq(daemon_run(&d, "--socket", path, NULL), 1);
	expect_line("error: neither %s/a/b nor %s/a exists; make %s/a, or choose another --socket",
		    d.directory, d.directory, d.directory);
}

Test(daemon, directory_not_writable)
{
	if (geteuid() == 0) {
		fprintf(stderr, "root may write everywhere: as another user\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/closed", d.directory);
	cr_assert_eq(mkdir(path, 0500), 0);
	snprintf(path, sizeof(path), "%s/closed/s", d.directory);
	cr_assert_eq(daemon_run(&d, "--socket", path, NULL), 4);
	expect_line("error: %s/closed: user %u may not write there; choose another --socket",
		    d.directory, geteuid());
	snprintf(path, sizeof(path), "%s/closed/below/s", d.directory);
	cr_assert_eq(daemon_run(&d, "--socket", path, NULL), 4);
	expect_line("error: %s/closed/below does not exist, and user %u may not make it; as root: "
		    "install -d -o %u %s/closed/below",
		    d.directory, geteuid(), geteuid(), d.directory);
}

Test(daemon, something_else_at_the_path)
{
	write_config("precious\n");
	cr_assert_eq(daemon_run(&d, "--socket", path, NULL), 1);
	expect_line("error: %s exists and is no socket; remove it, or choose another --socket",
		    path);
	cr_assert_eq(access(path, F_OK), 0);
	snprintf(text, sizeof(text), "%s/s", path);
	cr_assert_eq(daemon_run(&d, "--socket", text, NULL), 1);
	expect_line("error: %s is no directory, so %s/s can't be made in it", path, path);
}

/* What a killed slabd leaves is in nobody's way. */
Test(daemon, stale_socket)
{
	struct slabd *slabd;
	struct stat st;

	daemon_start(&d, NULL);
	daemon_kill(&d);
	cr_assert_eq(stat(d.socket, &st), 0, "it is left");
	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	slabd_detach(slabd);
	daemon_stop(&d);
	expect_end();
}

/* At once after the keeper was killed, while its worker may still be dying. */
Test(daemon, start_after_a_kill)
{
	for (unsigned i = 0; i < 10; i++) {
		daemon_start(&d, NULL);
		cr_assert_eq(kill(d.keeper, SIGKILL), 0);
		cr_assert_eq(child_join(d.keeper), 128 + SIGKILL);
	}
	daemon_start(&d, NULL);
	daemon_stop(&d);
}

Test(daemon, socket_mode)
{
	struct stat st;

	daemon_start(&d, NULL);
	cr_assert_eq(stat(d.socket, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0660);
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- signals */

Test(daemon, ends_by_term_and_int)
{
	struct slabd *slabd;

	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	cr_assert_eq(kill(d.keeper, SIGTERM), 0);
	daemon_expect_notice(&d, "STOPPING=1\nSTATUS=ending");
	cr_assert_eq(child_join(d.keeper), 0);
	expect_end();
	expect_line("told to end: ending");
	setenv("SLABD_TIMEOUT_MS", "300", 1);
	slabd_detach(slabd);

	daemon_start(&d, NULL);
	cr_assert_eq(kill(d.keeper, SIGINT), 0);
	cr_assert_eq(child_join(d.keeper), 0);
	expect_line("interrupted: ending");
	expect_end();
}

/* A stopped worker ends too. */
Test(daemon, ends_with_a_stopped_worker)
{
	daemon_start(&d, NULL);
	cr_assert_eq(kill(daemon_worker(&d), SIGSTOP), 0);
	daemon_stop(&d);
	expect_end();
}

Test(daemon, reload)
{
	struct slabd *slabd, *second;

	write_config("[daemon]\nlog-level = info\n");
	daemon_start(&d, "--config", path, NULL);
	slabd = attach_to(d.socket);
	write_config("[daemon]\nlog-level = debug\nmax-clients-per-user = 7\nmax-caches = 9\n");
	cr_assert_eq(kill(d.keeper, SIGHUP), 0);
	daemon_expect_notice(&d, "RELOADING=1\nMONOTONIC_USEC=");
	daemon_expect_notice(&d, "READY=1");
	expect_line("reload: %s read", path);
	expect_line("reload: max-clients-per-user is now 7 (was 1024)");
	expect_line("reload: log-level is now debug (was info)");
	expect_line("warning: reload: max-caches = 9 needs a restart; it stays 1024");

	write_config("[daemon]\nlog-level = loud\nmax-clients-per-user = 1\n");
	cr_assert_eq(kill(d.keeper, SIGHUP), 0);
	daemon_expect_notice(&d, "READY=1");
	expect_line("error: reload: %s:2: log-level: 'loud' is none of error, warning, info, "
		    "debug; all stays as it was",
		    path);

	write_config("[daemon]\nmax-clients-per-user = 1\n");
	cr_assert_eq(kill(d.keeper, SIGHUP), 0);
	daemon_expect_notice(&d, "READY=1");
	/* it holds, for new clients; and in the next worker */
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			slabd_detach(slabd);
			CHECK(slabd_attach(&second, d.socket) == -ENOSPC);
			_exit(0);
		}
		cr_assert_eq(child_join(pid), 0);
		daemon_kill_worker(&d);
	}
	slabd_detach(slabd);
	daemon_stop(&d);
}

Test(daemon, figures)
{
	struct slabd *slabd;
	struct slabd_cache *cache;

	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
	slabd_free(cache, slabd_alloc(cache, 0));
	cr_assert_eq(kill(d.keeper, SIGUSR1), 0);
	daemon_expect_log(&d, "0 worker restarts, 1 caches of 1024, 1 clients of 4096, ");
	daemon_expect_log(&d, "figures: heap 2 MiB of 64 MiB backed (");
	slabd_detach(slabd);
	daemon_stop(&d);
}

Test(daemon, readiness)
{
	daemon_start(&d, NULL); /* which waits for READY=1 */
	cr_assert_eq(daemon_stats(&d).worker_restarts, 0);
	daemon_kill_worker(&d);
	snprintf(text, sizeof(text), "READY=1\nSTATUS=serving %s, worker restarted 1 times",
		 d.socket);
	daemon_expect_notice(&d, text);
	daemon_stop(&d);
}

/* A log that nobody reads stops nothing. */
Test(daemon, log_that_nobody_reads)
{
	int ends[2], saved;
	struct slabd *slabd;

	/* its stderr is a full pipe */
	cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
	while (write(ends[1], text, sizeof(text)) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	saved = dup(2);
	strcpy(d.log, "/dev/stderr");
	dup2(ends[1], 2);
	daemon_start(&d, NULL);
	dup2(saved, 2);
	for (unsigned i = 0; i < 50; i++) {
		char name[16];

		slabd = attach_to(d.socket);
		snprintf(name, sizeof(name), "c%u", i);
		cache_of(slabd, name, 64, 0);
		slabd_detach(slabd);
	}
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- memory */

static unsigned long read_number(const char *name)
{
	unsigned long number = 0;
	FILE *file;

	snprintf(text, sizeof(text), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
	file = fopen(text, "re");
	if (file) {
		if (fscanf(file, "%lu", &number) != 1)
			number = 0;
		fclose(file);
	}
	return number;
}

Test(daemon, hugepages_required_and_not_there)
{
	unsigned long have = read_number("free_hugepages"), all = read_number("nr_hugepages");

	/* 64 GiB of them are nowhere set aside by chance */
	cr_assert_eq(
		daemon_run(&d, "--socket", d.socket, "--size=64G", "--hugepages=require", NULL), 3);
	expect_line("error: hugepages=require: %lu hugepages of 2 MiB free, 32768 needed for 65536 "
		    "MiB; reserve them with: sysctl vm.nr_hugepages=%lu",
		    have, all + 32768 - have);
	expect_end();
	cr_assert_eq(daemon_run(&d, "--check", "--socket", d.socket, "--size=64G",
				"--hugepages=require", NULL),
		     1);
	expect_line("FAIL  memory     hugepages=require: %lu hugepages of 2 MiB free, 32768 needed "
		    "for 65536 MiB; reserve them with: sysctl vm.nr_hugepages=%lu",
		    have, all + 32768 - have);
}

Test(daemon, hugepages_never)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object;

	daemon_start(&d, "--hugepages=never", NULL);
	cr_assert_str_eq(daemon_stats(&d).backing, "pages");
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 1000, 0);
	for (unsigned i = 0; i < 10000; i++) {
		object = slabd_alloc(cache, SLABD_ZERO);
		cr_assert(object);
		object_fill(object, 1000, i);
	}
	slabd_detach(slabd);
	daemon_audit(&d);
	daemon_stop(&d);
}

/* A size costs nothing. */
Test(daemon, large_heap)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object;

	daemon_start(&d, "--size=64G", "--hugepages=never", NULL);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
	object = slabd_alloc(cache, 0);
	cr_assert(object, "%s", slabd_error());
	slabd_free(cache, object);
	cr_assert_lt(daemon_stats(&d).memory_bytes, 64u << 20);
	slabd_detach(slabd);
	daemon_audit(&d);
	daemon_stop(&d);
}

Test(daemon, smallest_heap)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object;

	daemon_start(&d, "--size=4M", NULL);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 131072, SLABD_RECLAIM);
	object = slabd_alloc(cache, 0);
	cr_assert(object, "%s", slabd_error());
	while (slabd_alloc(cache, 0))
		;
	cr_assert_eq(errno, ENOMEM);
	slabd_detach(slabd);
	daemon_audit(&d);
	daemon_stop(&d);
}
