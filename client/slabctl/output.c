/* Text on its way out: one line an error, whatever bytes it quotes; colour only where eyes are. */
#include "client/slabctl/output.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/texts.h"

void output_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static void __attribute__((format(printf, 2, 0)))
print_line(const char *prefix, const char *format, va_list arguments, const char *end)
{
	char line[2048];

	vsnprintf(line, sizeof(line), format, arguments);
	output_clean(line);
	fflush(stdout);
	fprintf(stderr, "%s%s%s", prefix, line, end);
}

void output_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("slabctl: ", format, arguments, "\n");
	va_end(arguments);
}

void output_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("", format, arguments, "\n");
	va_end(arguments);
}

bool output_can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

int output_ask(const char *format, ...)
{
	va_list arguments;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool yes;

	va_start(arguments, format);
	print_line("", format, arguments, " [y/N] ");
	va_end(arguments);
	n = getline(&line, &room, stdin);
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = 0;
	yes = n > 0 && (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0);
	free(line);
	if (yes)
		return EXIT_DONE;
	output_note(TEXT_DECLINED);
	return EXIT_FAILED;
}

const char *output_colour(enum colour colour)
{
	static const char *const escapes[] = {
		[PLAIN] = "\033[0m",  [BOLD] = "\033[1m",    [RED] = "\033[1;31m",
		[GREEN] = "\033[32m", [YELLOW] = "\033[33m",
	};
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	if ((no_colour && *no_colour) || !term || !*term || strcmp(term, "dumb") == 0 ||
	    !isatty(STDOUT_FILENO))
		return "";
	return escapes[colour];
}

int output_finish(void)
{
	int error = fflush(stdout) == 0 && !ferror(stdout) ? 0 : errno;

	/* a file system may say only at the close that nothing was stored */
	if (fclose(stdout) != 0 && !error)
		error = errno;
	if (!error)
		return EXIT_DONE;
	if (error != EPIPE) /* whoever closes the pipe has seen enough */
		output_error(TEXT_NO_WRITING, strerror(error));
	return EXIT_FAILED;
}

const char *output_bytes(char text[UNITS_BYTES], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1023.95 && unit + 1 < LENGTH(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, UNITS_BYTES, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

/* Divides until it fits, and then with one decimal where there is room for it. */
static const char *short_number(char *text, uint64_t number, unsigned step, const char *units)
{
	double value = (double)number;

	if (number < (step == 1000 ? 100000u : step)) {
		snprintf(text, UNITS_BYTES, "%llu", (unsigned long long)number);
		return text;
	}
	do
		value /= step;
	while (value >= step - 0.5 && *++units);
	snprintf(text, UNITS_BYTES, value < 99.95 ? "%.1f%c" : "%.0f%c", value, *units);
	return text;
}

const char *output_count(char text[UNITS_BYTES], uint64_t count)
{
	return short_number(text, count, 1000, "kMGTPE");
}

const char *output_size(char text[UNITS_BYTES], uint64_t bytes)
{
	return short_number(text, bytes, 1024, "KMGTPE");
}

static struct winsize window(void)
{
	struct winsize size = {0};

	if (isatty(STDOUT_FILENO))
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	return size;
}

unsigned output_columns(void)
{
	return window().ws_col;
}

unsigned output_lines(void)
{
	return window().ws_row;
}

const char *output_duration(char text[UNITS_BYTES], uint64_t ms)
{
	unsigned long long s = ms / 1000;

	if (s < 60)
		snprintf(text, UNITS_BYTES, "%llu s", s);
	else if (s < 3600)
		snprintf(text, UNITS_BYTES, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, UNITS_BYTES, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(text, UNITS_BYTES, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return text;
}
