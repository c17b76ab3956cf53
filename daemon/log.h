/* Log lines on stderr that an operator can act on; with <N> priority prefixes when stderr is the
 * journal ($JOURNAL_STREAM).  Control characters in what clients named are escaped. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

void log_init(enum log_level most);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* For what any client can cause as often as it likes: ten lines in ten seconds, then a count. */
struct log_limit {
	uint64_t began; /* ns, CLOCK_MONOTONIC */
	uint32_t lines, held_back;
};

/* May another line be written now? */
bool log_allow(struct log_limit *limit);

#endif
