/* What hugepages are worth (W8): a random walk over 512 MiB of objects of 64 bytes that lie in slabd's
 * heap, in a bare mapping of 4 KiB pages, and in one of 2 MiB pages: reserved ones where there are
 * enough, else transparent ones. All three are walked in the same order, in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/bench/median.h"

#define PEER_HEADER "tests/bench/peer_slabd.h"
#include "tests/bench/peers.h"

#define OBJECT	    64
#define BYTES	    ((size_t)512 << 20)
#define OBJECTS	    (BYTES / OBJECT)
#define STEPS	    200000
#define REPETITIONS 7
#define WITHIN	    1.03
#define HUGE_PAGE   ((size_t)2 << 20)

enum place { SMALL, HUGE, SLABD, PLACES };

struct object {
	struct object *next;
};

static struct object *starts[PLACES];
static double ns[PLACES][REPETITIONS];
static void **all;
static const char *huge_kind = "reserved";

static char *map_huge(void)
{
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory != MAP_FAILED)
		return memory;
	huge_kind = "transparent";
	memory = aligned_alloc(HUGE_PAGE, BYTES);
	if (!memory)
		fail("memory");
	madvise(memory, BYTES, MADV_HUGEPAGE);
	return memory;
}

static char *map_small(void)
{
	char *memory = shared_memory(BYTES);

	madvise(memory, BYTES, MADV_NOHUGEPAGE);
	return memory;
}

static void lay_out(enum place place, char *memory, const uint32_t *order)
{
	for (size_t i = 0; i < OBJECTS; i++)
		all[i] = memory ? memory + i * OBJECT : peer_alloc();
	for (size_t i = 0; i < OBJECTS; i++) {
		struct object *object = all[order[i]];

		object->next = all[order[(i + 1) % OBJECTS]];
	}
	starts[place] = all[order[0]];
}

static double walk(enum place place)
{
	struct object *object = starts[place];
	uint64_t start = now_ns();

	for (int i = 0; i < STEPS; i++)
		object = object->next;
	starts[place] = object; /* the next walk goes on where nothing is in a cache */
	return (double)(now_ns() - start) / STEPS;
}

static void tell(const struct options *options)
{
	double ratios[REPETITIONS], small, huge, slabd, ratio;

	for (int i = 0; i < REPETITIONS; i++)
		ratios[i] = ns[SLABD][i] / ns[HUGE][i];
	ratio = median(ratios, REPETITIONS);
	small = median(ns[SMALL], REPETITIONS);
	huge = median(ns[HUGE], REPETITIONS);
	slabd = median(ns[SLABD], REPETITIONS);
	if (options->json)
		printf("{\"small_ns\":%.1f,\"huge_ns\":%.1f,\"huge\":\"%s\",\"slabd_ns\":%.1f,"
		       "\"slabd_over_huge\":%.3f}\n",
		       small, huge, huge_kind, slabd, ratio);
	else
		printf("\nW8, random walk over 512 MiB: ns a step (medians of %d)\n\n"
		       "bare, 4 KiB pages %27.1f\nbare, %s 2 MiB pages %*.1f\nslabd %39.1f\n"
		       "slabd over bare 2 MiB pages: %.2f, wanted at most %.2f: %s\n",
		       REPETITIONS, small, huge_kind, (int)(26 - strlen(huge_kind)), huge, slabd,
		       ratio, WITHIN, ratio <= WITHIN ? "met" : "missed");
}

int main(int argc, char **argv)
{
	struct options options = bench_options(argc, argv);
	uint32_t *order = calloc(OBJECTS, sizeof *order);

	all = calloc(OBJECTS, sizeof *all);
	if (!order || !all)
		fail("memory");
	pin_to(0);
	shuffle(order, OBJECTS);
	peer_open(OBJECT, OBJECTS);
	lay_out(SLABD, NULL, order);
	lay_out(HUGE, map_huge(), order);
	lay_out(SMALL, map_small(), order);
	for (int i = 0; i < REPETITIONS; i++)
		for (int place = 0; place < PLACES; place++)
			ns[place][i] = walk(place);
	tell(&options);
	return 0;
}
