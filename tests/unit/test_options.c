/* What slabd is told: values, their limits, and who has the last word. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/options.h"

static struct options options;
static char error[ERROR_BYTES];
static char file[] = "slabd-XXXXXX";

static void set_up(void)
{
	unsetenv("SLABD_ADDRESS");
	setenv("XDG_RUNTIME_DIR", "/run/me", 1);
	setenv("XDG_CONFIG_HOME", "/nowhere", 1);
}

static void tear_down(void)
{
	options_free(&options);
	unlink(file);
}

TestSuite(options, .init = set_up, .fini = tear_down);

/* A configuration file of this text; its path. */
static char *config(const char *text)
{
	int fd = mkostemp(file, O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return file;
}

#define PARSE(...) parse((const char *[]){"slabd", __VA_ARGS__, NULL})

static void parse(const char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	cr_assert_eq(options_parse(&options, argc, (char **)argv), 0);
}

static int read_all(void)
{
	error[0] = 0;
	return options_read(&options, error, sizeof(error));
}

static void expect(int got, const char *words)
{
	cr_assert_lt(got, 0);
	cr_assert_not_null(strstr(error, words), "\"%s\" does not say %s", error, words);
}

static int set(const char *key, const char *value)
{
	error[0] = 0;
	return options_set(&options, key, value, error, sizeof(error));
}

/* ---------------------------------------------------------------- values */

Test(options, defaults)
{
	PARSE("--socket=/tmp/s");
	cr_assert_eq(read_all(), 0, "%s", error);
	cr_assert_str_eq(options.socket, "/tmp/s");
	cr_assert_eq(options.backing.size, 1u << 30);
	cr_assert_eq(options.backing.hugepages, HUGEPAGES_PREFER);
	cr_assert_eq(options.backing.max_caches, 1024);
	cr_assert_eq(options.backing.max_clients, 4096);
	cr_assert_eq(options.max_clients_per_user, 1024);
	cr_assert_eq(options.log_level, LOG_LEVEL_INFO);
	cr_assert_eq(options.mode, MODE_RUN);
	cr_assert_null(options_backing(&options).directory);
	cr_assert_str_empty(options.file);
}

Test(options, sizes)
{
	const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"4M", 4u << 20},	   {"4194304", 4u << 20}, {"4096K", 4u << 20},
		{"4096k", 4u << 20},	   {"100m", 100u << 20},  {"64G", UINT64_C(64) << 30},
		{"1g", UINT64_C(1) << 30}, {"4194305", 4194305},
	};
	const char *bad[] = {"",
			     "0",
			     "4M ",
			     " 4M",
			     "4MB",
			     "-4M",
			     "+4M",
			     "4.5M",
			     "3M",
			     "65G",
			     "4T",
			     "M",
			     "0x400000",
			     "4194303",
			     "64GG",
			     "18446744073709551615G",
			     "99999999999999999999"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		cr_assert_eq(set("size", good[i].text), 0, "%s", error);
		cr_assert_eq(options.backing.size, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		options.backing.size = 4711;
		cr_assert_eq(set("size", bad[i]), -EINVAL, "'%s'", bad[i]);
		expect(-1, "from 4M to 64G");
		cr_assert_eq(options.backing.size, 4711);
	}
}

Test(options, numbers)
{
	const struct {
		const char *key, *most, *over;
	} keys[] = {
		{"max-caches", "65535", "65536"},
		{"max-clients", "16381", "16382"},
		{"max-clients-per-user", "16381", "16382"},
	};

	for (size_t i = 0; i < 3; i++) {
		const char *bad[] = {"0", "-1", "",	      "1x",
				     "x", " 1", keys[i].over, "18446744073709551617"};

		cr_assert_eq(set(keys[i].key, "1"), 0);
		cr_assert_eq(set(keys[i].key, keys[i].most), 0);
		for (size_t j = 0; j < sizeof(bad) / sizeof(*bad); j++) {
			cr_assert_eq(set(keys[i].key, bad[j]), -EINVAL, "%s=%s", keys[i].key,
				     bad[j]);
			expect(-1, keys[i].most);
			expect(-1, keys[i].key);
		}
	}
}

Test(options, words)
{
	cr_assert_eq(set("hugepages", "require"), 0);
	cr_assert_eq(options.backing.hugepages, HUGEPAGES_REQUIRE);
	cr_assert_eq(set("hugepages", "Never"), -EINVAL);
	expect(-1, "require, prefer, never");
	cr_assert_eq(set("log-level", "debug"), 0);
	cr_assert_eq(options.log_level, LOG_LEVEL_DEBUG);
	cr_assert_eq(set("log-level", ""), -EINVAL);
	expect(-1, "error, warning, info, debug");
}

