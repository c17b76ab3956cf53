/* Peers that misbehave: they are cut off, and nobody else feels it. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/support/attached.h"
#include "tests/support/clock.h"
#include "tests/support/wire.h"

#define PATIENCE_MS 20000

static struct slabd_cache *cache;
static pid_t worker;

static void set_up(void)
{
	attached_start();
	cache = cache_of(slabd, "thing", 64, 0);
	worker = daemon_worker(&d);
}

/* The others: everything works, by the same worker. */
static void expect_all_well(void)
{
	void *objects[2000];
	struct slabd_cache *another;

	MUST(slabd_alloc_bulk(cache, 0, 2000, objects) == 2000);
	slabd_free_bulk(cache, 2000, objects);
	MUST(slabd_cache_shrink(cache) == 0);
	another = cache_of(slabd, "another", 10, 0);
	MUST(slabd_cache_destroy(another) == 0);
	MUST(daemon_worker(&d) == worker);
	MUST(!daemon_stats(&d).damaged);
}

static void tear_down(void)
{
	expect_all_well();
	attached_stop();
}

TestSuite(peers, .init = set_up, .fini = tear_down, .timeout = 100);

static int dial(void)
{
	int fd = wire_connect(d.socket);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	return fd;
}

/* Connected, greeted as an observer. */
static int dial_and_greet(void)
{
	int fd = dial();

	cr_assert_eq(wire_greet(fd), 0);
	return fd;
}

static void expect_cut_off(int fd, const char *why)
{
	char text[200];

	cr_assert_eq(wire_wait_end(fd, PATIENCE_MS), 0, "still connected: %s", why);
	close(fd);
	snprintf(text, sizeof(text), "warning: pid %d, uid %u: %s; its connection ends\n",
		 (int)getpid(), geteuid(), why);
	cr_assert(daemon_logged(&d, text), "not logged: %s", text);
}

static void send_bytes(int fd, const void *bytes, size_t n)
{
	cr_assert_eq(packet_send(fd, bytes, n, NULL, 0, true), 0);
}

/* ---------------------------------------------------------------- silence */

/* One that connects and says nothing: the others are served, and after a while it is dropped. */
Test(peers, silent)
{
	int fd = dial();
	char text[120];

	expect_all_well();
	cr_assert_eq(wire_wait_end(fd, PATIENCE_MS), 0);
	close(fd);
	snprintf(text, sizeof(text), "pid %d, uid %u: said nothing for %d s; its connection ends",
		 (int)getpid(), geteuid(), LIMIT_HELLO_SECONDS);
	cr_assert(daemon_logged(&d, text));
}

/* Many of them keep nobody out: the oldest makes room. */
Test(peers, many_silent)
{
	enum { MANY = LIMIT_SILENT_PER_UID + 30 };
	int fds[MANY];

	for (unsigned i = 0; i < MANY; i++)
		fds[i] = dial();
	expect_all_well();
	for (unsigned i = 0; i < 30; i++)
		cr_assert_eq(wire_wait_end(fds[i], PATIENCE_MS), 0, "%u", i);
	cr_assert(daemon_logged(&d, "connections that say nothing; the oldest ends (pid "));
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
}

/* Many that come and go at once. */
Test(peers, come_and_go)
{
	for (unsigned i = 0; i < 3000; i++)
		close(dial());
}

/* ---------------------------------------------------------------- packets */

Test(peers, garbage_first)
{
	static const char garbage[] = "GET / HTTP/1.1\r\n\r\n";
	int fd = dial();

	send_bytes(fd, garbage, sizeof(garbage));
	expect_cut_off(fd, "a packet that is no request");
}

Test(peers, garbage_later)
{
	int fd = dial_and_greet();
	uint8_t bytes[100];

	memset(bytes, 0xff, sizeof(bytes));
	send_bytes(fd, bytes, sizeof(bytes));
	expect_cut_off(fd, "a packet that is no request");
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Whatever the bytes, it is an answer or the end. */
Test(peers, random_packets)
{
	static uint8_t bytes[3000];

	for (unsigned i = 0; i < 2000; i++) {
		int fd = i % 2 ? dial() : dial_and_greet();
		size_t n = 1 + next_random() % (i % 10 ? 60 : sizeof(bytes));

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)next_random();
		if (i % 3 == 0) /* the beginning of a request */
			bytes[0] = 0x08;
		send_bytes(fd, bytes, n);
		close(fd);
	}
}

