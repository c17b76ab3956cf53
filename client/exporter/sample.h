/* What slabd says of itself, asked within a deadline, so that a stopped slabd never keeps a reader
 * of the exporter for long.  A sample is shared by all who ask within a moment: every one costs slabd
 * a walk over its heap. */
#ifndef EXPORTER_SAMPLE_H
#define EXPORTER_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/slabctl/query.h"

struct sample {
	bool up;	  /* slabd answered: status is set */
	bool complete;	  /* and so are caches and clients */
	char why[1024];	  /* what was missing; "": nothing */
	double seconds;	  /* what asking took */
	uint64_t at_ms;	  /* CLOCK_MONOTONIC, when it was complete; 0: never asked */
	double unix_time; /* the same by the clock on the wall */
	struct status_row status;
	struct list caches;  /* struct cache_row */
	struct list maps;    /* char * for each cache, NULL: not asked for; n 0: none was */
	struct list clients; /* struct client_row */
};

struct sampler {
	unsigned timeout_ms;
	int spare; /* a descriptor held for the connection to slabd; -1: none */
	struct query query;
	struct sample plain, drawn; /* without and with maps */
};

/* Resolves the address (NULL: the default): 0, or an exit code with the sentence in query.why. */
int sampler_init(struct sampler *sampler, const char *address, unsigned timeout_ms);
void sampler_deinit(struct sampler *sampler);

/* Valid until the next call.  maps: with maps of the slabs; of many caches, the largest. */
const struct sample *sampler_take(struct sampler *sampler, bool maps);

#endif