Test(options, paths)
{
	char path[300];

	memset(path, 'a', sizeof(path));
	path[107] = 0;
	cr_assert_eq(set("socket", path), 0);
	cr_assert_str_eq(options.socket, path);
	path[107] = 'a';
	path[108] = 0;
	cr_assert_eq(set("socket", path), -EINVAL);
	expect(-1, "107 bytes, not 108");
	cr_assert_eq(set("socket", ""), -EINVAL);
	path[108] = 'a';
	path[299] = 0;
	cr_assert_eq(set("backing", path), -EINVAL);
	cr_assert_eq(set("backing", "/dev/shm/x"), 0);
	cr_assert_str_eq(options_backing(&options).directory, "/dev/shm/x");
	cr_assert_eq(set("backing", ""), 0);
	cr_assert_null(options_backing(&options).directory);
}

Test(options, unknown_keys)
{
	cr_assert_eq(set("sizes", "1G"), -EINVAL);
	expect(-1, "unknown key 'sizes'");
	expect(-1, "max-clients-per-user");
}

/* ---------------------------------------------------------------- who has the last word */

Test(options, the_command_line_over_the_file_over_defaults)
{
	PARSE("--socket=/tmp/s", "--size=32M", "--set", "max-caches=7", "--config",
	      config("[daemon]\nsize = 64M\nmax-caches = 8\nmax-clients = 9\n"));
	cr_assert_eq(read_all(), 0, "%s", error);
	cr_assert_eq(options.backing.size, 32u << 20);
	cr_assert_eq(options.backing.max_caches, 7);
	cr_assert_eq(options.backing.max_clients, 9);
	cr_assert_eq(options.max_clients_per_user, 1024);
	cr_assert_str_eq(options.file, file);
}

Test(options, the_last_of_the_command_line)
{
	PARSE("--socket=/tmp/s", "--size=32M", "--set=size=16M");
	cr_assert_eq(read_all(), 0);
	cr_assert_eq(options.backing.size, 16u << 20);
}

/* SIGHUP: what left the file is the default again, what the command line said stays. */
Test(options, read_again)
{
	FILE *again;

	PARSE("--socket=/tmp/s", "--set=max-caches=7", "--config",
	      config("[daemon]\nlog-level = debug\nmax-clients-per-user = 5\n"));
	cr_assert_eq(read_all(), 0);
	cr_assert_eq(options.log_level, LOG_LEVEL_DEBUG);
	again = fopen(file, "we");
	fputs("[daemon]\nmax-clients-per-user = 6\nmax-caches = 9\n", again);
	fclose(again);
	cr_assert_eq(read_all(), 0);
	cr_assert_eq(options.log_level, LOG_LEVEL_INFO);
	cr_assert_eq(options.max_clients_per_user, 6);
	cr_assert_eq(options.backing.max_caches, 7);
}

Test(options, a_bad_file_changes_nothing)
{
	FILE *again;

	PARSE("--socket=/tmp/s", "--config", config("[daemon]\nsize = 64M\n"));
	cr_assert_eq(read_all(), 0);
	again = fopen(file, "we");
	fputs("[daemon]\nsize = 128M\nlog-level = loud\n", again);
	fclose(again);
	cr_assert_eq(read_all(), -EINVAL);
	cr_assert_eq(options.backing.size, 64u << 20);
	cr_assert_eq(options.log_level, LOG_LEVEL_INFO);
}

