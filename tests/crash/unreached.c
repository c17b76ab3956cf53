/* Which instructions of the functions under test were never a kill point: the linker's map tells where
 * the code of each object file lies, objdump where its instructions begin, and tests/crash/unreached.txt
 * how many of a function may be left out, and why. */
#include "tests/crash/crash.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Archive and member of what has to be stepped through. */
static const char *const under_test[] = {
	"libslabd_shm.a(",
	"libslabd_client.a(alloc.c",
	"libslabd_client.a(thread.c",
	"libslabd_client.a(refill.c",
	"libslabd_core.a(slab.c",
	"libslabd_core.a(extent.c",
	"libslabd_core.a(refill.c",
	"libslabd_core.a(reclaim.c",
	"libslabd_core.a(registry.c",
	"libslabd_core.a(tombs.c",
};

static struct span {
	unsigned long from, to;
} spans[128];
static unsigned spans_n;

struct function {
	char name[64];
	unsigned unreached, all;
	int allowed; /* -1: unreached.txt does not name it */
};

static struct function functions[1024];
static unsigned functions_n;

static bool is_under_test(const char *line)
{
	for (size_t i = 0; i < sizeof(under_test) / sizeof(*under_test); i++)
		if (strstr(line, under_test[i]))
			return true;
	return false;
}

/* " .text  0x0000000000012340  0x5f4 lib/libslabd_shm.a(depot.c.o)", where a long name of a section has
 * the rest on the next line. */
static bool read_map(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[1024];
	bool in_text = false;

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		unsigned long at, bytes;
		const char *rest = line;

		if (!strncmp(line, " .", 2)) {
			in_text = !strncmp(line, " .text", 6);
			rest = line + 1 + strcspn(line + 1, " \n");
		}
		if (!in_text || sscanf(rest, " 0x%lx 0x%lx", &at, &bytes) != 2 || !bytes)
			continue;
		in_text = false;
		if (is_under_test(line) && spans_n < sizeof(spans) / sizeof(*spans))
			spans[spans_n++] = (struct span){at, at + bytes};
	}
	fclose(file);
	return spans_n > 0;
}

static bool is_in_span(unsigned long at)
{
	for (unsigned i = 0; i < spans_n; i++)
		if (at >= spans[i].from && at < spans[i].to)
			return true;
	return false;
}

static struct function *function_named(const char *name)
{
	for (unsigned i = 0; i < functions_n; i++)
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	if (functions_n == sizeof(functions) / sizeof(*functions))
		die("too many functions");
	snprintf(functions[functions_n].name, sizeof(functions->name), "%s", name);
	functions[functions_n].allowed = -1;
	return &functions[functions_n++];
}

/* What stands between blocks to align them is never run, nor is the call that a smashed stack ends in. */
static bool is_never_run(const char *instruction)
{
	return strstr(instruction, "<__stack_chk_fail@plt>") || strstr(instruction, "nop") ||
	       !strncmp(instruction, "xchg   %ax,%ax", 14) || !strncmp(instruction, "int3", 4) ||
	       !strncmp(instruction, "data16", 6);
}

static bool read_instructions(const char *path, bool verbose)
{
	char command[4200], line[1024], name[256];
	struct function *function = NULL;
	FILE *pipe;

	snprintf(command, sizeof(command), "objdump -d --no-show-raw-insn -j .text '%s'", path);
	pipe = popen(command, "r");
	if (!pipe)
		return false;
	while (fgets(line, sizeof(line), pipe)) {
		unsigned long at;
		int n = 0;

		if (sscanf(line, "%lx <%255[^>]>:", &at, name) == 2) {
			name[strcspn(name, ".")] = 0; /* .cold, .isra.0 */
			function = is_in_span(at) ? function_named(name) : NULL;
			continue;
		}
		if (!function || sscanf(line, " %lx:\t%n", &at, &n) != 1 || !n)
			continue;
		if (is_never_run(line + n))
			continue;
		function->all++;
		if (coverage_was_hit(at))
			continue;
		function->unreached++;
		if (verbose)
			printf("  %s: %s", function->name, line);
	}
	return pclose(pipe) == 0 && functions_n > 0;
}

static bool read_allowed(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512], name[64];
	int count;

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		if (line[0] != '#' && sscanf(line, "%d %63s", &count, name) == 2)
			function_named(name)->allowed = count;
	fclose(file);
	return true;
}

/* The numbers of unreached.txt hold for this compiler as the release preset has it. */
static bool is_the_build(void)
{
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 && defined(__OPTIMIZE__) && \
	!defined(__SANITIZE_ADDRESS__)
	return true;
#else
	return false;
#endif
}

int unreached_report(bool verbose)
{
	char path[4096], map[4200], list[4200];
	const char *source = getenv("SLABD_SOURCE_DIR");
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	unsigned all = 0, left = 0, allowed = 0, more = 0;

	if (n < 0)
		die("this program has no name");
	path[n] = 0;
	snprintf(map, sizeof(map), "%s.map", path);
	if (!read_map(map))
		die("%s: no map of the functions under test", map);
	if (!read_instructions(path, verbose))
		die("objdump does not tell this program's instructions");
	snprintf(list, sizeof(list), "%s/tests/crash/unreached.txt", source ? source : ".");
	if (!read_allowed(list))
		die("%s: can't be read; SLABD_SOURCE_DIR names the tree", list);
	printf("never a kill point:\n");
	for (unsigned i = 0; i < functions_n; i++) {
		const struct function *f = &functions[i];
		unsigned may = f->allowed > 0 ? (unsigned)f->allowed : 0;

		all += f->all;
		left += f->unreached;
		allowed += may;
		if (f->unreached)
			printf("%6u of %4u  %s%s\n", f->unreached, f->all, f->name,
			       f->unreached > may ? "  MORE THAN unreached.txt ALLOWS" : "");
		more += f->unreached > may;
	}
	printf("%u of %u instructions under test were kill points; %u were not, %u may be left "
	       "out\n",
	       all - left, all, left, allowed);
	if (!is_the_build()) {
		printf("(the list is for gcc 12 -O2; this build is another, and is not held to "
		       "it)\n");
		return 0;
	}
	return more ? 1 : 0;
}
