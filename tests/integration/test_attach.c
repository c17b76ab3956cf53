/* Attaching: addresses, versions, daemons that are not there or say nothing, and several of them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/version.h"
#include "shm/layout.h"
#include "tests/support/child.h"
#include "tests/support/clock.h"
#include "tests/support/daemon_fixture.h"
#include "tests/support/wire.h"

static struct daemon_fixture d;

/* ---------------------------------------------------------------- addresses */

Test(attach, by_address_and_back)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object;

	daemon_start(&d, NULL);
	cr_assert_eq(slabd_attach(&slabd, d.socket), 0, "%s", slabd_error());
	cr_assert(slabd_same_address(slabd));
	cr_assert_eq(daemon_stats(&d).clients, 1);
	cache = cache_of(slabd, "thing", 64, 0);
	object = slabd_alloc(cache, 0);
	cr_assert(object);
	slabd_free(cache, object);
	slabd_detach(slabd);
	cr_assert_eq(daemon_stats(&d).clients, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	daemon_stop(&d);
}

Test(attach, default_is_the_environment)
{
	struct slabd *slabd;
	char address[120];

	daemon_start(&d, NULL);
	setenv("SLABD_ADDRESS", d.socket, 1);
	cr_assert_eq(slabd_attach(&slabd, NULL), 0, "%s", slabd_error());
	cr_assert_eq(slabd_default(), slabd, "counted with the one that is there");
	slabd_detach(slabd);
	cr_assert_eq(slabd_default(), slabd, "kept");
	snprintf(address, sizeof(address), "%s#main", d.socket);
	setenv("SLABD_ADDRESS", address, 1);
	cr_assert_eq(slabd_attach(&slabd, ""), 0, "%s", slabd_error());
	cr_assert_eq(slabd_default(), slabd);
	cr_assert_eq(daemon_stats(&d).clients, 1);
	daemon_stop(&d);
}

/* Where XDG_RUNTIME_DIR is, slabd and its clients meet without a word. */
Test(attach, default_is_the_runtime_directory)
{
	struct slabd *slabd;
	char path[140];

	if (geteuid() == 0) {
		fprintf(stderr, "root has /run/slabd/slabd.sock as its default: as another user\n");
		return;
	}
	daemon_prepare(&d);
	setenv("XDG_RUNTIME_DIR", d.directory, 1);
	snprintf(path, sizeof(path), "%s/slabd/slabd.sock", d.directory);
	unsetenv("SLABD_ADDRESS");
	cr_assert_eq(slabd_attach(&slabd, NULL), -ENOENT);
	cr_assert(error_is(
		"slabd at %s: No such file or directory; is it running? try: slabctl ping", path));
	daemon_start(&d, "--socket", path, NULL);
	cr_assert_eq(slabd_attach(&slabd, NULL), 0, "%s", slabd_error());
	slabd_detach(slabd);
	strcpy(d.socket, path);
	daemon_stop(&d);
}

Test(attach, addresses_that_are_none)
{
	struct slabd *slabd = (struct slabd *)&d;
	char address[160];

	cr_assert_eq(slabd_attach(&slabd, "#main"), -EINVAL);
	cr_assert_null(slabd);
	cr_assert(error_is("address \"#main\": is SOCKET or SOCKET#SEGMENT, neither part empty"));
	cr_assert_eq(slabd_attach(&slabd, "/x#"), -EINVAL);
	cr_assert(error_is("address \"/x#\": is SOCKET or SOCKET#SEGMENT, neither part empty"));
	memset(address, 'a', sizeof(address) - 1);
	address[sizeof(address) - 1] = 0;
	cr_assert_eq(slabd_attach(&slabd, address), -ENAMETOOLONG);
	cr_assert(
		error_is("address \"%s\": the socket's path has 159 bytes, at most 107 fit; use a "
			 "shorter path",
			 address));
	snprintf(address, sizeof(address), "/x#%064d", 0);
	cr_assert_eq(slabd_attach(&slabd, address), -ENAMETOOLONG);
	cr_assert(error_is("address \"%s\": the segment's name has 64 bytes, at most 63 fit",
			   address));
	cr_assert_eq(slabd_attach(NULL, "/x"), -EINVAL);
	cr_assert(error_is("slabd_attach: no place for the result"));
}

