/* slabctl against something that listens where slabd should: another version, a liar, a page turner.
 * The peer is a child with one function that makes its answers. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "proto/limits.h"
#include "proto/packet.h"
#include "proto/slabd.pb-c.h"
#include "proto/version.h"
#include "tests/support/slabctl_fixture.h"
#include "tests/support/slabctl_json.h"

TestSuite(slabctl_peers, .timeout = 100);

/* Fills the reply, or says what else to do with the connection. */
enum act { ANSWER, HANG_UP, KEEP_SILENT, GARBAGE, TOO_LONG };
typedef enum act (*answer_fn)(const Slabd__Request *request, Slabd__Reply *reply);

/* ---------------------------------------------------------------- the peer */

static pid_t peer;

static bool serve_one(int connection, answer_fn answer)
{
	static uint8_t packet[2 * PROTO_PACKET_MAX];
	ssize_t n = packet_receive(connection, packet, sizeof(packet), NULL, NULL, true);
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__Request *request;
	enum act act;
	size_t bytes;

	if (n <= 0)
		return false;
	request = slabd__request__unpack(NULL, (size_t)n, packet);
	if (!request)
		_exit(3);
	reply.sequence = request->sequence;
	act = answer(request, &reply);
	slabd__request__free_unpacked(request, NULL);
	switch (act) {
	case HANG_UP:
		return false;
	case KEEP_SILENT:
		return true;
	case GARBAGE:
		memset(packet, 0xff, sizeof(packet));
		bytes = 100;
		break;
	case TOO_LONG:
		bytes = sizeof(packet);
		break;
	default:
		bytes = slabd__reply__pack(&reply, packet);
	}
	return packet_send(connection, packet, bytes, NULL, 0, true) == 0;
}

static void __attribute__((noreturn)) serve(int listener, answer_fn answer)
{
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		while (connection >= 0 && serve_one(connection, answer))
			;
		close(connection);
	}
}

static void peer_start(answer_fn answer)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/peer-%d.sock", getenv("TMPDIR"),
		 getpid());
	unlink(name.sun_path);
	cr_assert_eq(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	cr_assert_eq(listen(listener, 5), 0);
	setenv("SLABD_ADDRESS", name.sun_path, 1);
	peer = fork();
	if (peer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener, answer);
	}
	close(listener);
}

static void peer_stop(void)
{
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}

/* Runs one verb against a peer that answers so. */
static const struct ctl_run *against(answer_fn answer, const char *verb, const char *option)
{
	const struct ctl_run *run;

	peer_start(answer);
	run = ctl(verb, option, NULL);
	peer_stop();
	return run;
}

static void assert_fails(const struct ctl_run *run, int code, const char *text)
{
	cr_assert_eq(run->code, code, "exit code %d, not %d: %s", run->code, code, run->error);
	cr_assert_not_null(strstr(run->error, text), "%s", run->error);
	cr_assert_eq(strncmp(run->error, "slabctl: ", 9), 0, "%s", run->error);
}

static bool welcome(const Slabd__Request *request, Slabd__Reply *reply)
{
	static Slabd__Welcome answer = SLABD__WELCOME__INIT;

	if (request->verb_case != SLABD__REQUEST__VERB_HELLO)
		return false;
	answer.protocol_major = PROTO_MAJOR;
	answer.version = (char *)(uintptr_t) "7.7.7";
	reply->answer_case = SLABD__REPLY__ANSWER_WELCOME;
	reply->welcome = &answer;
	return true;
}

/* ---------------------------------------------------------------- no slabd at all */

static enum act hang_up(const Slabd__Request *request, Slabd__Reply *reply)
{
	(void)request, (void)reply;
	return HANG_UP;
}

static enum act hang_up_later(const Slabd__Request *request, Slabd__Reply *reply)
{
	return welcome(request, reply) ? ANSWER : HANG_UP;
}

static enum act keep_silent(const Slabd__Request *request, Slabd__Reply *reply)
{
	(void)request, (void)reply;
	return KEEP_SILENT;
}