/* One bit of a good request is another. */
Test(peers, requests_with_a_bit_turned)
{
	Slabd__CacheCreate create = SLABD__CACHE_CREATE__INIT;
	Slabd__Request request = SLABD__REQUEST__INIT;
	uint8_t good[200], bad[200];
	size_t n;

	create.name = (char *)(uintptr_t) "by-wire";
	create.object_size = 64;
	create.align = 8;
	create.magazine = 20;
	request.sequence = 2;
	request.verb_case = SLABD__REQUEST__VERB_CACHE_CREATE;
	request.cache_create = &create;
	n = slabd__request__pack(&request, good);
	for (size_t bit = 0; bit < n * 8; bit++) {
		int fd = dial_and_greet();
		static struct wire_reply reply;

		memcpy(bad, good, n);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		send_bytes(fd, bad, n);
		if (wire_receive(fd, &reply, PATIENCE_MS) == 0)
			cr_assert_leq(reply.reply->status, 0);
		close(fd);
	}
}

Test(peers, empty_packet)
{
	int fd = dial_and_greet();

	cr_assert_eq(send(fd, "", 0, 0), 0);
	expect_cut_off(fd, "an empty or over-long packet, or one with descriptors");
	fd = dial();
	cr_assert_eq(send(fd, "", 0, 0), 0);
	expect_cut_off(fd, "an empty or over-long packet, or one with descriptors");
}

Test(peers, long_packet)
{
	static char bytes[PROTO_PACKET_MAX + 1];
	int fd = dial_and_greet();

	send_bytes(fd, bytes, sizeof(bytes));
	expect_cut_off(fd, "an empty or over-long packet, or one with descriptors");
	fd = dial_and_greet();
	send_bytes(fd, bytes, sizeof(bytes) - 1);
	expect_cut_off(fd, "a packet that is no request");
}

/* ---------------------------------------------------------------- descriptors */

