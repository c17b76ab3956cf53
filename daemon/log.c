/* A line is one write(2) of less than PIPE_BUF bytes, made only when poll says that it will not
 * wait: whoever reads our stderr can't stop the daemon by not reading it.  Lines lost that way are
 * counted in the next one. */
#include "daemon/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES    1024
#define LIMIT_LINES   10
#define LIMIT_SECONDS 10

static enum log_level highest = LOG_LEVEL_INFO;
static bool journal;
static unsigned lost;

/* Is stderr the stream that $JOURNAL_STREAM names (device:inode)? */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_init(enum log_level most)
{
	highest = most;
	journal = is_journal();
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	default:
		return "";
	}
}

/* The journal has its own clock, pid and priority; a terminal or a file needs ours. */
static size_t prefix(char *line, size_t n, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	size_t used;

	if (journal)
		return (size_t)snprintf(line, n, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	used = strftime(line, n, "%F %T", &tm);
	return used + (size_t)snprintf(line + used, n - used, ".%03ld slabd[%d]: %s",
				       now.tv_nsec / 1000000, (int)getpid(), level_word(level));
}

/* Copies text as one line: bytes that would act on a terminal or begin another line become \xNN. */
static size_t append(char *line, size_t used, size_t n, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c && used + 5 < n; c++) {
		if (*c >= ' ' && *c != 0x7f)
			line[used++] = (char)*c;
		else
			used += (size_t)snprintf(line + used, n - used, "\\x%02x", *c);
	}
	return used;
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[LINE_BYTES], line[2 * LINE_BYTES];
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	size_t used;
	va_list args;

	if (level > highest)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	used = prefix(line, sizeof(line), level);
	used = append(line, used, sizeof(line) - 64, text);
	if (lost)
		used += (size_t)snprintf(line + used, 48, " (%u lines before this one were lost)",
					 lost);
	line[used++] = '\n';
	if (poll(&out, 1, 0) == 1 && write(STDERR_FILENO, line, used) == (ssize_t)used)
		lost = 0;
	else
		lost++;
}

bool log_allow(struct log_limit *limit)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (ns - limit->began >= LIMIT_SECONDS * UINT64_C(1000000000)) {
		if (limit->held_back)
			log_warning("%u lines of this kind were held back", limit->held_back);
		*limit = (struct log_limit){.began = ns};
	}
	if (limit->lines < LIMIT_LINES) {
		limit->lines++;
		return true;
	}
	limit->held_back++;
	return false;
}
