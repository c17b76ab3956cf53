/* The client table: who is attached, resumes, lingers, and whose id is free again. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/pool_suite.h"

static struct result result;

static void set_up(void)
{
	pool_fixture_open(&f, 4 * MIB);
}

TestSuite(clients, .init = set_up, .fini = pool_suite_close);

static struct peer myself(void)
{
	return (struct peer){
		.pid = getpid(),
		.uid = getuid(),
		.start_time = clients_start_time(getpid()),
		.image = 1,
		.comm = "fake",
	};
}

static void expect(int got, int status, const char *words)
{
	cr_assert_eq(got, status, "%d: %s", got, result.why);
	cr_assert_eq(result.status, status);
	cr_assert_not_null(strstr(result.why, words), "\"%s\" does not say %s", result.why, words);
}

Test(clients, attach)
{
	uint32_t id = pool_fixture_attach(&f);
	const struct client_record *record = clients_record(f.pool, id);

	cr_assert_geq(id, PARTY_FIRST);
	cr_assert(clients_is_attached(f.pool, id));
	cr_assert_not(clients_is_tomb(f.pool, id));
	cr_assert_eq(f.pool->clients_attached, 1);
	cr_assert_eq(record->pid, getpid());
	cr_assert_eq(record->threads, 1);
	cr_assert_str_eq(record->comm, "fake");
	cr_assert(record->token_high || record->token_low);
}

Test(clients, any_word_is_a_good_question)
{
	const uint32_t words[] = {0, PARTY_DAEMON, 16, 17, 18, 19, PARTY_MAX, UINT32_MAX};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		cr_assert_not(clients_is_attached(f.pool, words[i]));
		cr_assert_not(clients_is_tomb(f.pool, words[i]));
	}
}

Test(clients, an_unterminated_name_ends)
{
	struct peer peer = myself();
	uint32_t id;

	memset(peer.comm, 'x', sizeof(peer.comm));
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
	cr_assert_eq(strlen(clients_record(f.pool, id)->comm), 15);
}

Test(clients, as_many_as_max_clients)
{
	struct peer peer = myself();
	uint32_t id, last = 0;

	for (uint32_t i = 0; i < 16; i++) {
		cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0, "%s", result.why);
		cr_assert_neq(id, last);
		last = id;
	}
	expect(clients_attach(f.pool, &peer, &id, &result), -ENOSPC, "max-clients");
	cr_assert_not_null(strstr(result.why, "16"));
	pool_fixture_kill(&f, 9);
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
	cr_assert_eq(id, 9);
}

Test(clients, as_many_of_one_user_as_allowed)
{
	struct peer peer = myself();
	uint32_t id;

	f.pool->max_clients_per_uid = 3;
	for (int i = 0; i < 3; i++)
		cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
	expect(clients_attach(f.pool, &peer, &id, &result), -ENOSPC, "max-clients-per-user");
	peer.uid++;
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0, "another user");
	clients_linger(f.pool, 2);
	peer.uid--;
	expect(clients_attach(f.pool, &peer, &id, &result), -ENOSPC, "3 clients");
	pool_fixture_kill(&f, 2);
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
}

/* An id rests as long as can be, so that a stale word seldom names somebody else. */
Test(clients, ids_are_used_in_turn)
{
	struct peer peer = myself();
	uint32_t id, before = 0;

	for (int i = 0; i < 16; i++) {
		cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
		cr_assert_gt(id, before);
		before = id;
		pool_fixture_kill(&f, id);
	}
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
	cr_assert_eq(id, PARTY_FIRST);
}

Test(clients, resume)
{
	struct peer peer = myself(), other;
	struct client_record *record;
	uint64_t high, low;
	uint32_t id;

	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
	record = clients_record(f.pool, id);
	high = record->token_high;
	low = record->token_low;
	clients_linger(f.pool, id);
	cr_assert_eq(record->state, CLIENT_LINGERING);
	cr_assert(clients_is_attached(f.pool, id));
	expect(clients_resume(f.pool, id, high, low + 1, &peer, &result), -EACCES, "token");
	expect(clients_resume(f.pool, id, high + 1, low, &peer, &result), -EACCES, "token");
	other = peer;
	other.image++;
	expect(clients_resume(f.pool, id, high, low, &other, &result), -EACCES, "image");
	other = peer;
	other.pid++;
	expect(clients_resume(f.pool, id, high, low, &other, &result), -EACCES, "process");
	other = peer;
	other.start_time++;
	expect(clients_resume(f.pool, id, high, low, &other, &result), -EACCES, "process");
	cr_assert_eq(record->state, CLIENT_LINGERING);
	cr_assert_eq(clients_resume(f.pool, id, high, low, &peer, &result), 0);
	cr_assert_eq(record->state, CLIENT_ATTACHED);
	pool_fixture_kill(&f, id);
	expect(clients_resume(f.pool, id, high, low, &peer, &result), -ESTALE, "attach again");
	expect(clients_resume(f.pool, UINT32_MAX, high, low, &peer, &result), -ESTALE, "attach");
	expect(clients_resume(f.pool, PARTY_DAEMON, 0, 0, &peer, &result), -ESTALE, "attach");
}