/* File and line, and what is wrong there. */
Test(options, errors_name_their_line)
{
	const struct {
		const char *text, *where, *what;
	} bad[] = {
		{"[daemon]\n\n# comment\nsize = 1\n", ":4: ", "from 4M to 64G"},
		{"[daemon]\nnonsense = 1\n", ":2: ", "unknown key 'nonsense'"},
		{"[demon]\nsize = 4M\n", ":2: ", "unknown section [demon]"},
		{"size = 4M\n", ":1: ", "no section"},
		{"[daemon]\nsize\n", ":2: ", "KEY = VALUE"},
		{"[daemon\n", ":1: ", "section"},
		{"[daemon]\nsize = 1\nsize = 2\n", ":2: ", "'1'"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char where[64];

		PARSE("--socket=/tmp/s", "--config", config(bad[i].text));
		snprintf(where, sizeof(where), "%s%s", file, bad[i].where);
		expect(read_all(), bad[i].what);
		expect(-1, where);
		tear_down();
		strcpy(file, "slabd-XXXXXX");
	}
}

Test(options, a_line_too_long)
{
	char *text = malloc(10000);

	strcpy(text, "[daemon]\nbacking = ");
	memset(text + strlen(text), 'x', 9000);
	text[9019] = 0;
	PARSE("--socket=/tmp/s", "--config", config(text));
	expect(read_all(), ":2: a line of more than");
	free(text);
}

Test(options, a_file_that_is_not_there)
{
	PARSE("--socket=/tmp/s", "--config=/nowhere/at.all");
	cr_assert_eq(read_all(), -ENOENT);
	expect(-1, "/nowhere/at.all");
}

Test(options, errors_of_the_command_line_name_it)
{
	PARSE("--socket=/tmp/s", "--size=1");
	expect(read_all(), "--size: ");
	options_free(&options);
	PARSE("--socket=/tmp/s", "--set=max-caches=0");
	expect(read_all(), "--set max-caches: ");
}

/* ---------------------------------------------------------------- the default socket */

Test(options, socket_from_the_environment)
{
	setenv("SLABD_ADDRESS", "/tmp/there", 1);
	PARSE("--size=4M");
	cr_assert_eq(read_all(), 0, "%s", error);
	cr_assert_str_eq(options.socket, "/tmp/there");
	setenv("SLABD_ADDRESS", "/tmp/there#main", 1);
	cr_assert_eq(read_all(), 0);
	cr_assert_str_eq(options.socket, "/tmp/there");
	setenv("SLABD_ADDRESS", "/tmp/there#other", 1);
	expect(read_all(), "segment");
}

Test(options, socket_by_user)
{
	PARSE("--size=4M");
	cr_assert_eq(read_all(), 0, "%s", error);
	cr_assert_str_eq(options.socket,
			 geteuid() ? "/run/me/slabd/slabd.sock" : "/run/slabd/slabd.sock");
	if (geteuid() == 0)
		return;
	unsetenv("XDG_RUNTIME_DIR");
	expect(read_all(), "--socket PATH");
}

/* ---------------------------------------------------------------- usage */

Test(options, usage, .exit_code = SLABD_EXIT_USAGE)
{
	PARSE("--no-such-option");
}

Test(options, set_wants_a_value, .exit_code = SLABD_EXIT_USAGE)
{
	PARSE("--set=size");
}

Test(options, set_wants_a_key, .exit_code = SLABD_EXIT_USAGE)
{
	PARSE("--set==4M");
}

Test(options, arguments_are_refused, .exit_code = SLABD_EXIT_USAGE)
{
	PARSE("something");
}

Test(options, modes)
{
	PARSE("--check");
	cr_assert_eq(options.mode, MODE_CHECK);
	options_free(&options);
	PARSE("--check-config");
	cr_assert_eq(options.mode, MODE_CHECK_CONFIG);
	unsetenv("XDG_RUNTIME_DIR");
	cr_assert_eq(read_all(), 0, "a configuration is good without a socket");
}

/* ---------------------------------------------------------------- differences */

struct seen {
	unsigned n;
	char key[4][32], before[4][64], after[4][64];
	bool applies[4];
};

static void take(void *arg, const char *key, const char *before, const char *after, bool applies)
{
	struct seen *seen = arg;

	if (seen->n == 4)
		return;
	snprintf(seen->key[seen->n], 32, "%s", key);
	snprintf(seen->before[seen->n], 64, "%s", before);
	snprintf(seen->after[seen->n], 64, "%s", after);
	seen->applies[seen->n++] = applies;
}

Test(options, differences)
{
	struct options after;
	struct seen seen = {0};

	PARSE("--socket=/tmp/s");
	cr_assert_eq(read_all(), 0);
	after = options;
	options_diff(&options, &after, take, &seen);
	cr_assert_eq(seen.n, 0);
	after.backing.size = 1536u << 20;
	after.log_level = LOG_LEVEL_ERROR;
	options_diff(&options, &after, take, &seen);
	cr_assert_eq(seen.n, 2);
	cr_assert_str_eq(seen.key[0], "size");
	cr_assert_str_eq(seen.before[0], "1G");
	cr_assert_str_eq(seen.after[0], "1536M");
	cr_assert_not(seen.applies[0]);
	cr_assert_str_eq(seen.key[1], "log-level");
	cr_assert_str_eq(seen.after[1], "error");
	cr_assert(seen.applies[1]);
}

Test(options, files_for_every_client)
{
	options.backing.max_clients = 4096;
	cr_assert_geq(options_files(&options), 2 * 4096);
}