Test(attach, no_such_segment)
{
	struct slabd *slabd;
	char address[120];

	daemon_start(&d, NULL);
	snprintf(address, sizeof(address), "%s#tenant", d.socket);
	cr_assert_eq(slabd_attach(&slabd, address), -ENOENT);
	cr_assert(error_is("segment \"tenant\": there is none; this slabd serves \"main\""));
	cr_assert_eq(daemon_stats(&d).clients, 0);
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- nobody there */

Test(attach, no_daemon)
{
	struct slabd *slabd;
	int fd;

	daemon_prepare(&d);
	cr_assert_eq(slabd_attach(&slabd, d.socket), -ENOENT);
	cr_assert(
		error_is("slabd at %s: No such file or directory; is it running? try: slabctl ping",
			 d.socket));
	fd = wire_listen(d.socket);
	cr_assert_geq(fd, 0);
	close(fd); /* what a killed daemon leaves */
	cr_assert_eq(slabd_attach(&slabd, d.socket), -ECONNREFUSED);
	cr_assert(error_is("slabd at %s: Connection refused; is it running? try: slabctl ping",
			   d.socket));
}

Test(attach, socket_of_another_user)
{
	struct slabd *slabd;

	if (geteuid() == 0) {
		fprintf(stderr, "root may use every socket: as another user\n");
		return;
	}
	daemon_start(&d, NULL);
	cr_assert_eq(chmod(d.socket, 0), 0);
	cr_assert_eq(slabd_attach(&slabd, d.socket), -EACCES);
	cr_assert(error_is("slabd at %s: Permission denied; is it running? try: slabctl ping",
			   d.socket));
	cr_assert_eq(chmod(d.socket, 0660), 0);
	daemon_stop(&d);
}

Test(attach, silent_daemon)
{
	struct slabd *slabd;
	uint64_t start;
	int fd;

	daemon_prepare(&d);
	fd = wire_listen(d.socket);
	cr_assert_geq(fd, 0);
	setenv("SLABD_TIMEOUT_MS", "200", 1);
	start = now_ms();
	cr_assert_eq(slabd_attach(&slabd, d.socket), -ETIMEDOUT);
	cr_assert_geq(now_ms() - start, 200);
	cr_assert_lt(now_ms() - start, 5000);
	cr_assert(error_is("slabd at %s did not answer in time; see slabctl ping, or raise "
			   "SLABD_TIMEOUT_MS",
			   d.socket));
	close(fd);
}

/* Cuts every connection at once. */
static void *cut_off(void *arg)
{
	int listener = *(int *)arg, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	return NULL;
}

Test(attach, daemon_that_hangs_up)
{
	struct slabd *slabd;
	pthread_t thread;
	int fd;

	daemon_prepare(&d);
	fd = wire_listen(d.socket);
	cr_assert_eq(pthread_create(&thread, NULL, cut_off, &fd), 0);
	setenv("SLABD_TIMEOUT_MS", "200", 1);
	cr_assert_eq(slabd_attach(&slabd, d.socket), -ETIMEDOUT);
	cr_assert(error_is("slabd at %s did not answer in time; see slabctl ping, or raise "
			   "SLABD_TIMEOUT_MS",
			   d.socket));
	shutdown(fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(fd);
}

/* ---------------------------------------------------------------- versions */

/* A daemon of another release, for one hello. */
static void *refuse(void *arg)
{
	int listener = *(int *)arg, fd = accept(listener, NULL, NULL);
	Slabd__Reply reply = SLABD__REPLY__INIT;
	uint8_t bytes[512];
	size_t n;

	if (fd < 0 || wire_take_hello(fd, &reply.sequence, 5000) < 0)
		return NULL;
	reply.status = -EPROTO;
	reply.error = (char *)(uintptr_t) "slabd 9.0.0 speaks protocol 9.0, its peer (" //
		SLABD_VERSION_STRING ") speaks 1.0";
	n = slabd__reply__pack(&reply, bytes);
	packet_send(fd, bytes, n, NULL, 0, true);
	wire_wait_end(fd, DAEMON_PATIENCE_MS);
	close(fd);
	return NULL;
}

Test(attach, daemon_of_another_version)
{
	struct slabd *slabd;
	pthread_t thread;
	int fd;

	daemon_prepare(&d);
	fd = wire_listen(d.socket);
	cr_assert_eq(pthread_create(&thread, NULL, refuse, &fd), 0);
	cr_assert_eq(slabd_attach(&slabd, d.socket), -EPROTO);
	cr_assert(error_is("slabd 9.0.0 speaks protocol 9.0, its peer (" SLABD_VERSION_STRING
			   ") speaks 1.0"));
	pthread_join(thread, NULL);
	close(fd);
}

/* The daemon's answer to this hello. */
static const Slabd__Reply *answer_to(Slabd__Hello *hello)
{
	static struct wire_reply answer;
	Slabd__Request request = SLABD__REQUEST__INIT;
	int fd = wire_connect(d.socket);

	cr_assert_geq(fd, 0);
	request.sequence = 1;
	request.verb_case = SLABD__REQUEST__VERB_HELLO;
	request.hello = hello;
	cr_assert_eq(wire_send(fd, &request), 0);
	cr_assert_eq(wire_receive(fd, &answer, DAEMON_PATIENCE_MS), 0);
	if (answer.reply->status < 0)
		cr_assert_eq(wire_wait_end(fd, 5000), 0, "a refused hello ends the connection");
	close(fd);
	return answer.reply;
}

Test(attach, client_of_another_version)
{
	Slabd__Hello hello;
	char text[256];

	daemon_start(&d, NULL);
	wire_hello(&hello);
	hello.version = (char *)(uintptr_t) "9.8.7";
	hello.protocol_major = PROTO_MAJOR + 1;
	hello.protocol_minor = 5;
	snprintf(text, sizeof(text),
		 "slabd %s speaks protocol %u.%u, its peer (9.8.7) speaks %u.5; install the same "
		 "release of both",
		 SLABD_VERSION_STRING, PROTO_MAJOR, PROTO_MINOR, PROTO_MAJOR + 1);
	cr_assert_eq(answer_to(&hello)->status, -EPROTO);
	cr_assert_str_eq(answer_to(&hello)->error, text);

	hello.protocol_major = PROTO_MAJOR;
	hello.layout = SLABD_LAYOUT_VERSION + 7;
	snprintf(text, sizeof(text),
		 "slabd %s has layout %u, its peer (9.8.7) has layout %u; install the same release "
		 "of both, and compile anew what includes slabd/fast.h",
		 SLABD_VERSION_STRING, SLABD_LAYOUT_VERSION, SLABD_LAYOUT_VERSION + 7);
	cr_assert_eq(answer_to(&hello)->status, -EPROTO);
	cr_assert_str_eq(answer_to(&hello)->error, text);

	hello.layout = SLABD_LAYOUT_VERSION;
	hello.protocol_minor = PROTO_MINOR + 1;
	cr_assert_eq(answer_to(&hello)->status, 0, "minor numbers may differ");
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- several */

Test(attach, second_is_the_first_counted)
{
	struct slabd *one, *two;
	struct slabd_cache *cache;
	char address[120];
	void *object;

	daemon_start(&d, NULL);
	one = attach_to(d.socket);
	snprintf(address, sizeof(address), "%s#main", d.socket);
	two = attach_to(address);
	cr_assert_eq(one, two);
	cr_assert_eq(daemon_stats(&d).clients, 1);
	cache = cache_of(one, "thing", 64, 0);
	slabd_detach(two);
	object = slabd_alloc(cache, 0);
	cr_assert(object, "the first goes on");
	slabd_free(cache, object);
	slabd_detach(one);
	cr_assert_eq(daemon_stats(&d).clients, 0);
	one = attach_to(d.socket);
	cr_assert_eq(daemon_stats(&d).clients, 1, "and again");
	slabd_detach(one);
	slabd_detach(NULL);
	daemon_audit(&d);
	daemon_stop(&d);
}

/* Where the daemon wants its heap: one of 240 places by a hash of random bits, so two daemons of one
 * test may want the same. */
static uint64_t heap_base(const struct daemon_fixture *daemon)
{
	static struct wire_reply answer;
	int fd = wire_connect(daemon->socket);

	cr_assert_geq(fd, 0);
	cr_assert_eq(wire_welcome(fd, &answer), 0);
	cr_assert_eq(answer.reply->answer_case, SLABD__REPLY__ANSWER_WELCOME);
	close(fd);
	return answer.reply->welcome->heap_base;
}

/* Three at once in one process; each is at its own address if none before it is there. */
static void three_daemons(void)
{
	static struct daemon_fixture daemons[3];
	struct slabd *slabd[3];
	struct slabd_cache *cache[3];
	void *object[3];
	uint64_t base[3];

	for (int i = 0; i < 3; i++) {
		bool taken = false;

		daemon_start(&daemons[i], NULL);
		base[i] = heap_base(&daemons[i]);
		for (int j = 0; j < i; j++)
			taken |= base[j] == base[i];
		slabd[i] = attach_to(daemons[i].socket);
		cr_assert_eq(slabd_same_address(slabd[i]), !taken, "daemon %d at %#lx", i, base[i]);
		cache[i] = cache_of(slabd[i], "thing", 64, 0);
		object[i] = slabd_alloc(cache[i], SLABD_ZERO);
		cr_assert(object[i]);
		object_fill(object[i], 64, (uint64_t)i);
	}
	for (int i = 0; i < 3; i++)
		cr_assert(object_holds(object[i], 64, (uint64_t)i));
	slabd_free(cache[1], object[1]);
	slabd_detach(slabd[1]);
	daemon_audit(&daemons[1]);
	daemon_stop(&daemons[1]);
	for (int i = 0; i < 3; i += 2) {
		cr_assert(object_holds(object[i], 64, (uint64_t)i));
		slabd_free(cache[i], object[i]);
		slabd_detach(slabd[i]);
		cr_assert_eq(daemon_audit(&daemons[i]).live, 0);
		daemon_stop(&daemons[i]);
	}
}

Test(attach, several_daemons)
{
	three_daemons();
}

Test(attach, several_daemons_of_one_address)
{
	setenv("SLABD_BASE", "0x110000000000", 1);
	three_daemons();
}

/* ---------------------------------------------------------------- another address */

static void take_range_and_attach(void *arg)
{
	slabd_handle handle = *(slabd_handle *)arg;
	uintptr_t base = 0x110000000000;
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object, *own;

	for (unsigned i = 0; i < 240; i++, base += UINT64_C(64) << 30)
		mmap((void *)base, 4096, PROT_NONE, // NOLINT: the address is the point
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (getenv("SLABD_BASE"))
		mmap((void *)strtoul(getenv("SLABD_BASE"), NULL, 0), 4096, PROT_NONE, // NOLINT
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(slabd_attach(&slabd, d.socket) == 0);
	CHECK(!slabd_same_address(slabd));
	CHECK(slabd_cache_open(slabd, "thing", &cache) == 0);
	object = slabd_get(cache, handle);
	CHECK(object && object_holds(object, 64, 5));
	CHECK(slabd_handle_of(cache, object) == handle);
	own = slabd_alloc(cache, 0);
	CHECK(own && own != object);
	slabd_free(cache, own);
	CHECK(slabd_adopt(cache, handle) == object);
	slabd_free(cache, object);
	CHECK(!slabd_get(cache, handle));
	slabd_detach(slabd);
}

Test(attach, range_taken)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	slabd_handle handle;
	void *object;

	daemon_start(&d, NULL);
	handle = 0;
	slabd = attach_to(d.socket);
	cache = cache_of(slabd, "thing", 64, 0);
	object = slabd_alloc(cache, 0);
	object_fill(object, 64, 5);
	handle = slabd_handle_of(cache, object);
	/* the child must not inherit the mapping: detached, the object is an orphan */
	slabd_detach(slabd);
	cr_assert_eq(daemon_audit(&d).orphaned, 1);
	cr_assert_eq(child_run(take_range_and_attach, &handle), 0);
	cr_assert_eq(daemon_audit(&d).orphaned, 0);
	cr_assert_eq(daemon_audit(&d).live, 0);
	daemon_stop(&d);
}

/* ---------------------------------------------------------------- core dumps */

/* Is the mapping of this memfd kept out of core dumps? */
static bool is_kept_out(const char *region)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	bool here = false, found = false, kept = false;
	char line[512];

	cr_assert(file);
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, " rw-s ") && strstr(line, region))
			here = found = true;
		if (here && strncmp(line, "VmFlags:", 8) == 0) {
			kept = strstr(line, " dd") != NULL;
			here = false;
		}
	}
	fclose(file);
	cr_assert(found, "no mapping of %s", region);
	return kept;
}

/* To dump a hole is to fill it, so a client's core would cost the pool its whole span. */
Test(attach, cores_leave_the_pool_out)
{
	struct slabd *slabd;

	daemon_start(&d, NULL);
	slabd = attach_to(d.socket);
	cr_assert(is_kept_out("slabd-heap"));
	cr_assert(is_kept_out("slabd-depot"));
	slabd_detach(slabd);
	setenv("SLABD_DUMP", "1", 1);
	slabd = attach_to(d.socket);
	cr_assert_not(is_kept_out("slabd-heap"));
	cr_assert_not(is_kept_out("slabd-depot"));
	slabd_detach(slabd);
	daemon_stop(&d);
}
