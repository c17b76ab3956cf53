/* Memory: what a million live objects take, and what is given back.
 *
 * All figures are the system's: the blocks of the segment's files, as fstat counts them for slabd's own
 * descriptors ($SLABD_PID; run.sh sets it). Where those may not be read, slabctl's memory_bytes stands
 * in, and the heap is not told apart. Run it on a slabd that has nothing else to do.
 *
 * Memory does not depend on the machine's mood, so here, alone of all benches, a figure is judged:
 * exit status 1 when the segment takes over 1.17 of the payload (at 64 bytes), or when the heap has
 * memory left after everything was freed and shrunk. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEER_HEADER "tests/bench/peer_slabd.h"
#include "tests/bench/peers.h"
#include "tests/bench/segment.h"

#define OBJECTS	     1000000u
#define IDLE_THREADS 8
#define IDLE_OBJECTS 1000u
#define LIMIT	     1.17
#define BLOCK_BYTES  512 /* st_blocks counts in these, whatever st_blksize says */
#define MIB(bytes)   ((double)(bytes) / (1 << 20))

enum region { HEAP, DEPOT, CATALOG, REGIONS };

struct memory {
	bool apart; /* regions are known one by one */
	uint64_t bytes[REGIONS];
	uint64_t total;
	uint64_t told; /* by slabctl; 0: not asked */
};

struct row {
	const char *name, *title;
	struct memory memory;
};

static struct row rows[8];
static unsigned rows_n;
static void **objects;
static uint32_t *order;

/* ---------------------------------------------------------------- what the system counts */

static bool add_region(struct memory *memory, const char *folder, const char *fd)
{
	static const char *const names[REGIONS] = {"slabd-heap", "slabd-depot", "slabd-catalog"};
	char path[512], target[128] = "";
	struct stat status;

	snprintf(path, sizeof path, "%s/%s", folder, fd);
	if (readlink(path, target, sizeof target - 1) < 0)
		return false;
	for (int region = 0; region < REGIONS; region++)
		if (strstr(target, names[region]) && stat(path, &status) == 0)
			memory->bytes[region] = (uint64_t)status.st_blocks * BLOCK_BYTES;
	return true;
}

static bool ask_system(struct memory *memory)
{
	const char *pid = getenv("SLABD_PID");
	char folder[64];
	struct dirent *entry;
	DIR *directory;

	snprintf(folder, sizeof folder, "/proc/%s/fd", pid ? pid : "-");
	directory = opendir(folder);
	if (!directory)
		return false;
	while ((entry = readdir(directory)))
		add_region(memory, folder, entry->d_name);
	closedir(directory);
	for (int region = 0; region < REGIONS; region++)
		memory->total += memory->bytes[region];
	return memory->total > 0;
}

static void take_row(const char *name, const char *title)
{
	struct row *row = &rows[rows_n++];

	row->name = name;
	row->title = title;
	row->memory.apart = ask_system(&row->memory);
	row->memory.told = segment_bytes();
	if (!row->memory.apart)
		row->memory.total = row->memory.told;
	if (!row->memory.total) {
		fprintf(stderr,
			"bench: neither slabd's descriptors nor slabctl can be asked for memory\n");
		exit(1);
	}
}

/* ---------------------------------------------------------------- what is done meanwhile */

static void fill(void)
{
	for (uint32_t i = 0; i < OBJECTS; i++) {
		objects[i] = peer_alloc();
		touch(objects[i], i);
	}
}

static void empty(void)
{
	for (uint32_t i = 0; i < OBJECTS; i++)
		peer_free(objects[order[i]]);
	memset(objects, 0, OBJECTS * sizeof *objects);
}

static void shrink(void)
{
	if (slabd_cache_shrink(peer_cache) < 0)
		fail("shrink");
}

static pthread_barrier_t barrier;

