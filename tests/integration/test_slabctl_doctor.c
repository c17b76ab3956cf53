/* slabctl doctor: each thing that can be wrong, with the command that mends it, and the exit code. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "proto/version.h"
#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

static void set_up(void)
{
	static const char *const options[] = {"--size", "64M",		"--hugepages=never",
					      "--set",	"max-caches=2", NULL};

	ctl_daemon_start(&ctl_slabd, options);
}

TestSuite(slabctl_doctor, .init = set_up, .fini = ctl_slabd_stop, .timeout = 100);
TestSuite(slabctl_doctor_alone, .timeout = 100);

/* Asks with --json; the exit code must say the same as the document. */
static json_t *diagnose(int code)
{
	const struct ctl_run *run = ctl("doctor", "--json", NULL);
	json_error_t error;
	json_t *document = json_loads(run->out, 0, &error);

	cr_assert_eq(run->code, code, "exit code %d: %s%s", run->code, run->out, run->error);
	cr_assert_str_empty(run->error);
	cr_assert_not_null(document, "%s", run->out);
	ctl_fields(document, "healthy,findings");
	cr_assert_eq(json_is_true(json_object_get(document, "healthy")), code == 0);
	return document;
}

static const json_t *finding(const json_t *document, const char *what)
{
	json_t *list = json_object_get(document, "findings"), *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		ctl_fields(row, "verdict,what,text,command");
		if (strcmp(ctl_text(row, "what"), what) == 0)
			return row;
	}
	cr_assert_fail("nothing about %s", what);
	return NULL;
}

static void assert_finding(const json_t *document, const char *what, const char *verdict,
			   const char *text, const char *command)
{
	const json_t *row = finding(document, what);

	cr_assert_str_eq(ctl_text(row, "verdict"), verdict, "%s: %s", what, ctl_text(row, "text"));
	cr_assert_not_null(strstr(ctl_text(row, "text"), text), "%s", ctl_text(row, "text"));
	cr_assert_not_null(strstr(ctl_text(row, "command"), command), "%s: %s", what,
			   ctl_text(row, "command"));
}

Test(slabctl_doctor, all_is_well)
{
	json_t *found = diagnose(0);
	const struct ctl_run *run;

	assert_finding(found, "kernel", "ok", "Linux ", "");
	assert_finding(found, "socket", "ok", ctl_slabd.socket, "");
	assert_finding(found, "socket", "ok", "mode 0660", "");
	assert_finding(found, "daemon", "ok", SLABD_VERSION_STRING, "");
	assert_finding(found, "hugepages", "note", "hugepages=never", "slabd --hugepages=prefer");
	assert_finding(found, "segment", "ok", "", "");
	assert_finding(found, "restarts", "ok", "never", "");
	assert_finding(found, "heap", "ok", "of 64 MiB", "");
	assert_finding(found, "caches", "ok", "0 of 2", "");
	assert_finding(found, "clients", "ok", "0 of 4096", "");
	assert_finding(found, "orphans", "ok", "none", "");
	finding(found, "files");
	finding(found, "memory");
	json_decref(found);
	run = ctl("doctor", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->out, "ok    kernel     Linux "), "%s", run->out);
	cr_assert_not_null(strstr(run->out, "\n                 slabd --hugepages=prefer\n"));
	cr_assert_null(strchr(run->out, '\033'));
}

Test(slabctl_doctor, limits_are_near)
{
	json_t *found;

	cr_assert_eq(ctl("create", "a", "--size=64", NULL)->code, 0);
	cr_assert_eq(ctl("create", "b", "--size=64", NULL)->code, 0);
	found = diagnose(0);
	assert_finding(found, "caches", "note", "2 of 2", "max-caches");
	json_decref(found);
}

