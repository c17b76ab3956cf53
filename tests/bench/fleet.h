/* The worker programs, one a peer, as children that answer questions. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define ANSWER_FIGURES 5

struct ship {
	const char *peer;
	pid_t pid;
	FILE *to, *from;
};

struct answer {
	double figures[ANSWER_FIGURES];
	long preempted;
	double trip[2]; /* 0: not asked */
};

/* false: the peer can't be had here */
bool ship_launch(struct ship *ship, const char *peer, size_t object_size, size_t most);
/* false: the peer can't do it, or its program has ended, which is said */
bool ship_ask(struct ship *ship, const char *workload, unsigned figures, struct answer *ret);
void ship_land(struct ship *ship);

#endif