static enum act garbage(const Slabd__Request *request, Slabd__Reply *reply)
{
	return welcome(request, reply) ? ANSWER : GARBAGE;
}

static enum act too_long(const Slabd__Request *request, Slabd__Reply *reply)
{
	return welcome(request, reply) ? ANSWER : TOO_LONG;
}

static enum act wrong_number(const Slabd__Request *request, Slabd__Reply *reply)
{
	welcome(request, reply);
	reply->sequence++;
	return ANSWER;
}

static enum act wrong_answer(const Slabd__Request *request, Slabd__Reply *reply)
{
	Slabd__Request hello = *request;

	hello.verb_case = SLABD__REQUEST__VERB_HELLO;
	welcome(&hello, reply);
	return ANSWER;
}

Test(slabctl_peers, ends_the_connection)
{
	assert_fails(against(hang_up, "status", NULL), 5, "ended the connection");
	assert_fails(against(hang_up_later, "status", NULL), 5, "ended the connection");
	assert_fails(against(hang_up, "ping", NULL), 5, "ended the connection");
	assert_fails(against(hang_up, "ping", "--wait=1"), 5, "waited");
}

/* The first two conversations end, at the hello and at the question; the third is answered. */
static enum act worker_dies(const Slabd__Request *request, Slabd__Reply *reply)
{
	static Slabd__ClientsReply clients = SLABD__CLIENTS_REPLY__INIT;
	static int questions, hellos;

	if (request->verb_case == SLABD__REQUEST__VERB_HELLO)
		return ++hellos == 1 || !welcome(request, reply) ? HANG_UP : ANSWER;
	if (request->verb_case != SLABD__REQUEST__VERB_CLIENTS || ++questions == 1)
		return HANG_UP;
	reply->answer_case = SLABD__REPLY__ANSWER_CLIENTS;
	reply->clients = &clients;
	return ANSWER;
}

/* While a worker is replaced a question is asked again, and what changes something is not. */
Test(slabctl_peers, asks_the_next_worker)
{
	const struct ctl_run *run = against(worker_dies, "clients", NULL);

	cr_assert_eq(run->code, 0, "%s", run->error);
	assert_fails(against(worker_dies, "shrink", "--all"), 5, "ended the connection");
}

Test(slabctl_peers, says_nothing)
{
	setenv("SLABD_TIMEOUT_MS", "150", 1);
	assert_fails(against(keep_silent, "status", NULL), 8, "150 ms");
}

Test(slabctl_peers, talks_nonsense)
{
	assert_fails(against(garbage, "status", NULL), 1, "something else");
	assert_fails(against(too_long, "caches", NULL), 1, "something else");
	assert_fails(against(wrong_number, "status", NULL), 1, "something else");
	assert_fails(against(wrong_answer, "status", NULL), 1, SLABD_VERSION_STRING);
	assert_fails(against(wrong_answer, "caches", "--json"), 1, "something else");
}

/* ---------------------------------------------------------------- other versions, other errors */

static enum act refuse_version(const Slabd__Request *request, Slabd__Reply *reply)
{
	static char sentence[200];

	snprintf(sentence, sizeof(sentence), "slabd 7.7.7 speaks protocol 7.0, its peer (%s) %u.%u",
		 request->hello->version, request->hello->protocol_major,
		 request->hello->protocol_minor);
	reply->status = -EPROTO;
	reply->error = sentence;
	return ANSWER;
}

static enum act other_major(const Slabd__Request *request, Slabd__Reply *reply)
{
	welcome(request, reply);
	reply->welcome->protocol_major = 7;
	return ANSWER;
}

static int error_now;

static enum act refuse(const Slabd__Request *request, Slabd__Reply *reply)
{
	if (!welcome(request, reply))
		reply->status = error_now;
	return ANSWER;
}

