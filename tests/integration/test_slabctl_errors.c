/* slabctl where something is wrong: the command line, the way to slabd, the way of the output.  Each
 * has its exit code, and a sentence on stderr with the object and what to type next. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "proto/version.h"
#include "tests/support/slabctl_fixture.h"

static void set_up(void)
{
	static const char *const options[] = {"--size", "64M",		"--hugepages=never",
					      "--set",	"max-caches=2", NULL};

	ctl_daemon_start(&ctl_slabd, options);
}

TestSuite(slabctl_alone, .timeout = 100);
TestSuite(slabctl_errors, .init = set_up, .fini = ctl_slabd_stop, .timeout = 100);

/* ---------------------------------------------------------------- the command line */

Test(slabctl_alone, usage)
{
	cr_assert(ctl_failed(ctl(NULL, NULL), 2, "no verb", "slabctl --help"));
	cr_assert(ctl_failed(ctl("frobnicate", NULL), 2, "\"frobnicate\"", "slabctl --help"));
	cr_assert(ctl_failed(ctl("cache", NULL), 2, "NAME", "slabctl cache --help"));
	cr_assert(ctl_failed(ctl("caches", "x", NULL), 2, "\"x\"", "slabctl caches --help"));
	cr_assert(ctl_failed(ctl("cache", "x", "yy", NULL), 2, "\"yy\"", "slabctl cache --help"));
	cr_assert(
		ctl_failed(ctl("caches", "--size=3", NULL), 2, "--size", "slabctl caches --help"));
	cr_assert(ctl_failed(ctl("caches", "--nonsense", NULL), 2, "--nonsense", "slabctl --help"));
	cr_assert(ctl_failed(ctl("shrink", NULL), 2, "--all", "slabctl caches"));
	cr_assert(ctl_failed(ctl("shrink", "x", "--all", NULL), 2, "--all", "slabctl caches"));
	cr_assert(ctl_failed(ctl("evict", "x", NULL), 2, "pid \"x\"", "slabctl clients"));
	cr_assert(ctl_failed(ctl("evict", "0", NULL), 2, "pid \"0\"", "slabctl clients"));
	cr_assert(ctl_failed(ctl("evict", "-1", NULL), 2, "'1'", "slabctl --help"));
	cr_assert(
		ctl_failed(ctl("evict", "99999999999", NULL), 2, "2147483647", "slabctl clients"));
	cr_assert(ctl_failed(ctl("ping", "--wait=soon", NULL), 2, "--wait \"soon\"", "0 to 86400"));
	cr_assert(ctl_failed(ctl("orphans", "--yes", NULL), 2, "--free", "slabctl orphans --help"));
}

Test(slabctl_alone, create_with_wrong_values)
{
	char name[70];

	cr_assert(ctl_failed(ctl("create", "x", NULL), 2, "--size BYTES", "slabctl create --help"));
	cr_assert(
		ctl_failed(ctl("create", "x", "--size=0", NULL), 2, "--size \"0\"", "1 to 131072"));
	cr_assert(
		ctl_failed(ctl("create", "x", "--size=131073", NULL), 2, "131073", "1 to 131072"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=-1", NULL), 2, "\"-1\"", "1 to 131072"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1x", NULL), 2, "\"1x\"", "1 to 131072"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1KK", NULL), 2, "\"1KK\"", "1 to 131072"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=99999999999999999999", NULL), 2, "9999",
			     "131072"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1", "--align=3", NULL), 2, "align 3",
			     "4096"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1", "--align=8192", NULL), 2, "8192",
			     "4096"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1", "--flags=reclaim,fast", NULL), 2,
			     "\"fast\"", "strict"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1", "--flags=", NULL), 2, "flag \"\"",
			     "reclaim"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=1", "--magazine=9999", NULL), 2, "9999",
			     "251"));
	memset(name, 'n', 64);
	name[64] = 0;
	cr_assert(ctl_failed(ctl("create", name, "--size=1", NULL), 2, "64 characters",
			     "slabctl caches"));
	cr_assert(ctl_failed(ctl("create", "", "--size=1", NULL), 2, "0 characters",
			     "slabctl caches"));
	cr_assert(ctl_failed(ctl("create", "a/b", "--size=1", NULL), 2, "\"a/b\"", "A-Z a-z"));
	cr_assert(ctl_failed(ctl("cache", "a\033[31mb", NULL), 2, "\"a?[31mb\"", "A-Z a-z"));
}