static unsigned files_of(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	cr_assert(dir, "%s: %s", path, strerror(errno));
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static bool has_files(const struct daemon_fixture *daemon, const void *arg)
{
	(void)daemon_stats(daemon);
	return files_of(worker) <= *(const unsigned *)arg + 1;
}

static size_t pack_hello(uint8_t *bytes)
{
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Hello hello;

	wire_hello(&hello);
	request.sequence = 1;
	request.verb_case = SLABD__REQUEST__VERB_HELLO;
	request.hello = &hello;
	return slabd__request__pack(&request, bytes);
}

/* What comes unasked is closed. */
Test(peers, descriptors)
{
	const int fds[3] = {0, 1, 2};
	uint8_t bytes[200];
	size_t n = pack_hello(bytes);
	unsigned before = files_of(worker);
	int fd;

	for (unsigned i = 0; i < 30; i++) {
		fd = dial();
		cr_assert_eq(packet_send(fd, bytes, n, fds, 3, true), 0);
		cr_assert_eq(wire_wait_end(fd, PATIENCE_MS), 0, "three with a hello");
		close(fd);
		fd = dial_and_greet();
		cr_assert_eq(packet_send(fd, bytes, n, fds, 1, true), 0);
		cr_assert_eq(wire_wait_end(fd, PATIENCE_MS), 0, "one after the hello");
		close(fd);
		fd = dial(); /* one with an observer's hello is of no use, and harmless */
		cr_assert_eq(packet_send(fd, bytes, n, fds, 1, true), 0);
		close(fd);
		fd = dial(); /* one that is on its way when the sender goes */
		cr_assert_eq(packet_send(fd, bytes, n, fds, 2, true), 0);
		close(fd);
	}
	DAEMON_UNTIL(&d, has_files, &before);
}

/* ---------------------------------------------------------------- out of turn */

static void stats_request(Slabd__Request *request, uint64_t sequence)
{
	static Slabd__Stats stats = SLABD__STATS__INIT;

	*request = (Slabd__Request)SLABD__REQUEST__INIT;
	request->sequence = sequence;
	request->verb_case = SLABD__REQUEST__VERB_STATS;
	request->stats = &stats;
}

Test(peers, out_of_turn)
{
	Slabd__Request request;
	Slabd__Doorbell bell = SLABD__DOORBELL__INIT;
	uint8_t bytes[200];
	int fd;

	stats_request(&request, 1);
	fd = dial();
	cr_assert_eq(wire_send(fd, &request), 0);
	expect_cut_off(fd, "its first message is no hello");

	fd = dial_and_greet();
	send_bytes(fd, bytes, pack_hello(bytes));
	expect_cut_off(fd, "it said hello twice");

	fd = dial_and_greet();
	stats_request(&request, 0);
	cr_assert_eq(wire_send(fd, &request), 0);
	expect_cut_off(fd, "its request has a wrong sequence number");

	fd = dial_and_greet();
	request.verb_case = SLABD__REQUEST__VERB_DOORBELL;
	request.doorbell = &bell;
	request.sequence = 3;
	cr_assert_eq(wire_send(fd, &request), 0);
	expect_cut_off(fd, "its request has a wrong sequence number");

	fd = dial_and_greet();
	request = (Slabd__Request)SLABD__REQUEST__INIT;
	request.sequence = 2;
	cr_assert_eq(wire_send(fd, &request), 0);
	expect_cut_off(fd, "its request has no verb that slabd knows");
}

/* An observer has no memory and may not ask for it. */
Test(peers, observer_that_asks_as_a_client)
{
	static struct wire_reply reply;
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Refill refill = SLABD__REFILL__INIT;
	Slabd__CacheOpen open = SLABD__CACHE_OPEN__INIT;
	int fd = dial_and_greet();

	refill.id = 1;
	refill.objects = 100;
	request.sequence = 2;
	request.verb_case = SLABD__REQUEST__VERB_REFILL;
	request.refill = &refill;
	cr_assert_eq(wire_send(fd, &request), 0);
	cr_assert_eq(wire_receive(fd, &reply, PATIENCE_MS), 0);
	cr_assert_eq(reply.reply->sequence, 2);
	cr_assert_eq(reply.reply->status, -EPERM);
	cr_assert_str_eq(reply.reply->error, "refill is for attached clients, not for observers");
	open.name = (char *)(uintptr_t) "thing";
	request.sequence = 3;
	request.verb_case = SLABD__REQUEST__VERB_CACHE_OPEN;
	request.cache_open = &open;
	cr_assert_eq(wire_send(fd, &request), 0);
	cr_assert_eq(wire_receive(fd, &reply, PATIENCE_MS), 0);
	cr_assert_eq(reply.reply->status, -EPERM);
	close(fd);
}

/* ---------------------------------------------------------------- clients by hand */

/* Says hello as a client: the answer.  pidfd -1: none is sent. */
static const Slabd__Reply *hello_as(int fd, const Slabd__Hello *like, int pidfd)
{
	static struct wire_reply reply;
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Hello hello = *like;
	uint8_t bytes[300];
	size_t n;

	hello.observer = false;
	request.sequence = 1;
	request.verb_case = SLABD__REQUEST__VERB_HELLO;
	request.hello = &hello;
	n = slabd__request__pack(&request, bytes);
	if (packet_send(fd, bytes, n, &pidfd, pidfd >= 0, true) < 0 ||
	    wire_receive(fd, &reply, PATIENCE_MS) < 0)
		return NULL;
	return reply.reply;
}

struct forged {
	Slabd__Hello hello;
	int status;
};

/* In a child: tries to go on as somebody else's client. */
static void resume_as(void *arg)
{
	struct forged *forged = arg;
	int fd = wire_connect(d.socket), pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	const Slabd__Reply *reply;

	CHECK(fd >= 0 && pidfd >= 0);
	reply = hello_as(fd, &forged->hello, pidfd);
	CHECK(reply && reply->status == forged->status);
	CHECK(wire_wait_end(fd, PATIENCE_MS) == 0);
}

static void resume_in_vain(struct forged *forged, int pidfd, const char *sentence)
{
	int fd = dial();
	const Slabd__Reply *reply = hello_as(fd, &forged->hello, pidfd);

	cr_assert(reply);
	cr_assert_eq(reply->status, forged->status, "%s", reply->error);
	cr_assert_str_eq(reply->error, sentence);
	cr_assert_eq(wire_wait_end(fd, PATIENCE_MS), 0);
	close(fd);
}

/* A resume is accepted with the token, and from the process and the image that said hello. */
Test(peers, resume_of_anothers_client)
{
	int fd = dial(), pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct forged forged = {.status = -EACCES}, changed;
	const Slabd__Reply *reply;
	char sentence[160];
	uint32_t id;

	slabd_detach(slabd); /* another image of this process would be the end of it */
	wire_hello(&forged.hello);
	forged.hello.image = 4711;
	reply = hello_as(fd, &forged.hello, pidfd);
	cr_assert(reply);
	cr_assert_eq(reply->status, 0, "%s", reply->error);
	id = reply->welcome->client_id;
	forged.hello.resume_id = id;
	forged.hello.token_high = reply->welcome->token_high;
	forged.hello.token_low = reply->welcome->token_low;
	forged.hello.segment_high = reply->welcome->segment_high;
	forged.hello.segment_low = reply->welcome->segment_low;
	snprintf(sentence, sizeof(sentence),
		 "client %u: token, process or image is not the one that said hello", id);

	cr_assert_eq(child_run(resume_as, &forged), 0, "another process");
	changed = forged;
	changed.hello.token_low ^= 1;
	resume_in_vain(&changed, pidfd, sentence);
	changed = forged;
	changed.hello.token_high ^= 1;
	resume_in_vain(&changed, pidfd, sentence);
	changed = forged;
	changed.hello.image++;
	resume_in_vain(&changed, pidfd, sentence);
	changed = forged;
	changed.hello.resume_id = id + 1;
	changed.status = -ESTALE;
	snprintf(sentence, sizeof(sentence),
		 "client %u is not attached any more; detach and attach again", id + 1);
	resume_in_vain(&changed, pidfd, sentence);
	changed.hello.resume_id = UINT32_MAX;
	snprintf(sentence, sizeof(sentence),
		 "client %u is not attached any more; detach and attach again", UINT32_MAX);
	resume_in_vain(&changed, pidfd, sentence);
	changed = forged;
	changed.hello.segment_low ^= 1;
	changed.status = -ESTALE;
	snprintf(
		sentence, sizeof(sentence),
		"this slabd has another segment than the one that client %u has mapped; detach and "
		"attach again",
		id);
	resume_in_vain(&changed, pidfd, sentence);

	close(fd);
	fd = dial();
	reply = hello_as(fd, &forged.hello, pidfd);
	cr_assert(reply);
	cr_assert_eq(reply->status, 0, "the right one may: %s", reply->error);
	cr_assert_eq(reply->welcome->client_id, id);
	close(fd);
	close(pidfd);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
}

/* The process runs another program, and somebody still holds the socket of the one before: it speaks
 * for nobody. */
Test(peers, socket_of_the_program_before)
{
	int old = dial(), fd = dial(), pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	const Slabd__Reply *reply;
	Slabd__Request request;
	Slabd__Hello hello;
	uint32_t id;

	slabd_detach(slabd);
	wire_hello(&hello);
	hello.image = 1;
	reply = hello_as(old, &hello, pidfd);
	cr_assert(reply && reply->status == 0);
	id = reply->welcome->client_id;
	hello.image = 2;
	reply = hello_as(fd, &hello, pidfd);
	cr_assert(reply && reply->status == 0);
	cr_assert_neq(reply->welcome->client_id, id);
	cr_assert_eq(daemon_stats(&d).clients, 1);
	stats_request(&request, 2);
	cr_assert_eq(wire_send(old, &request), 0);
	cr_assert_eq(wire_wait_end(old, PATIENCE_MS), 0);
	cr_assert(daemon_logged(&d, "it speaks for a client that is gone; its connection ends"));
	cr_assert_eq(wire_send(fd, &request), 0);
	cr_assert_eq(wire_wait_end(fd, 0), -ETIMEDOUT, "the new one goes on");
	close(old);
	close(fd);
	close(pidfd);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
}

Test(peers, ids_and_serials)
{
	static struct wire_reply reply;
	int fd = dial(), pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheClose close_verb = SLABD__CACHE_CLOSE__INIT;
	struct daemon_cache seen;
	Slabd__Hello hello;

	slabd_detach(slabd);
	wire_hello(&hello);
	hello.image = 1;
	cr_assert_eq(hello_as(fd, &hello, pidfd)->status, 0);
	cr_assert(daemon_cache(&d, "thing", &seen));
	request.verb_case = SLABD__REQUEST__VERB_CACHE_CLOSE;
	request.cache_close = &close_verb;
	for (unsigned i = 0; i < 6; i++) {
		static const uint32_t ids[] = {0, 1, 2, 1024, 1025, UINT32_MAX};

		request.sequence = 2 + i;
		close_verb.id = ids[i];
		close_verb.serial = ids[i] == seen.id ? seen.serial : 7;
		cr_assert_eq(wire_send(fd, &request), 0);
		cr_assert_eq(wire_receive(fd, &reply, PATIENCE_MS), 0);
		cr_assert_eq(reply.reply->status, ids[i] == seen.id ? -ENOENT : -ESTALE, "%s",
			     reply.reply->error);
	}
	close(fd);
	close(pidfd);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
}

/* A pidfd of somebody else, or what is no pidfd, is no use where the kernel tells better. */
Test(peers, pidfd_of_another)
{
	int fd = dial(), pidfd = (int)syscall(SYS_pidfd_open, getppid(), 0);
	const Slabd__Reply *reply;
	struct daemon_client seen;
	Slabd__Hello hello;

	slabd_detach(slabd);
	wire_hello(&hello);
	reply = hello_as(fd, &hello, pidfd);
	cr_assert(reply);
	if (reply->status < 0) {
		cr_assert_eq(reply->status, -EACCES);
	} else {
		cr_assert(daemon_client(&d, getpid(), &seen), "it is watched as what it is");
		cr_assert_not(daemon_client(&d, getppid(), &seen));
	}
	close(fd);
	close(pidfd);
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
}

/* ---------------------------------------------------------------- who does not read */

/* Sends until it is cut off; the others are served meanwhile. */
static void flood(int fd, Slabd__Request *request)
{
	uint8_t bytes[200];
	size_t n;
	unsigned sent = 0, waits = 0;
	int r;

	request->sequence = 2;
	n = slabd__request__pack(request, bytes);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};

		r = packet_send(fd, bytes, n, NULL, 0, false);
		sent += r == 0;
		cr_assert_lt(sent, 1000000u);
		if (r < 0 && r != -EAGAIN)
			break;
		if (r == -EAGAIN) {
			(void)daemon_stats(&d);
			cr_assert_geq(poll(&p, 1, PATIENCE_MS), 1, "after %u", sent);
			cr_assert_lt(waits++, 100000u);
		}
	}
	cr_assert(r == -EPIPE || r == -ECONNRESET, "%s", strerror(-r));
}