Test(slabctl_peers, of_another_version)
{
	const struct ctl_run *run = against(refuse_version, "status", NULL);

	assert_fails(run, 1, "slabd 7.7.7 speaks protocol 7.0, its peer (" SLABD_VERSION_STRING);
	run = against(other_major, "ping", "--wait=20"); /* waiting would not help */
	assert_fails(run, 1, "slabd 7.7.7");
	cr_assert_not_null(strstr(run->error, SLABD_VERSION_STRING));
}

Test(slabctl_peers, each_error_has_its_exit_code)
{
	static const struct {
		int error, code;
	} errors[] = {{ENOENT, 3}, {ESRCH, 3}, {EPERM, 4},     {EACCES, 4}, {ENOMEM, 7},
		      {ENOSPC, 7}, {EBUSY, 1}, {ETIMEDOUT, 8}, {EIO, 1},    {EINVAL, 1}};

	for (unsigned i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		error_now = -errors[i].error;
		assert_fails(against(refuse, "shrink", "--all"), errors[i].code,
			     strerror(errors[i].error));
	}
}

/* ---------------------------------------------------------------- pages */

#define PAGE 512

static Slabd__CacheStats cache_items[PAGE], *cache_list[PAGE];
static char cache_names[PAGE][PROTO_NAME_MAX + 1];

/* Three pages, the first of them as full as slabd makes one. */
static enum act three_pages(const Slabd__Request *request, Slabd__Reply *reply)
{
	static Slabd__CacheListReply page = SLABD__CACHE_LIST_REPLY__INIT;
	static Slabd__StatsReply stats = SLABD__STATS_REPLY__INIT;
	uint32_t first;

	if (welcome(request, reply))
		return ANSWER;
	if (request->verb_case == SLABD__REQUEST__VERB_STATS) { /* is it damaged? */
		stats.backing = (char *)(uintptr_t) "thp";
		reply->answer_case = SLABD__REPLY__ANSWER_STATS;
		reply->stats = &stats;
		return ANSWER;
	}
	first = request->cache_list->first;
	page.n_caches = first == 0 ? PAGE : 1;
	page.next = first == 0 ? 600 : first == 600 ? 601 : 0;
	page.caches = cache_list;
	for (unsigned i = 0; i < page.n_caches; i++) {
		snprintf(cache_names[i], sizeof(cache_names[i]), "%063u", first + i);
		cache_items[i] = (Slabd__CacheStats)SLABD__CACHE_STATS__INIT;
		cache_items[i].name = cache_names[i];
		cache_items[i].id = first + i;
		cache_list[i] = &cache_items[i];
	}
	reply->answer_case = SLABD__REPLY__ANSWER_CACHES;
	reply->caches = &page;
	return ANSWER;
}

static enum act same_page_again(const Slabd__Request *request, Slabd__Reply *reply)
{
	three_pages(request, reply);
	if (reply->answer_case == SLABD__REPLY__ANSWER_CACHES)
		reply->caches->next = 1;
	return ANSWER;
}

Test(slabctl_peers, with_more_than_a_page)
{
	json_t *caches = ctl_json(against(three_pages, "caches", "--json"));

	cr_assert_eq(json_array_size(caches), PAGE + 2);
	cr_assert_eq(ctl_count(json_array_get(caches, PAGE), "id"), 600);
	cr_assert_eq(ctl_count(json_array_get(caches, PAGE + 1), "id"), 601);
	json_decref(caches);
	assert_fails(against(same_page_again, "caches", NULL), 1, "something else");
}

static bool exact_now, balanced_first;

/* Two pages, of which the second does not balance, unless balanced_first says that both do. */
static enum act audit_pages(const Slabd__Request *request, Slabd__Reply *reply)
{
	static Slabd__AuditReply page = SLABD__AUDIT_REPLY__INIT;
	static Slabd__AuditCache cache = SLABD__AUDIT_CACHE__INIT, *list = &cache;

	if (welcome(request, reply))
		return ANSWER;
	page.n_caches = 1;
	page.caches = &list;
	page.next = request->audit->first == 0 ? 2 : 0;
	page.balanced = page.next || balanced_first;
	page.exact = exact_now;
	cache.name = (char *)(uintptr_t) "a\033[2Jb";
	cache.lost = page.balanced ? 0 : 3;
	reply->answer_case = SLABD__REPLY__ANSWER_AUDIT;
	reply->audit = &page;
	return ANSWER;
}