Test(slabctl_alone, help_lists_every_verb_and_each_has_its_own)
{
	static const char *const verbs[] = {"status",  "caches",  "cache",  "clients",
					    "create",  "destroy", "shrink", "audit",
					    "orphans", "evict",	  "ping"};
	const struct ctl_run *run;
	char text[64];

	for (unsigned i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		run = ctl("--help", NULL);
		cr_assert_eq(run->code, 0);
		snprintf(text, sizeof(text), "\n  %s ", verbs[i]);
		cr_assert_not_null(strstr(run->out, text), "%s", verbs[i]);
		run = ctl(verbs[i], "--help", NULL);
		cr_assert_eq(run->code, 0);
		cr_assert_str_empty(run->error);
		snprintf(text, sizeof(text), "Usage: slabctl %s ", verbs[i]);
		cr_assert_not_null(strstr(run->out, text), "%s", run->out);
		cr_assert_not_null(strstr(run->out, "--json"));
		cr_assert_not_null(strstr(run->out, "--address"));
		cr_assert_eq(ctl("--usage", verbs[i], NULL)->code, 0);
	}
	cr_assert_not_null(strstr(ctl("create", "--help", NULL)->out, "--magazine"));
	cr_assert_null(strstr(ctl("caches", "--help", NULL)->out, "--magazine"));
	cr_assert_str_eq(ctl("--version", NULL)->out, "slabctl " SLABD_VERSION_STRING "\n");
}

/* ---------------------------------------------------------------- the way to slabd */

Test(slabctl_alone, no_daemon)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/none.sock", getenv("TMPDIR"));
	cr_assert(ctl_failed(ctl("status", "--address", path, NULL), 5, path, "--address"));
	cr_assert(ctl_failed(ctl("ping", "-a", path, NULL), 5, path, "start slabd"));
	cr_assert(ctl_failed(ctl("ping", "-a", path, "--wait=0", NULL), 5, path, "waited"));
	setenv("SLABD_ADDRESS", path, 1);
	cr_assert(ctl_failed(ctl("caches", "--json", NULL), 5, path, "--address"));
	unsetenv("SLABD_ADDRESS");
	if (geteuid() != 0) /* root's default is the system's, where one may run */
		cr_assert(ctl_failed(ctl("caches", NULL), 5, "/slabd/slabd.sock", "--address"));
}

Test(slabctl_alone, addresses_that_are_none)
{
	char path[300];

	memset(path, 'p', 299);
	path[299] = 0;
	cr_assert(ctl_failed(ctl("status", "-a", path, NULL), 2, "299 bytes", "107"));
	cr_assert(ctl_failed(ctl("status", "-a", "#main", NULL), 2, "\"#main\"", "SOCKET"));
	cr_assert(ctl_failed(ctl("status", "-a", "x#", NULL), 2, "\"x#\"", "SOCKET"));
}

Test(slabctl_alone, wrong_timeout)
{
	setenv("SLABD_TIMEOUT_MS", "soon", 1);
	cr_assert(ctl_failed(ctl("status", NULL), 2, "SLABD_TIMEOUT_MS \"soon\"", "whole number"));
	setenv("SLABD_TIMEOUT_MS", "0", 1);
	cr_assert(ctl_failed(ctl("status", NULL), 2, "\"0\"", "1 to"));
}

Test(slabctl_errors, missing_cache)
{
	cr_assert(ctl_failed(ctl("cache", "none", NULL), 3, "\"none\"", "slabctl caches"));
	cr_assert(
		ctl_failed(ctl("destroy", "none", "--yes", NULL), 3, "\"none\"", "slabctl caches"));
	cr_assert(ctl_failed(ctl("shrink", "none", NULL), 3, "\"none\"", "slabctl caches"));
	cr_assert(ctl_failed(ctl("orphans", "none", "--json", NULL), 3, "\"none\"",
			     "slabctl caches"));
	cr_assert(ctl_failed(ctl("evict", "1", "--yes", NULL), 3, "pid 1", "slabctl clients"));
}

