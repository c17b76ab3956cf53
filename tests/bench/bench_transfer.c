/* Hand-over: one side allocates and writes, the other reads and frees; between them a ring.
 *
 *	trip	one line's way from CPU to CPU: there and back, halved
 *	ring	the ring alone, between two processes: no object, no allocator
 *	array	objects of a shared array in turn, written and read: what the content's way costs, nobody
 *		allocating or freeing
 *	slabd	between two processes
 *	glibc	between two threads of one process, since a private heap's objects go no further
 *
 * What a line of memory costs to go from one CPU to the other depends on where the two virtual CPUs
 * happen to be: on one core, near, or far, which the host changes as it likes. So before and after
 * each repetition the trip and the ring alone are measured; a repetition counts only if both trips are
 * of one kind, and figures are kept apart by it. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/common.h"
#include "tests/bench/peer_glibc.h"
#include "tests/bench/peer_slabd.h"
#include "tests/bench/ring.h"

#define INLINE static inline __attribute__((always_inline))

#define HANDED	      50000
#define PRODUCER_CPU  0
#define CONSUMER_CPU  1
#define ARRAY_OBJECTS 4096 /* more than the ring holds */
#define TRIPS	      2000
/* ns of a trip that part the kinds: two threads of one core, two cores of one cache, or farther */
#define SAME_CORE_BELOW 15.0
#define NEAR_BELOW	90.0

enum mode { TRIP, RING, ARRAY, SLABD, GLIBC, MODES, STOP };

/* The two sides, and what they tell each other. */
struct arena {
	struct ring ring;
	_Alignas(64) sem_t begun, ended; /* idle sides sleep: a poll would preempt the others */
	_Atomic bool awake;
	_Alignas(64) _Atomic uint64_t there;
	_Alignas(64) _Atomic uint64_t back;
	_Alignas(64) enum mode mode;
	uint64_t end_ns;
	uint64_t sum;
	long preempted;
};

static uint64_t no_object;
static char *array; /* ARRAY_OBJECTS of them, in memory that both processes see */
static size_t array_stride, array_next;

/* ---------------------------------------------------------------- the workload, compiled for each */

static inline void *ring_alloc(void)
{
	return &no_object;
}

static inline void *array_alloc(void)
{
	return array + array_next++ % ARRAY_OBJECTS * array_stride;
}

static inline void no_free(void *object)
{
	(void)object;
}

INLINE void produce(struct ring *ring, void *(*alloc)(void), bool write)
{
	for (uint64_t i = 0; i < HANDED; i++) {
		void *object = alloc();

		if (write)
			touch(object, i);
		ring_put(ring, object);
	}
}

INLINE uint64_t consume(struct ring *ring, void (*release)(void *), bool read)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < HANDED; i++) {
		void *object = ring_take(ring);

		if (read)
			sum += *(uint64_t *)object;
		release(object);
	}
	return sum;
}

static void travel(struct arena *arena)
{
	for (uint64_t i = 1; i <= TRIPS; i++) {
		atomic_store_explicit(&arena->there, i, memory_order_release);
		while (atomic_load_explicit(&arena->back, memory_order_acquire) != i)
			__builtin_ia32_pause();
	}
}

static void travel_back(struct arena *arena)
{
	for (uint64_t i = 1; i <= TRIPS; i++) {
		while (atomic_load_explicit(&arena->there, memory_order_acquire) != i)
			__builtin_ia32_pause();
		atomic_store_explicit(&arena->back, i, memory_order_release);
	}
}

static void produce_in(enum mode mode, struct arena *arena)
{
	struct ring *ring = &arena->ring;

	if (mode == SLABD)
		produce(ring, peer_slabd_alloc, true);
	else if (mode == GLIBC)
		produce(ring, peer_glibc_alloc, true);
	else if (mode == ARRAY)
		produce(ring, array_alloc, true);
	else if (mode == TRIP)
		travel(arena);
	else
		produce(ring, ring_alloc, false);
}

static uint64_t consume_in(enum mode mode, struct arena *arena)
{
	struct ring *ring = &arena->ring;

	if (mode == SLABD)
		return consume(ring, peer_slabd_free, true);
	if (mode == GLIBC)
		return consume(ring, peer_glibc_free, true);
	if (mode == ARRAY)
		return consume(ring, no_free, true);
	if (mode == TRIP)
		return travel_back(arena), 0;
	return consume(ring, no_free, false);
}

/* ---------------------------------------------------------------- two sides */

static void await(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0 && errno == EINTR)
		;
}

static void *consumer(void *at)
{
	struct arena *arena = at;

	pin_to(CONSUMER_CPU);
	for (;;) {
		long before;

		await(&arena->begun);
		if (arena->mode == STOP)
			return NULL;
		before = preemptions();
		atomic_store(&arena->awake, true);
		arena->sum = consume_in(arena->mode, arena);
		arena->end_ns = now_ns();
		arena->preempted = preemptions() - before;
		sem_post(&arena->ended);
	}
}

/* ns for one object, or NaN when either side was preempted. */
static double hand_over(struct arena *arena, enum mode mode)
{
	uint64_t start;
	long before;

	arena->mode = mode;
	arena->there = arena->back = 0;
	atomic_store(&arena->awake, false);
	sem_post(&arena->begun);
	while (!atomic_load(&arena->awake))
		__builtin_ia32_pause();
	before = preemptions();
	start = now_ns();
	produce_in(mode, arena);
	before = preemptions() - before;
	await(&arena->ended);
	if (mode >= ARRAY && arena->sum != (uint64_t)HANDED * (HANDED - 1) / 2) {
		fprintf(stderr,
			"bench: objects arrived with other content than they were sent with\n");
		exit(3);
	}
	if (before || arena->preempted)
		return NAN;
	return (double)(arena->end_ns - start) / (mode == TRIP ? 2 * TRIPS : HANDED);
}