Test(peers, does_not_read_its_replies)
{
	Slabd__CacheList list = SLABD__CACHE_LIST__INIT;
	Slabd__Request request = SLABD__REQUEST__INIT;
	int fd = dial_and_greet();
	char text[120];

	request.verb_case = SLABD__REQUEST__VERB_CACHE_LIST;
	request.cache_list = &list;
	flood(fd, &request);
	close(fd);
	snprintf(text, sizeof(text), "pid %d, uid %u: it does not read its replies; its connection",
		 (int)getpid(), geteuid());
	cr_assert(daemon_logged(&d, text));
}

/* One that only floods, and reads, is served in turn with the others. */
static void flood_and_read(void *arg)
{
	static struct wire_reply reply;
	Slabd__Request request;
	int fd = wire_connect(d.socket);

	CHECK(fd >= 0 && wire_greet(fd) == 0);
	baton_pass(*(struct baton *)arg, 1);
	for (uint64_t i = 2;; i++) {
		stats_request(&request, i);
		CHECK(wire_send(fd, &request) == 0);
		if (i > 50)
			CHECK(wire_receive(fd, &reply, PATIENCE_MS) == 0);
	}
}

Test(peers, floods)
{
	struct baton baton = baton_make();
	pid_t pids[3];
	uint64_t start;
	unsigned served;

	for (unsigned i = 0; i < 3; i++) {
		pids[i] = child_start(flood_and_read, &baton);
		baton_take(baton);
	}
	start = now_ms();
	for (served = 0; served < 100 && now_ms() - start < 20000; served++)
		expect_all_well();
	cr_assert_geq(served, 5);
	for (unsigned i = 0; i < 3; i++)
		child_kill(pids[i]);
}