Test(slabctl_doctor, orphans)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 64};
	struct slabd_cache *cache;
	struct slabd *pool;
	json_t *found;

	cr_assert_eq(slabd_attach(&pool, NULL), 0);
	cr_assert_eq(slabd_cache_create(pool, "a", &args, &cache), 0);
	cr_assert_not_null(slabd_alloc(cache, 0));
	slabd_detach(pool);
	found = diagnose(0);
	assert_finding(found, "orphans", "note", "1 objects", "slabctl orphans --free");
	json_decref(found);
}

Test(slabctl_doctor, worker_dies_again_and_again)
{
	json_t *found;

	ctl_daemon_kill_worker(&ctl_slabd);
	found = diagnose(0);
	assert_finding(found, "restarts", "note", "restarted 1 time in", "slabctl events");
	json_decref(found);
	ctl_daemon_kill_worker(&ctl_slabd);
	ctl_daemon_kill_worker(&ctl_slabd);
	found = diagnose(1);
	assert_finding(found, "restarts", "FAIL", "3 times", "slabctl events");
	json_decref(found);
}

Test(slabctl_doctor, stopped)
{
	char command[64];
	json_t *found;

	setenv("SLABD_TIMEOUT_MS", "300", 1);
	ctl_daemon_freeze(&ctl_slabd, true);
	snprintf(command, sizeof(command), "kill -CONT %d ", ctl_slabd.pid);
	found = diagnose(1);
	assert_finding(found, "daemon", "FAIL", "is stopped", command);
	json_decref(found);
	ctl_daemon_freeze(&ctl_slabd, false);
}

Test(slabctl_doctor, socket_of_somebody_else)
{
	json_t *found;

	cr_assert_eq(chmod(ctl_slabd.socket, 0), 0);
	found = diagnose(1);
	assert_finding(found, "socket", "FAIL", "mode 0000", "chmod g+rw ");
	json_decref(found);
	cr_assert_eq(chmod(ctl_slabd.socket, 0060), 0);
	found = diagnose(1);
	assert_finding(found, "socket", "FAIL", "mode 0060", "usermod -aG ");
	assert_finding(found, "daemon", "FAIL", ctl_slabd.socket, "");
	json_decref(found);
	cr_assert_eq(chmod(ctl_slabd.socket, 0660), 0);
}

/* ---------------------------------------------------------------- without a slabd */

static char path[128];

static void elsewhere(void)
{
	snprintf(path, sizeof(path), "%s/none-%d.sock", getenv("TMPDIR"), getpid());
	setenv("SLABD_ADDRESS", path, 1);
}

Test(slabctl_doctor_alone, nobody_there, .init = elsewhere)
{
	json_t *found = diagnose(1);

	assert_finding(found, "kernel", "ok", "Linux ", "");
	assert_finding(found, "socket", "FAIL", path, "slabd --socket ");
	assert_finding(found, "daemon", "FAIL", path, "slabd --socket ");
	assert_finding(found, "hugepages",
		       strcmp(ctl_text(finding(found, "hugepages"), "verdict"), "ok") == 0 ? "ok"
											   : "note",
		       "512 are needed", "");
	finding(found, "memory");
	finding(found, "files");
	json_decref(found);
	cr_assert_eq(ctl("doctor", NULL)->code, 1);
}

Test(slabctl_doctor_alone, no_socket_but_a_file, .init = elsewhere)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	json_t *found;

	cr_assert_geq(fd, 0);
	close(fd);
	found = diagnose(1);
	assert_finding(found, "socket", "FAIL", "is no socket", "--address");
	json_decref(found);
	unlink(path);
}

/* The lock of a slabd that is gone names a pid that may be anybody's by now. */
Test(slabctl_doctor_alone, what_a_dead_slabd_left, .init = elsewhere)
{
	char name[160];
	json_t *found;
	FILE *lock;

	snprintf(name, sizeof(name), "%s.lock", path);
	lock = fopen(name, "w");
	cr_assert_not_null(lock);
	fprintf(lock, "%d\n", getpid());
	fclose(lock);
	found = diagnose(1);
	assert_finding(found, "daemon", "FAIL", path, "slabd --socket ");
	json_decref(found);
	unlink(name);
}