Test(slabctl_peers, audit_is_balanced_only_if_every_page_is)
{
	const struct ctl_run *run;

	exact_now = true;
	balanced_first = false;
	assert_fails(against(audit_pages, "audit", NULL), 6, "3 objects lost");
	exact_now = false;
	assert_fails(against(audit_pages, "audit", "--json"), 1, "no verdict");
	balanced_first = true;
	run = against(audit_pages, "audit", NULL);
	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->error, "no one instant"));
	cr_assert_not_null(strstr(run->out, "a?[2Jb")); /* no escape of theirs reaches us */
}

/* ---------------------------------------------------------------- a damaged segment */

/* It lists nothing, since it can read nothing. */
static void nothing_there(const Slabd__Request *request, Slabd__Reply *reply)
{
	static Slabd__CacheListReply caches = SLABD__CACHE_LIST_REPLY__INIT;
	static Slabd__OrphansReply orphans = SLABD__ORPHANS_REPLY__INIT;
	static Slabd__AuditReply audit = SLABD__AUDIT_REPLY__INIT;

	switch (request->verb_case) {
	case SLABD__REQUEST__VERB_CACHE_LIST:
		reply->answer_case = SLABD__REPLY__ANSWER_CACHES;
		reply->caches = &caches;
		break;
	case SLABD__REQUEST__VERB_ORPHANS:
		reply->answer_case = SLABD__REPLY__ANSWER_ORPHANS;
		reply->orphans = &orphans;
		break;
	case SLABD__REQUEST__VERB_AUDIT:
		audit.exact = true;
		reply->answer_case = SLABD__REPLY__ANSWER_AUDIT;
		reply->audit = &audit;
		break;
	default:
		break;
	}
}

static enum act damaged(const Slabd__Request *request, Slabd__Reply *reply)
{
	static Slabd__StatsReply stats = SLABD__STATS_REPLY__INIT;

	nothing_there(request, reply);
	if (welcome(request, reply) || reply->answer_case)
		return ANSWER;
	stats.damaged = true;
	stats.backing = (char *)(uintptr_t) "thp";
	stats.worker_restarts = 12;
	reply->answer_case = SLABD__REPLY__ANSWER_STATS;
	reply->stats = &stats;
	return ANSWER;
}

Test(slabctl_peers, with_a_damaged_segment)
{
	const struct ctl_run *run = against(damaged, "status", NULL);

	cr_assert_eq(run->code, 0);
	cr_assert_not_null(strstr(run->error, "damaged"));
	cr_assert_not_null(strstr(run->error, "slabctl audit"));
	cr_assert_not_null(strstr(run->out, "12 worker restarts"));
	run = against(damaged, "doctor", NULL);
	cr_assert_eq(run->code, 1);
	cr_assert_not_null(strstr(run->out, "FAIL  segment    the segment is damaged"), "%s",
			   run->out);
	cr_assert_not_null(strstr(run->out, "12 times"));
	cr_assert_not_null(strstr(run->out, "7.7.7 answers, this slabctl is"));
}

/* What was read where memory is gone is no figure; it must not look like one. */
Test(slabctl_peers, with_figures_of_a_damaged_segment)
{
	static const char *const verbs[] = {"caches", "orphans"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		const struct ctl_run *run = against(damaged, verbs[i], NULL);

		cr_assert_eq(run->code, 0);
		cr_assert_not_null(strstr(run->error, "not what there is; see slabctl doctor"),
				   "%s: %s", verbs[i], run->error);
		run = against(damaged, verbs[i], "--json");
		cr_assert_not_null(strstr(run->error, "not what there is; see slabctl doctor"),
				   "%s: %s", verbs[i], run->error);
	}
	assert_fails(against(damaged, "audit", NULL), 6, "nothing can be proved");
}