static void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("shared memory");
	return memory;
}

static struct arena *arena_new(void)
{
	struct arena *arena = shared_memory(sizeof *arena);

	if (sem_init(&arena->begun, 1, 0) < 0 || sem_init(&arena->ended, 1, 0) < 0)
		fail("semaphore");
	return arena;
}

static pid_t start_process(struct arena *arena)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		consumer(arena);
	_exit(0);
}

static void stop(struct arena *arena)
{
	arena->mode = STOP;
	sem_post(&arena->begun);
}

/* ---------------------------------------------------------------- figures */

enum distance { SAME_CORE, NEAR, FAR, DISTANCES };

static const char *const distance_names[DISTANCES] = {"same core", "near", "far"};
static const char *const mode_names[MODES] = {"trip", "ring", "array", "slabd", "glibc"};

static struct series series[DISTANCES][MODES];
static unsigned moved, preempted;

static enum distance distance_of(double trip_ns)
{
	return trip_ns < SAME_CORE_BELOW ? SAME_CORE : trip_ns < NEAR_BELOW ? NEAR : FAR;
}

struct surroundings {
	double trip, ring;
};

static struct surroundings look_around(struct arena *processes)
{
	struct surroundings now = {.trip = hand_over(processes, TRIP)};

	now.ring = hand_over(processes, RING);
	return now;
}

static void measure(struct arena *processes, struct arena *threads, unsigned round)
{
	struct surroundings before = look_around(processes);

	for (enum mode mode = ARRAY; mode < MODES; mode++) {
		double ns = hand_over(mode == GLIBC ? threads : processes, mode);
		struct surroundings after = look_around(processes);
		double sum = before.trip + before.ring + after.trip + after.ring + ns;
		enum distance distance = distance_of(after.trip);

		if (isnan(sum)) {
			preempted++;
		} else if (distance != distance_of(before.trip)) {
			moved++;
		} else {
			series[distance][mode].ns[round] = ns;
			series[distance][RING].ns[round] = (before.ring + after.ring) / 2;
			series[distance][TRIP].ns[round] = after.trip;
		}
		before = after;
	}
}

static void print_cell(const struct series *of, unsigned rounds)
{
	struct figure figure = series_median(of, rounds);

	if (figure.clean)
		printf("%11.2f%c", figure.ns, figure.clean < ROUNDS_FEW ? '?' : ' ');
	else
		printf("%11s ", "-");
}

static void print_table(const struct options *options)
{
	printf("\nHand-over, %zu bytes: ns for an object allocated and written here, read and "
	       "freed "
	       "there\n\n%-12s%12s%12s%12s%12s%12s%14s\n",
	       options->object_size, "CPUs are", "a trip ", "ring alone ", "bare array ", "slabd ",
	       "glibc* ", "slabd/glibc");
	for (int distance = 0; distance < DISTANCES; distance++) {
		struct series *of = series[distance];

		if (!series_median(&of[TRIP], options->rounds).clean)
			continue;
		printf("%-12s", distance_names[distance]);
		for (int mode = 0; mode < MODES; mode++)
			print_cell(&of[mode], options->rounds);
		printf("%14.2f\n", series_ratio(&of[SLABD], &of[GLIBC], options->rounds));
	}
	printf("(medians of %u rounds, trip and ring before and after each; left out: %u "
	       "preempted, %u while\n the CPUs moved; ?: fewer than %d were left. *: malloc "
	       "between "
	       "threads, since it can't go further;\n the rest between processes)\n",
	       options->rounds, preempted, moved, ROUNDS_FEW);
}

static void print_json(const struct options *options)
{
	const char *comma = "";

	printf("{\"object_size\":%zu,\"rounds\":%u,\"preempted\":%u,\"moved\":%u,\"states\":[",
	       options->object_size, options->rounds, preempted, moved);
	for (int distance = 0; distance < DISTANCES; distance++)
		for (int mode = 0; mode < MODES; mode++) {
			struct figure figure =
				series_median(&series[distance][mode], options->rounds);

			if (!figure.clean)
				continue;
			printf("%s{\"cpus\":\"%s\",\"name\":\"%s\",\"ns\":%.3f,\"clean\":%u}",
			       comma, distance_names[distance], mode_names[mode], figure.ns,
			       figure.clean);
			comma = ",";
		}
	printf("]}\n");
}

static void forget_all(void)
{
	for (int distance = 0; distance < DISTANCES; distance++)
		for (int mode = 0; mode < MODES; mode++)
			for (unsigned round = 0; round < ROUNDS_MAX; round++)
				series[distance][mode].ns[round] = NAN;
	moved = preempted = 0;
}

int main(int argc, char **argv)
{
	struct options options = bench_options(argc, argv);
	struct arena *processes = arena_new(), *threads = arena_new();
	pthread_t thread;
	pid_t pid;
	int status;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		fprintf(stderr, "bench: hand-over needs two CPUs: skipped\n");
		return 0;
	}
	peer_slabd_open(options.object_size, HANDED);
	peer_glibc_open(options.object_size, HANDED);
	array_stride = options.object_size;
	array = shared_memory(ARRAY_OBJECTS * array_stride);
	pid = start_process(processes);
	if (pthread_create(&thread, NULL, consumer, threads))
		fail("thread");
	pin_to(PRODUCER_CPU);
	measure(processes, threads, 0); /* warm */
	forget_all();
	for (unsigned round = 0; round < options.rounds; round++)
		measure(processes, threads, round);
	stop(processes);
	stop(threads);
	pthread_join(thread, NULL);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("the consumer process");
	if (options.json)
		print_json(&options);
	else
		print_table(&options);
	return 0;
}