static void *own_then_idle(void *unused)
{
	void *mine[IDLE_OBJECTS];

	(void)unused;
	for (uint32_t i = 0; i < IDLE_OBJECTS; i++)
		mine[i] = peer_alloc();
	for (uint32_t i = 0; i < IDLE_OBJECTS; i++)
		peer_free(mine[i]);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *scattered_then_idle(void *number)
{
	uint32_t first = *(uint32_t *)number * IDLE_OBJECTS;

	for (uint32_t i = first; i < first + IDLE_OBJECTS; i++) {
		peer_free(objects[order[i]]);
		objects[order[i]] = NULL;
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* A row while the threads hold what they last freed, and another when they have ended. */
static void idle(void *(*body)(void *), const char *name, const char *title)
{
	pthread_t threads[IDLE_THREADS];
	uint32_t numbers[IDLE_THREADS];

	pthread_barrier_init(&barrier, NULL, IDLE_THREADS + 1);
	fill();
	for (uint32_t i = 0; i < IDLE_THREADS; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, body, &numbers[i]))
			fail("thread");
	}
	pthread_barrier_wait(&barrier);
	empty();
	shrink();
	take_row(name, title);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < IDLE_THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}

/* ---------------------------------------------------------------- what is told */

static void print_row(const struct row *row)
{
	printf("%-46s", row->title);
	for (int region = 0; region < REGIONS; region++)
		if (row->memory.apart)
			printf("%9.2f", MIB(row->memory.bytes[region]));
		else
			printf("%9s", "-");
	printf("%9.2f\n", MIB(row->memory.total));
}

static void print_table(const struct options *options, double ratio, bool within, bool back)
{
	const struct memory *live = &rows[1].memory;

	printf("\nMemory, %u objects of %zu bytes: MiB that the system counts for the segment\n\n"
	       "%-46s%9s%9s%9s%9s\n",
	       OBJECTS, options->object_size, "", "heap", "depot", "catalog", "total");
	for (unsigned i = 0; i < rows_n; i++)
		print_row(&rows[i]);
	printf("\n%u live: %.1f bytes an object, %.3f of the payload", OBJECTS,
	       (double)live->total / OBJECTS, ratio);
	if (options->object_size == 64)
		printf(" (limit %.2f): %s", LIMIT, within ? "within" : "OVER");
	printf("\nfreed and shrunk: %s\n",
	       !live->apart
		       ? "the heap can't be told apart here (slabd's descriptors are not readable)"
	       : back ? "the heap's extents are back with the system"
		      : "the heap KEEPS memory");
	if (live->apart && live->told)
		printf("slabctl says %.2f MiB of the same moment, %s\n", MIB(live->told),
		       live->told == live->total ? "exactly" : "NOT the same");
}

static void print_json(const struct options *options, double ratio)
{
	printf("{\"object_size\":%zu,\"objects\":%u,\"over_payload\":%.4f,\"rows\":[",
	       options->object_size, OBJECTS, ratio);
	for (unsigned i = 0; i < rows_n; i++) {
		const struct memory *memory = &rows[i].memory;

		printf("%s{\"name\":\"%s\",\"total\":%llu", i ? "," : "", rows[i].name,
		       (unsigned long long)memory->total);
		if (memory->apart)
			printf(",\"heap\":%llu,\"depot\":%llu,\"catalog\":%llu",
			       (unsigned long long)memory->bytes[HEAP],
			       (unsigned long long)memory->bytes[DEPOT],
			       (unsigned long long)memory->bytes[CATALOG]);
		printf("}");
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct options options = bench_options(argc, argv);
	bool within, back;
	double ratio;

	objects = calloc(OBJECTS, sizeof *objects);
	order = calloc(OBJECTS, sizeof *order);
	if (!objects || !order)
		fail("memory");
	shuffle(order, OBJECTS);
	peer_open(options.object_size, OBJECTS);
	take_row("empty", "attached, one cache, nothing allocated");
	fill();
	take_row("live", "all live");
	empty();
	shrink();
	take_row("freed", "freed in random order, shrunk");
	idle(own_then_idle, "idle_own", "same, 8 idle threads that used 1,000 each");
	idle(scattered_then_idle, "idle_scattered", "same, they freed 1,000 each from all over");
	shrink();
	take_row("ended", "same, those threads ended, shrunk");

	ratio = (double)rows[1].memory.total / ((double)OBJECTS * (double)options.object_size);
	within = options.object_size != 64 || ratio <= LIMIT;
	back = !rows[2].memory.apart || rows[2].memory.bytes[HEAP] <= rows[0].memory.bytes[HEAP];
	if (options.json)
		print_json(&options, ratio);
	else
		print_table(&options, ratio, within, back);
	return within && back ? 0 : 1;
}
