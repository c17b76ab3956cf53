/* slabd under a service manager: the regions outlive keeper and worker in the manager's store, a listening
 * socket comes from it, and it hears that all is well. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <slabd/slabd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/layout.h"
#include "tests/support/child.h"
#include "tests/support/manager.h"
#include "tests/support/sum.h"
#include "tests/support/traffic.h"

#define SIZE "--size=64M"

static struct manager m;
static struct daemon_fixture *d = &m.d;
static struct traffic traffic;

static const char *const regions[] = {"slabd-state", "slabd-catalog", "slabd-depot", "slabd-heap"};

/* One of each region, nothing else. */
static void expect_four(void)
{
	cr_assert_eq(m.n, 4);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_geq(manager_fd(&m, regions[i]), 0, "%s is stored once", regions[i]);
}

static uint64_t sum_store(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m.n; i++)
		sum = sum_fd(sum, m.store[i].fd);
	return sum;
}

/* A refused start says why, and leaves what it was given as it was. */
static void expect_refusal(int code, const char *why)
{
	uint64_t sum = sum_store();

	cr_assert_eq(manager_run(&m, SIZE, NULL), code);
	cr_assert(daemon_logged(d, why), "%s", why);
	cr_assert_eq(sum_store(), sum, "nothing was touched");
}

/* slabd is gone, and has left things in its memory. */
static void make_segment(void)
{
	struct slabd *slabd;
	struct slabd_cache *cache;

	manager_init(&m);
	manager_start(&m, SIZE, NULL);
	slabd = attach_to(d->socket);
	cache = cache_of(slabd, "left", 100, 0);
	for (int i = 0; i < 1000; i++)
		object_fill(slabd_alloc(cache, 0), 100, (uint64_t)i);
	slabd_detach(slabd);
	daemon_kill(d);
	expect_four();
}

/* ---------------------------------------------------------------- kept */

Test(fdstore, clients_go_on_over_the_death_of_keeper_and_worker)
{
	struct slabd *slabd;
	struct slabd_cache *cache;
	void *object;

	manager_init(&m);
	manager_start(&m, SIZE, NULL);
	slabd = attach_to(d->socket);
	cache = cache_of(slabd, "mine", 100, 0);
	object = slabd_alloc(cache, 0);
	object_fill(object, 100, 7);
	traffic_start(&traffic, d->socket);
	for (int i = 0; i < 3; i++) {
		daemon_kill(d);
		expect_four();
		manager_start(&m, SIZE, NULL);
		traffic_expect(&traffic);
	}
	traffic_stop(&traffic);
	cr_assert(object_holds(object, 100, 7));
	cr_assert_eq(slabd_get(cache, slabd_handle_of(cache, object)), object);
	cr_assert_eq(daemon_audit(d).live, 1);
	slabd_free(cache, object);
	slabd_detach(slabd);
	cr_assert_eq(daemon_audit(d).live, 0);
	cr_assert(daemon_logged(d, "took over a segment of an earlier slabd"));
	daemon_stop(d);
}

Test(fdstore, clients_go_on_over_a_restart_in_order)
{
	manager_init(&m);
	manager_start(&m, SIZE, NULL);
	traffic_start(&traffic, d->socket);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(kill(d->keeper, SIGTERM), 0);
		cr_assert_eq(child_join(d->keeper), 0);
		manager_start(&m, SIZE, NULL);
		traffic_expect(&traffic);
	}
	traffic_stop(&traffic);
	cr_assert_eq(daemon_audit(d).live, 0);
	daemon_stop(d);
}

/* A client that dies while no slabd is there is found dead by the next one. */
Test(fdstore, the_dead_are_found)
{
	struct daemon_cache left;

	manager_init(&m);
	manager_start(&m, SIZE, NULL);
	traffic_start(&traffic, d->socket);
	daemon_kill(d);
	child_kill(traffic.pid);
	manager_start(&m, SIZE, NULL);
	daemon_expect_log(d, "orphan");
	cr_assert(daemon_cache(d, TRAFFIC_CACHE, &left));
	cr_assert_eq(left.live, 0);
	cr_assert_gt(left.orphaned, 0);
	cr_assert_eq(daemon_audit(d).orphaned, left.orphaned);
	daemon_stop(d);
}

