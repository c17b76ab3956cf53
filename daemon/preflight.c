#include "daemon/preflight.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "daemon/backing.h"
#include "daemon/listen.h"

#define KERNEL_MAJOR 5
#define KERNEL_MINOR 14

/* "note" is worse than could be, yet no reason not to start. */
enum verdict { OK, NOTE, FAIL };

__attribute__((format(printf, 3, 4))) static bool say(enum verdict verdict, const char *what,
						      const char *format, ...)
{
	static const char *const words[] = {"ok", "note", "FAIL"};
	va_list args;

	printf("%-5s %-10s ", words[verdict], what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return verdict != FAIL;
}

static bool check_kernel(void)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	    (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)))
		return say(OK, "kernel", "Linux %s", name.release);
	return say(FAIL, "kernel", "Linux %s; %u.%u or later is needed", name.release, KERNEL_MAJOR,
		   KERNEL_MINOR);
}

static bool check_directory(const struct options *options)
{
	char error[ERROR_BYTES];

	if (listen_check_directory(options->socket, error, sizeof(error)) < 0)
		return say(FAIL, "directory", "%s", error);
	return say(OK, "directory", "of %s can be written", options->socket);
}

static bool check_lock(const struct options *options)
{
	char error[ERROR_BYTES];

	if (listen_check_lock(options->socket, error, sizeof(error)) < 0)
		return say(FAIL, "socket", "%s", error);
	return say(OK, "socket", "%s is free", options->socket);
}

static bool check_memory(const struct options *options)
{
	struct backing_options wanted = options_backing(options);
	struct backing backing;
	char error[ERROR_BYTES];
	unsigned long long mib = options->backing.size >> 20;

	if (backing_check(&backing, &wanted, error, sizeof(error)) < 0)
		return say(FAIL, "memory", "%s", error);
	if (backing.why[0])
		return say(NOTE, "memory", "heap of %llu MiB on %s: %s", mib,
			   backing_name(backing.kind), backing.why);
	return say(OK, "memory", "heap of %llu MiB on %s", mib, backing_name(backing.kind));
}

static bool check_files(const struct options *options)
{
	unsigned need = options_files(options);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= need)
		return say(OK, "files", "%u open files, for max-clients=%u", need,
			   options->backing.max_clients);
	return say(NOTE, "files",
		   "%llu open files allowed, %u needed for max-clients=%u; raise the hard limit "
		   "(ulimit -Hn, LimitNOFILE=) or lower max-clients",
		   (unsigned long long)limit.rlim_max, need, options->backing.max_clients);
}

bool preflight(const struct options *options)
{
	bool good = say(OK, "options", "%s",
			options->file[0] ? options->file : "no configuration file, which is fine");

	good &= check_kernel();
	good &= check_directory(options);
	good &= check_lock(options);
	good &= check_memory(options);
	good &= check_files(options);
	return good;
}
