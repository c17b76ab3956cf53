/* Log lines: one line each, whatever clients call themselves; and never a wait. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"

static int out[2], saved;
static char text[8192];

static void set_up(void)
{
	cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_LEVEL_INFO);
}

TestSuite(log, .init = set_up);

static void begin(void)
{
	dup2(out[1], STDERR_FILENO);
}

/* What was written to stderr since begin. */
static const char *end(void)
{
	ssize_t n = read(out[0], text, sizeof(text) - 1);

	dup2(saved, STDERR_FILENO);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static unsigned lines_of(const char *at)
{
	unsigned n = 0;

	for (; *at; at++)
		n += *at == '\n';
	return n;
}

Test(log, a_line_has_time_pid_and_level)
{
	char pid[32];

	begin();
	log_warning("the answer is %d", 42);
	end();
	snprintf(pid, sizeof(pid), " slabd[%d]: ", (int)getpid());
	cr_assert_not_null(strstr(text, pid), "%s", text);
	cr_assert_not_null(strstr(text, "warning: the answer is 42\n"), "%s", text);
	cr_assert_eq(lines_of(text), 1);
}

Test(log, levels)
{
	begin();
	log_debug("not seen");
	log_info("seen");
	end();
	cr_assert_null(strstr(text, "not seen"));
	cr_assert_not_null(strstr(text, ": seen\n"));
	log_init(LOG_LEVEL_ERROR);
	begin();
	log_warning("not seen");
	log_error("seen");
	end();
	cr_assert_null(strstr(text, "not seen"));
	cr_assert_not_null(strstr(text, "error: seen\n"));
}

Test(log, the_journal_has_its_own_clock)
{
	struct stat st;
	char stream[64];

	begin();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_LEVEL_INFO);
	log_warning("x");
	cr_assert_str_eq(end(), "<4>x\n");
	setenv("JOURNAL_STREAM", "1:1", 1);
	begin();
	log_init(LOG_LEVEL_INFO);
	log_warning("x");
	cr_assert_neq(end()[0], '<', "somebody else's journal");
}

Test(log, control_characters_are_escaped)
{
	begin();
	log_info("%s", "a\nb\033[31mc\177\r");
	end();
	cr_assert_not_null(strstr(text, "a\\x0ab\\x1b[31mc\\x7f\\x0d\n"), "%s", text);
	cr_assert_eq(lines_of(text), 1);
}

Test(log, a_long_line_is_cut)
{
	static char hostile[4096];

	memset(hostile, 1, sizeof(hostile) - 1);
	begin();
	log_info("%s", hostile);
	end();
	cr_assert_eq(lines_of(text), 1);
	cr_assert_lt(strlen(text), 4096, "PIPE_BUF: one write is one line");
}

/* Whoever reads our stderr does not. */
Test(log, never_waits)
{
	static char filler[65536];

	while (write(out[1], filler, sizeof(filler)) > 0)
		;
	begin();
	log_info("lost");
	log_info("lost too");
	while (read(out[0], filler, sizeof(filler)) > 0)
		;
	log_info("found");
	end();
	cr_assert_not_null(strstr(text, "found (2 lines before this one were lost)\n"), "%s", text);
}

Test(log, ten_lines_then_a_count)
{
	struct log_limit limit = {0};
	unsigned allowed = 0;

	begin();
	for (int i = 0; i < 100; i++)
		allowed += log_allow(&limit);
	cr_assert_eq(allowed, 10);
	limit.began -= UINT64_C(10000000000);
	cr_assert(log_allow(&limit));
	end();
	cr_assert_not_null(strstr(text, "90 lines"), "%s", text);
	for (allowed = 1; log_allow(&limit); allowed++)
		;
	cr_assert_eq(allowed, 10);
}