Test(fdstore, what_was_left_is_there)
{
	struct daemon_cache left;

	make_segment();
	manager_start(&m, SIZE, NULL);
	cr_assert(daemon_cache(d, "left", &left));
	cr_assert_eq(left.orphaned, 1000);
	cr_assert_eq(daemon_audit(d).orphaned, 1000);
	expect_four();
	daemon_stop(d);
}

/* ---------------------------------------------------------------- refused */

Test(fdstore, another_layout_is_refused)
{
	uint32_t other = SLABD_LAYOUT_VERSION + 1;

	make_segment();
	cr_assert_eq(pwrite(manager_fd(&m, "slabd-catalog"), &other, sizeof(other),
			    offsetof(struct superblock, layout)),
		     sizeof(other));
	expect_refusal(1, "the segment kept by the service manager: layout 3, this slabd has "
			  "layout 2");
}

Test(fdstore, what_is_no_segment_is_refused)
{
	make_segment();
	cr_assert_eq(pwrite(manager_fd(&m, "slabd-catalog"), "neither", 7, 0), 7);
	expect_refusal(1, "the segment kept by the service manager: ");
}

Test(fdstore, regions_of_different_sizes_are_refused)
{
	int other = memfd_create("slabd-depot", MFD_CLOEXEC);

	make_segment();
	cr_assert_eq(ftruncate(other, 1 << 20), 0);
	manager_forget(&m, "slabd-depot");
	strcpy(m.store[m.n].name, "slabd-depot");
	m.store[m.n++].fd = other;
	expect_refusal(1, "the segment kept by the service manager: ");
}

/* Without one of the four the rest is of no use: a new segment, and the store holds just that. */
Test(fdstore, a_missing_region_means_a_new_segment)
{
	struct slabd *slabd;
	struct slabd_cache *cache;

	for (unsigned i = 0; i < 4; i++) {
		make_segment();
		manager_forget(&m, regions[i]);
		manager_start(&m, SIZE, NULL);
		cr_assert(daemon_logged(d, "kept 3 of 4 regions: a new segment is made"));
		expect_four();
		cr_assert_eq(daemon_stats(d).caches, 0);
		slabd = attach_to(d->socket);
		cr_assert_eq(slabd_cache_open(slabd, "left", &cache), -ENOENT);
		slabd_detach(slabd);
		daemon_kill(d);
		manager_start(&m, SIZE, NULL);
		cr_assert_eq(daemon_stats(d).caches, 0);
		daemon_stop(d);
	}
}

/* ---------------------------------------------------------------- the socket */

Test(fdstore, socket_activation)
{
	struct slabd *slabd;
	struct stat st;
	ino_t inode;

	manager_init(&m);
	manager_listen(&m);
	cr_assert_eq(stat(d->socket, &st), 0);
	inode = st.st_ino;
	traffic.pid = 0;
	manager_start(&m, SIZE, NULL);
	traffic_start(&traffic, d->socket);
	daemon_kill(d);
	/* nobody serves it, and whoever connects is not refused but waits */
	manager_start(&m, SIZE, NULL);
	traffic_expect(&traffic);
	traffic_stop(&traffic);
	daemon_stop(d);
	cr_assert_eq(stat(d->socket, &st), 0, "the socket is the manager's");
	cr_assert_eq(st.st_ino, inode);
	manager_init(&m);
	manager_start(&m, SIZE, NULL);
	slabd = attach_to(d->socket);
	slabd_detach(slabd);
	daemon_stop(d);
	cr_assert_eq(stat(d->socket, &st), -1, "a socket of its own goes with slabd");
}

/* ---------------------------------------------------------------- the watchdog */

Test(fdstore, watchdog)
{
	manager_init(&m);
	setenv("WATCHDOG_USEC", "30000000", 1);
	manager_start(&m, SIZE, NULL);
	manager_expect(&m, "WATCHDOG=1");
	daemon_kill_worker(d);
	manager_expect(&m, "READY=1"); /* of the next worker */
	manager_expect(&m, "WATCHDOG=1");
	daemon_stop(d);
}

/* Meant for another process, as systemd says for what is no main process. */
Test(fdstore, watchdog_of_another)
{
	char text[64];

	manager_init(&m);
	setenv("WATCHDOG_USEC", "2000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	manager_start(&m, SIZE, NULL);
	daemon_kill_worker(d);
	manager_expect(&m, "READY=1");
	cr_assert_lt(recv(d->notify, text, sizeof(text), MSG_DONTWAIT), 0);
	daemon_stop(d);
}
