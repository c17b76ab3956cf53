/* How slabd's cost grows (W9): with attached clients, caches, live objects, and, where $BENCH_HEAP_MIB
 * says how large this slabd's heap is, with that. For each: alloc, touch and
 * free of one object in this process; then what a new client's attach, its opening of a cache, and its
 * death (from SIGKILL until its object has been reclaimed) take. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/median.h"

#define PEER_HEADER "tests/bench/peer_slabd.h"
#include "tests/bench/peers.h"

#define REPEAT	     100000
#define REPETITIONS  7
#define CLIENTS_MOST 64
#define CACHES_MOST  1000
#define LIVE_MOST    10000000

struct costs {
	double pair_ns, attach_us, open_us, death_us;
};

struct client_report {
	slabd_handle handle;
	double attach_us, open_us;
};

static struct slabd_cache *mortal; /* its objects die with their owner */
static const char *const mortal_name = "bench-mortal";
static const char *comma = "";

static struct slabd_cache *open_mortal(struct slabd *slabd)
{
	struct slabd_cache_args args = {
		.size_of_args = sizeof args, .object_size = 64, .flags = SLABD_RECLAIM};
	struct slabd_cache *cache;

	if (slabd_cache_create(slabd, mortal_name, &args, &cache) < 0)
		peer_fail("slabd_cache_create");
	return cache;
}

/* ---------------------------------------------------------------- another client */

static void live_as_client(int report)
{
	struct client_report told;
	struct slabd *slabd;
	struct slabd_cache *cache;
	uint64_t start = now_ns(), attached, opened;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (slabd_attach(&slabd, NULL) < 0)
		peer_fail("slabd_attach");
	attached = now_ns();
	cache = open_mortal(slabd);
	opened = now_ns();
	told.handle = slabd_handle_of(cache, slabd_alloc(cache, 0));
	told.attach_us = (double)(attached - start) / 1000;
	told.open_us = (double)(opened - attached) / 1000;
	if (write(report, &told, sizeof told) != sizeof told)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start_client(struct client_report *ret)
{
	int report[2];
	pid_t pid;

	if (pipe(report) < 0)
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0)
		live_as_client(report[1]);
	close(report[1]);
	if (read(report[0], ret, sizeof *ret) != sizeof *ret)
		fail("a client");
	close(report[0]);
	return pid;
}

static double kill_client(pid_t pid, slabd_handle handle)
{
	uint64_t start = now_ns();

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (slabd_get(mortal, handle))
		__builtin_ia32_pause();
	return (double)(now_ns() - start) / 1000;
}

/* ---------------------------------------------------------------- what is measured at each point */

static double pair_ns(void)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; i < REPEAT; i++) {
		void *object = peer_alloc();

		touch(object, i);
		peer_free(object);
	}
	return (double)(now_ns() - start) / REPEAT;
}

static struct costs measure(void)
{
	double pairs[REPETITIONS], attaches[REPETITIONS], opens[REPETITIONS], deaths[REPETITIONS];

	for (int i = 0; i < REPETITIONS; i++) {
		struct client_report told;
		pid_t pid = start_client(&told);

		pairs[i] = pair_ns();
		attaches[i] = told.attach_us;
		opens[i] = told.open_us;
		deaths[i] = kill_client(pid, told.handle);
	}
	return (struct costs){.pair_ns = median(pairs, REPETITIONS),
			      .attach_us = median(attaches, REPETITIONS),
			      .open_us = median(opens, REPETITIONS),
			      .death_us = median(deaths, REPETITIONS)};
}

static void tell(const struct options *options, const char *what, unsigned n)
{
	struct costs costs = measure();

	if (options->json)
		printf("%s\n{\"what\":\"%s\",\"n\":%u,\"pair_ns\":%.2f,\"attach_us\":%.1f,"
		       "\"open_us\":%.1f,\"death_us\":%.1f}",
		       comma, what, n, costs.pair_ns, costs.attach_us, costs.open_us,
		       costs.death_us);
	else
		printf("%-14s%9u%14.2f%14.1f%14.1f%14.1f\n", what, n, costs.pair_ns,
		       costs.attach_us, costs.open_us, costs.death_us);
	comma = ",";
}

/* ---------------------------------------------------------------- what grows */

static void grow_clients(const struct options *options)
{
	struct client_report told[CLIENTS_MOST];
	pid_t pids[CLIENTS_MOST];
	unsigned n = 0;

	for (unsigned wanted = 1; wanted <= CLIENTS_MOST; wanted *= 4) {
		for (; n < wanted; n++)
			pids[n] = start_client(&told[n]);
		tell(options, "clients", wanted);
	}
	while (n-- > 0)
		kill_client(pids[n], told[n].handle);
}

static void grow_caches(const struct options *options)
{
	static struct slabd_cache *caches[CACHES_MOST];
	unsigned n = 0;

	for (unsigned wanted = 10; wanted <= CACHES_MOST; wanted *= 10) {
		for (; n < wanted; n++) {
			struct slabd_cache_args args = {.size_of_args = sizeof args,
							.object_size = 64};
			char name[64];

			snprintf(name, sizeof name, "bench-many-%u", n);
			if (slabd_cache_create(peer_slabd, name, &args, &caches[n]) < 0)
				peer_fail("slabd_cache_create");
		}
		tell(options, "caches", wanted);
	}
	while (n-- > 0)
		slabd_cache_destroy(caches[n]);
}

static void grow_live(const struct options *options)
{
	void **all = calloc(LIVE_MOST, sizeof *all);
	unsigned n = 0;

	if (!all)
		fail("memory");
	for (unsigned wanted = 1000; wanted <= LIVE_MOST; wanted *= 10) {
		for (; n < wanted; n++)
			all[n] = peer_alloc();
		tell(options, "live objects", wanted);
	}
	while (n-- > 0)
		peer_free(all[n]);
	free(all);
}

int main(int argc, char **argv)
{
	struct options options = bench_options(argc, argv);
	const char *heap = getenv("BENCH_HEAP_MIB"); /* the row of this heap alone */

	peer_open(options.object_size, LIVE_MOST);
	mortal = open_mortal(peer_slabd);
	if (options.json)
		printf("[");
	else if (!heap)
		printf("\nW9, how cost grows (medians of %d)\n\n%-23s%14s%14s%14s%14s\n",
		       REPETITIONS, "", "alloc+free ns", "attach us", "open us", "death us");
	if (heap) {
		tell(&options, "heap, MiB", (unsigned)strtoul(heap, NULL, 10));
	} else {
		grow_clients(&options);
		grow_caches(&options);
		grow_live(&options);
	}
	if (options.json)
		printf("]\n");
	slabd_cache_destroy(mortal);
	peer_close();
	return 0;
}
