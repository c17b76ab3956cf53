/* What the cases of a client share.  Each shape attaches a client of its own and brings its magazines and
 * the depot to where the operation goes down the path that the case is named after. */
#ifndef TESTS_CRASH_CLIENT_SHAPES_H
#define TESTS_CRASH_CLIENT_SHAPES_H

#include "tests/crash/crash.h"

#include "client/internal.h"

#define MOST 64u

#define CASE(name_, cache_, prepare_, operate_, ...)                                          \
	{                                                                                     \
		.name = name_, .victim = VICTIM_CLIENT, .cache = cache_, .prepare = prepare_, \
		.operate = operate_, __VA_ARGS__                                              \
	}

/* Of the victim. */
extern void *objects[MOST];
extern unsigned objects_n;
extern struct claim hogged[2 * RACK_MAGAZINES];
extern unsigned hogged_n;

/* ---------------------------------------------------------------- steps to a shape */

void take(unsigned wanted);
void give(unsigned wanted);
/* The survivor's. */
void *theirs(unsigned nth);
void *orphan(void);
/* What the case is about is in objects[0] then. */
void front(void *object);
/* Holds every magazine of the depot that is in this state and has at most so many rounds. */
void hog(uint32_t state, uint32_t count_max);
/* Every magazine with room. */
void hog_all(void);
/* The last one goes back. */
void unhog(void);
void be_impatient(void);
/* A fork child that can't reach slabd: it has no identity, and its frees have to wait for one. */
void alone(void);

/* ---------------------------------------------------------------- shapes */

void plain(void);
void strict(void);
void reclaim(void);
/* With so many objects. */
void plain_1(void);
void plain_2(void);
void plain_3(void);
void strict_2(void);
void reclaim_2(void);
/* Loaded and previous are full. */
void plain_both_full(void);
/* One full, one with a round. */
void plain_two_magazines(void);
/* And the depot has no magazine with room at all. */
void plain_no_room(void);
/* Two frees are parked, and there is room again. */
void plain_parked(void);
/* A thread that has no table yet. */
void plain_thread(void);
/* Another thread has a table, too, before ours in the list. */
void plain_two_threads(void);
/* A thread whose table comes after that of another. */
void plain_second_thread(void);

#endif
