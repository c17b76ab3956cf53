/* The kill storm: client processes allocate, pass objects on, adopt and free, while they are killed
 * at any moment, and the worker is too.  Not one call of a survivor may fail, not one object may be
 * lost or be in two hands, and whatever one reads must be what its owner wrote.
 *
 * How a double is seen at the moment it happens: beside the heap lies a ledger, in memory that slabd knows
 * nothing of, one word an object (by ref).  Who holds an object writes itself there.
 *
 *	alloc	exchanges the word, and what was there must be excused
 *	free	the word must name us; cleared before the free
 *	pass	the word says so: in flight, ours still
 *	adopt	first our intent is written, then the object is adopted, then the word is ours
 *
 * Excused are: nobody; whoever is dead or doomed (about to be killed, or to detach); an intent, since
 * its object may be reclaimed before the adopt.  Everything is ordered so that a kill between two steps
 * leaves a word that names the dead, or an intent: never a false alarm.
 *
 * The other direction: an adopt that comes too late, though the sender lives, is an alarm too. */
#ifndef TESTS_STRESS_STORM_H
#define TESTS_STRESS_STORM_H

#include <slabd/slabd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/daemon_fixture.h"

#define PROCESSES_MAX 64u
#define CACHES	      8u
#define RING	      192u
#define HEAP_BYTES    (UINT64_C(256) << 20)
#define FAILURES_KEPT 12
#define CALL_MS_MOST  20000 /* no call takes longer; slabd's own deadline is 10 s */

/* What a process counts; each has its own set. */
enum count {
	COUNT_ALLOCS,
	COUNT_FREES,
	COUNT_PASSED,
	COUNT_ADOPTED,
	COUNT_FREED_BY_HANDLE,
	COUNT_LATE, /* adopts and frees by handle of what was reclaimed on its way */
	COUNT_NO_MEMORY,
	COUNT_BUSY,   /* destroys refused while objects of a dead predecessor were live */
	COUNT_CACHES, /* made and destroyed */
	COUNT_SHRINKS,
	COUNT_ATTACHES,
	COUNT_THREADS,
	COUNT_FORKS,
	COUNT_KINDS,
};

/* A place for a process; who holds it changes with every kill. */
struct place {
	_Alignas(128) _Atomic uint64_t live; /* incarnation; 0: none */
	_Atomic bool doomed;
	_Atomic bool works;	     /* it has attached */
	_Atomic uint64_t call_began; /* ms; 0: in no call that may wait */
	_Atomic uint64_t counts[COUNT_KINDS];
};

struct storm {
	_Atomic bool stop;
	_Atomic bool enough; /* workers were killed */
	_Atomic bool broken; /* an object lost, doubled, overwritten: stop at once */
	_Atomic uint64_t incarnations;
	_Atomic uint64_t failed_calls, violations;
	_Atomic uint64_t worker_kills, orphans_freed;
	_Atomic int32_t worker; /* whose turn it is to be killed; 0: nobody's */
	_Atomic uint32_t failures;
	char failure[FAILURES_KEPT][400];
	struct place places[PROCESSES_MAX];
	_Atomic uint64_t ring[CACHES][RING];
	_Atomic uint64_t ledger[HEAP_BYTES >> 4]; /* by ref; sparse */
};

struct storm_options {
	uint64_t seconds, seed;
	double hours;
	unsigned processes, kill_ms, worker_kill_ms;
	uint64_t worker_kills; /* 0: for as long as the storm takes */
};

/* Over all rounds. */
struct tally {
	uint64_t seed, kills, worker_kills, late;
};

extern struct storm *storm;
extern int storm_stopped; /* readable when the storm is over */
extern struct daemon_fixture slabd_under_test;

struct kind {
	const char *name;
	uint32_t size, flags;
};

extern const struct kind kinds[CACHES];

/* ---------------------------------------------------------------- main.c */

uint64_t now_ns(void);
uint64_t next_random(uint64_t *seed);

/* A call that may not fail did, or an object is not where it has to be: noted and counted. */
void storm_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
void storm_violated(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---------------------------------------------------------------- ledger.c */

/* Is this incarnation alive, and not about to end? */
bool ledger_alive(uint64_t incarnation);

/* A new incarnation of a place. */
uint64_t ledger_enter(unsigned place);
/* It gives up all that it has; before a detach, or a kill. */
void ledger_leave(unsigned place);

void ledger_take(uint64_t me, slabd_handle handle);
void ledger_give(uint64_t me, slabd_handle handle);
/* In flight, and not. */
void ledger_send(uint64_t me, slabd_handle handle);
void ledger_unsend(uint64_t me, slabd_handle handle);

/* What the ledger said of a handle that came by the ring. */
struct intent {
	uint64_t me, sender;
	slabd_handle handle;
	bool known; /* it still is in flight: else the adopt must fail */
};

struct intent ledger_intend(uint64_t me, slabd_handle handle);
/* The adopt, or the free by handle, succeeded; or it came too late. */
void ledger_adopted(const struct intent *intent);
void ledger_freed(const struct intent *intent);
void ledger_late(const struct intent *intent);

/* ---------------------------------------------------------------- client.c */

/* A client process's whole life; returns when the storm stops. */
void client_run(unsigned place, uint64_t seed);
/* After it: takes what is in flight out of the ring, adopts it, checks it, and frees it. */
void client_drain(void);

/* ---------------------------------------------------------------- content.c */

void content_sign(void *object, size_t size, slabd_handle handle, uint64_t owner);
/* Is it what owner wrote into the object of this handle?  If not it is a violation. */
bool content_check(const void *object, size_t size, slabd_handle handle, uint64_t owner,
		   const char *when);

/* ---------------------------------------------------------------- operator.c */

/* Processes beside the clients: one chooses workers to be killed, one frees orphans and asks for
 * figures. */
void operator_doom_workers(const struct storm_options *options);
void operator_watch(void);
/* All orphans of all caches: how many were freed. */
uint64_t operator_free_orphans(void);
/* All memory back to the system: 0 or -errno. */
int operator_shrink_all(void);

/* ---------------------------------------------------------------- rounds.c */

/* One storm with its reckoning: false if anything at all was wrong.  Prints a line. */
bool round_run(const struct storm_options *options, uint64_t seconds, struct tally *tally);

/* ---------------------------------------------------------------- recovery.c */

bool recovery_measure(unsigned runs);

#endif