Test(slabctl_errors, segment)
{
	char address[128];

	snprintf(address, sizeof(address), "%s#main", ctl_slabd.socket);
	cr_assert_eq(ctl("status", "-a", address, NULL)->code, 0);
	snprintf(address, sizeof(address), "%s#other", ctl_slabd.socket);
	cr_assert(ctl_failed(ctl("status", "-a", address, NULL), 3, "\"other\"", "\"main\""));
}

Test(slabctl_errors, socket_of_somebody_else)
{
	cr_assert_eq(chmod(ctl_slabd.socket, 0), 0);
	cr_assert(ctl_failed(ctl("status", NULL), 4, ctl_slabd.socket, "group"));
	cr_assert(ctl_failed(ctl("ping", "--wait=20", NULL), 4, ctl_slabd.socket, "group"));
	cr_assert_eq(chmod(ctl_slabd.socket, 0600), 0);
}

Test(slabctl_errors, too_many_caches)
{
	cr_assert_eq(ctl("create", "a", "--size=64", NULL)->code, 0);
	cr_assert_eq(ctl("create", "b", "--size=64", NULL)->code, 0);
	cr_assert(ctl_failed(ctl("create", "c", "--size=64", NULL), 7, "\"c\": 2 of 2",
			     "max-caches"));
}

Test(slabctl_errors, stopped_daemon)
{
	ctl_daemon_freeze(&ctl_slabd, true);
	setenv("SLABD_TIMEOUT_MS", "200", 1);
	cr_assert(ctl_failed(ctl("status", NULL), 8, "200 ms", "SLABD_TIMEOUT_MS"));
	cr_assert(ctl_failed(ctl("create", "x", "--size=8", NULL), 8, ctl_slabd.socket, "stopped"));
	cr_assert(ctl_failed(ctl("ping", NULL), 8, ctl_slabd.socket, "stopped"));
	cr_assert(ctl_failed(ctl("ping", "--wait=1", NULL), 8, ctl_slabd.socket, "waited"));
	ctl_daemon_freeze(&ctl_slabd, false);
	unsetenv("SLABD_TIMEOUT_MS");
	cr_assert_eq(ctl("ping", NULL)->code, 0);
}

/* ---------------------------------------------------------------- the way of the output */

static void assert_quiet_on_closed_pipe(const char *verb, const char *option)
{
	const struct ctl_run *run;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	run = ctl_onto(ends[1], verb, option, NULL);
	cr_assert(run->code == 1 || run->code == 128 + SIGPIPE, "exit code %d", run->code);
	cr_assert_str_empty(run->error);
	close(ends[1]);
}

Test(slabctl_errors, closed_pipe)
{
	assert_quiet_on_closed_pipe("status", "--json");
	assert_quiet_on_closed_pipe("status", NULL);
	assert_quiet_on_closed_pipe("audit", "--json");
	assert_quiet_on_closed_pipe("--help", NULL);
}

Test(slabctl_errors, full_device)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), null = open("/dev/null", O_RDONLY);
	const struct ctl_run *run;

	cr_assert(full >= 0 && null >= 0);
	run = ctl_onto(full, "status", NULL);
	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->error, "No space left on device"));
	cr_assert_eq(ctl_onto(full, "caches", "--json", NULL)->code, 1);
	cr_assert_eq(ctl_onto(full, "--help", NULL)->code, 1);
	cr_assert_eq(ctl_onto(null, "status", NULL)->code, 1); /* open for reading alone */
	close(full);
	close(null);
}

Test(slabctl_errors, colour_on_a_terminal_alone)
{
	cr_assert_eq(ctl("create", "a", "--size=64", NULL)->code, 0);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	cr_assert_not_null(strstr(ctl_on_terminal(NULL, "caches", NULL)->out, "\033["));
	cr_assert_null(strstr(ctl("caches", NULL)->out, "\033["));
	cr_assert_null(strstr(ctl_on_terminal(NULL, "caches", "--json", NULL)->out, "\033["));
	setenv("NO_COLOR", "1", 1);
	cr_assert_null(strstr(ctl_on_terminal(NULL, "caches", NULL)->out, "\033["));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	cr_assert_null(strstr(ctl_on_terminal(NULL, "caches", NULL)->out, "\033["));
}