Test(clients, all_linger_after_a_restart)
{
	uint32_t id = pool_fixture_attach(&f);

	pool_fixture_restart(&f);
	cr_assert_eq(f.pool->clients_attached, 1);
	cr_assert_eq(clients_record(f.pool, id)->state, CLIENT_LINGERING);
	cr_assert_eq(f.pool->restarts, 1);
}

Test(clients, who_died_meanwhile_is_found)
{
	uint32_t gone = pool_fixture_attach_gone(&f), here = pool_fixture_attach(&f);

	pool_fixture_restart(&f);
	pool_fixture_run(&f);
	cr_assert_not(clients_is_attached(f.pool, gone));
	cr_assert(clients_is_attached(f.pool, here));
	cr_assert_eq(f.pool->clients_attached, 1);
}

/* The pid is in use again, by another process. */
Test(clients, a_pid_used_again_is_another)
{
	struct peer peer = myself();
	uint32_t id;

	peer.start_time++;
	cr_assert_eq(clients_attach(f.pool, &peer, &id, &result), 0);
	pool_fixture_restart(&f);
	pool_fixture_run(&f);
	cr_assert_not(clients_is_attached(f.pool, id));
}

static void count_result(void *arg, const struct result *got)
{
	*(int *)arg += got->status == 0;
}

Test(clients, death_is_told_once)
{
	uint32_t id = pool_fixture_attach(&f);
	int told = 0;

	clients_died(f.pool, id, count_result, &told);
	cr_assert_eq(clients_record(f.pool, id)->state, CLIENT_DYING);
	cr_assert_eq(f.pool->clients_attached, 0);
	clients_died(f.pool, id, NULL, NULL);
	clients_died(f.pool, PARTY_MAX, NULL, NULL);
	pool_fixture_run(&f);
	cr_assert_eq(told, 1);
	cr_assert_eq(clients_record(f.pool, id)->state, CLIENT_FREE);
	clients_died(f.pool, id, count_result, &told);
	cr_assert_eq(told, 2, "who is gone already has nothing to wait for");
}

/* The session that asked for a detach ended before the job did. */
Test(clients, a_waiter_that_left_is_not_told)
{
	uint32_t id = pool_fixture_attach(&f);
	int told = 0;

	clients_died(f.pool, id, count_result, &told);
	job_forget(f.pool, &told);
	pool_fixture_run(&f);
	cr_assert_eq(told, 0);
	cr_assert_eq(clients_record(f.pool, id)->state, CLIENT_FREE);
}

Test(clients, linger_only_from_attached)
{
	uint32_t id = pool_fixture_attach(&f);

	pool_fixture_kill(&f, id);
	clients_linger(f.pool, id);
	cr_assert_eq(clients_record(f.pool, id)->state, CLIENT_FREE);
	clients_linger(f.pool, UINT32_MAX);
}

Test(clients, exec_ends_the_older_image)
{
	struct peer peer = myself();
	uint32_t old, same, stranger;

	cr_assert_eq(clients_attach(f.pool, &peer, &old, &result), 0);
	peer.image = 2;
	cr_assert_eq(clients_attach(f.pool, &peer, &same, &result), 0);
	peer.pid++;
	peer.image = 1;
	cr_assert_eq(clients_attach(f.pool, &peer, &stranger, &result), 0);
	peer.pid--;
	peer.image = 2;
	clients_exec(f.pool, &peer);
	pool_fixture_run(&f);
	cr_assert_not(clients_is_attached(f.pool, old));
	cr_assert(clients_is_attached(f.pool, same));
	cr_assert(clients_is_attached(f.pool, stranger));
}

static void count_one(void *arg, uint32_t id, int32_t pid)
{
	*(uint32_t *)arg += id + (uint32_t)(pid - getpid());
}

Test(clients, each_sees_attached_and_lingering)
{
	uint32_t a = pool_fixture_attach(&f), b = pool_fixture_attach(&f), sum = 0;

	clients_linger(f.pool, b);
	pool_fixture_kill(&f, pool_fixture_attach(&f));
	clients_each(f.pool, count_one, &sum);
	cr_assert_eq(sum, a + b);
}

Test(clients, start_time)
{
	int pipes[2];
	char byte = 0;
	pid_t child;

	cr_assert_gt(clients_start_time(getpid()), 0);
	cr_assert_eq(clients_start_time(0x3fffffff), 0);
	cr_assert_eq(clients_start_time(0), 0);
	cr_assert_eq(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) < 0);
	}
	cr_assert_geq(clients_start_time(child), clients_start_time(getpid()));
	close(pipes[1]);
	waitpid(child, NULL, 0);
	cr_assert_eq(clients_start_time(child), 0);
}
