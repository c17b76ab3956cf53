/* SIGUSR2: the next worker is of the binary that lies where slabd was started from, clients attached; what
 * does not answer with the segment's layout is refused, and all stays as it was. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/traffic.h"

static struct daemon_fixture d;
static struct traffic traffic;
static char original[256], program[128];

/* Puts a file in the place of the program at once, as a package manager does. */
static void install(const char *from, const char *text, mode_t mode)
{
	char buffer[65536], fresh[160];
	int in = from ? open(from, O_RDONLY | O_CLOEXEC) : -1, out;
	ssize_t n;

	snprintf(fresh, sizeof(fresh), "%s.new", program);
	out = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	cr_assert_geq(out, 0);
	while (from && (n = read(in, buffer, sizeof(buffer))) > 0)
		cr_assert_eq(write(out, buffer, (size_t)n), n);
	if (text)
		cr_assert_eq(write(out, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(out, mode), 0);
	close(out);
	if (in >= 0)
		close(in);
	cr_assert_eq(rename(fresh, program), 0);
}

static void start(void)
{
	daemon_prepare(&d);
	snprintf(original, sizeof(original), "%s", getenv("SLABD_BIN"));
	snprintf(program, sizeof(program), "%s/slabd", d.directory);
	install(original, NULL, 0755);
	setenv("SLABD_BIN", program, 1);
	daemon_start(&d, NULL);
	traffic_start(&traffic, d.socket);
}

static void end(void)
{
	traffic_expect(&traffic);
	traffic_stop(&traffic);
	cr_assert_eq(daemon_audit(&d).live, 0);
	daemon_stop(&d);
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	return st.st_ino;
}

/* Does the worker run the program that lies there now? */
static bool runs_program(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)daemon_worker(&d));
	return inode_of(path) == inode_of(program);
}

static void upgrade(void)
{
	cr_assert_eq(kill(d.keeper, SIGUSR2), 0);
}

static bool worker_is_another(const struct daemon_fixture *f, const void *arg)
{
	return daemon_worker(f) != *(const pid_t *)arg;
}

static void upgrade_done(void)
{
	pid_t worker = daemon_worker(&d);

	upgrade();
	DAEMON_UNTIL(&d, worker_is_another, &worker);
}

Test(upgrade, clients_go_on)
{
	start();
	for (int i = 0; i < 3; i++) {
		install(original, NULL, 0755);
		cr_assert(!runs_program());
		upgrade_done();
		cr_assert(runs_program());
		traffic_expect(&traffic);
	}
	end();
}

/* What was upgraded stays so over the death of its worker. */
Test(upgrade, lasts)
{
	start();
	install(original, NULL, 0755);
	upgrade_done();
	daemon_kill_worker(&d);
	cr_assert(runs_program());
	traffic_expect(&traffic);
	end();
}

/* The same binary again is no harm. */
Test(upgrade, to_the_same)
{
	start();
	upgrade_done();
	cr_assert(runs_program());
	end();
}

/* ---------------------------------------------------------------- refused */

static void expect_refusal(const char *why)
{
	pid_t worker = daemon_worker(&d);

	upgrade();
	daemon_expect_log(&d, why);
	traffic_expect(&traffic);
	cr_assert_eq(daemon_worker(&d), worker, "all stays as it was");
}

Test(upgrade, another_layout_is_refused)
{
	start();
	install(NULL, "#!/bin/sh\nif [ \"$1\" = --layout ]; then echo 999; fi\n", 0755);
	expect_refusal("has layout 999, the segment has layout 2; restart slabd with a new segment "
		       "instead");
	end();
}

Test(upgrade, what_says_no_layout_is_refused)
{
	start();
	install(NULL, "#!/bin/sh\necho nonsense\n", 0755);
	expect_refusal("does not tell its layout (Exec format error); all stays as it was");
	end();
}

Test(upgrade, what_can_not_be_run_is_refused)
{
	start();
	install(original, NULL, 0600);
	expect_refusal("does not tell its layout");
	end();
}

Test(upgrade, nothing_there_is_refused)
{
	start();
	cr_assert_eq(unlink(program), 0);
	expect_refusal("does not tell its layout");
	end();
}

/* It promises the layout and does not keep it: the old binary serves again. */
Test(upgrade, one_that_fails_is_taken_back)
{
	start();
	install(NULL, "#!/bin/sh\nif [ \"$1\" = --layout ]; then echo 2; else exit 1; fi\n", 0755);
	upgrade();
	daemon_expect_log(&d, "can't serve this segment; the next worker is of the old binary");
	traffic_expect(&traffic);
	end();
}
