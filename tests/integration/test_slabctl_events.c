/* slabctl events: what is listed, what is followed over a restart, what an odd name can't do. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <slabd/slabd.h>

#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

#define FIELDS "sequence,time_ms,kind,text,client,pid,comm,cache,magazines,objects,orphans"

TestSuite(slabctl_events, .init = ctl_slabd_start, .fini = ctl_slabd_stop, .timeout = 100);

/* The next line as an object; NULL: that was all. */
static json_t *next_line(const char **at)
{
	const char *end = strchr(*at, '\n');
	json_error_t error;
	json_t *line;

	if (!end)
		return NULL;
	line = json_loadb(*at, (size_t)(end - *at), 0, &error);
	cr_assert_not_null(line, "%s: %s", error.text, *at);
	ctl_fields(line, FIELDS);
	*at = end + 1;
	return line;
}

/* The first event of a kind that slabctl lists, waited for. */
static json_t *expect(const char *kind)
{
	for (unsigned tries = 0; tries < 5000; tries++) {
		const struct ctl_run *run = ctl("events", "--json", NULL);
		const char *at = run->out;
		json_t *line;

		cr_assert_eq(run->code, 0, "%s", run->error);
		while ((line = next_line(&at))) {
			if (strcmp(ctl_text(line, "kind"), kind) == 0)
				return line;
			json_decref(line);
		}
	}
	cr_assert_fail("no event %s", kind);
	return NULL;
}

/* A client with 3 objects that dies. */
static pid_t lose_client(const char *comm)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 100};
	struct slabd_cache *cache;
	struct slabd *pool;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NAME, comm);
		if (slabd_attach(&pool, NULL) < 0 ||
		    slabd_cache_create(pool, "lost", &args, &cache) < 0)
			_exit(1);
		for (unsigned i = 0; i < 3; i++)
			if (!slabd_alloc(cache, 0))
				_exit(2);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	return pid;
}

Test(slabctl_events, of_a_client_that_dies)
{
	pid_t pid = lose_client("odd\033[31m");
	json_t *event = expect("client-reclaimed");
	const struct ctl_run *run;

	cr_assert_eq(ctl_count(event, "pid"), pid);
	cr_assert_str_eq(ctl_text(event, "comm"), "odd?[31m");
	cr_assert_eq(ctl_count(event, "orphans"), 3);
	cr_assert_geq(ctl_count(event, "magazines"), 1);
	json_decref(event);
	event = expect("cache-created");
	cr_assert_str_eq(ctl_text(event, "cache"), "lost");
	json_decref(event);
	json_decref(expect("client-attached"));
	json_decref(expect("client-died"));
	json_decref(expect("started"));
	run = ctl("events", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->out, "3 are orphans (pid "), "%s", run->out);
	cr_assert_null(strchr(run->out, '\033'));
}

/* The worker is killed under a follower, which learns of its successor. */
Test(slabctl_events, are_followed_over_a_restart)
{
	struct ctl_follow follow;
	const char *first, *second;

	cr_assert_eq(ctl("create", "a", "--size=64", NULL)->code, 0);
	ctl_follow_start(&follow, "events", "--follow", "--json", NULL);
	ctl_follow_until(&follow, "\"cache-created\"");
	ctl_daemon_kill_worker(&ctl_slabd);
	ctl_follow_until(&follow, "\"worker-restarted\"");
	cr_assert_eq(ctl("destroy", "a", "--yes", NULL)->code, 0);
	ctl_follow_until(&follow, "\"cache-destroyed\"");
	ctl_follow_stop(&follow);
	first = strstr(follow.out, "\"worker-restarted\"");
	second = strstr(follow.out, "\"cache-destroyed\"");
	cr_assert(first && second && first < second);
	cr_assert_null(strstr(first + 1, "\"worker-restarted\"")); /* each once */
	cr_assert_null(strstr(strstr(follow.out, "\"cache-created\"") + 1, "\"cache-created\""));
	cr_assert_not_null(strstr(follow.error, "going on"), "%s", follow.error);
	cr_assert_not_null(strstr(follow.error, "answers again"), "%s", follow.error);
}

/* Another slabd counts from the beginning again. */
Test(slabctl_events, are_followed_to_another_slabd)
{
	struct ctl_follow follow;

	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(ctl("create", "a", "--size=64", NULL)->code, 0);
		cr_assert_eq(ctl("destroy", "a", "--yes", NULL)->code, 0);
	}
	ctl_follow_start(&follow, "events", "-f", NULL);
	ctl_follow_until(&follow, "cache \"a\" destroyed");
	ctl_slabd_stop();
	ctl_slabd_start();
	cr_assert_eq(ctl("create", "b", "--size=64", NULL)->code, 0);
	ctl_follow_until(&follow, "cache \"b\" created");
	ctl_follow_stop(&follow);
	cr_assert_not_null(strstr(strstr(follow.out, "slabd serves") + 1, "slabd serves"));
}

Test(slabctl_events, narrow)
{
	const struct ctl_run *run;

	setenv("NO_COLOR", "1", 1);
	ctl_terminal_columns = 40;
	run = ctl_on_terminal(NULL, "events", NULL);
	ctl_terminal_columns = 0;
	cr_assert_eq(run->code, 0);
	cr_assert_eq(strspn(run->out, "0123456789:"), 8, "%s", run->out); /* no date */
}

/* Whose pid it is, once. */
Test(slabctl_events, names_a_client_once)
{
	struct slabd *slabd;
	char *line;

	cr_assert_eq(slabd_attach(&slabd, NULL), 0, "%s", slabd_error());
	line = strstr(ctl("events", NULL)->out, "attached: pid ");
	cr_assert_not_null(line);
	*strchr(line, '\n') = 0;
	cr_assert_null(strstr(line + strlen("attached: pid "), "pid "), "%s", line);
	cr_assert_not_null(strchr(line, '('));
	slabd_detach(slabd);
}
