/* What top shows, line by line, for a terminal of any width or for none. */
#ifndef SLABCTL_FRAME_H
#define SLABCTL_FRAME_H

#include "client/slabctl/live.h"

#define SORT_LETTERS "abclnopsukrw"

enum look { LOOK_PLAIN, LOOK_BOLD, LOOK_TITLES, LOOK_WARNING, LOOK_ALERT };

/* A cache, and what happened to it since the frame before. */
struct frame_row {
	const struct cache_row *cache;
	uint64_t allocs_per_s, frees_per_s, waits_per_s;
};

struct frame {
	const struct moment *now;
	struct traffic traffic; /* of all */
	struct frame_row *rows; /* sorted */
	size_t n;
	char sort;	  /* one of SORT_LETTERS */
	const char *away; /* why these figures are old; NULL: they are not */
};

/* before NULL: rates are of all the time since slabd started.  0, or an exit code. */
int frame_make(struct frame *ret, const struct moment *now, const struct moment *before, char sort);
void frame_free(struct frame *frame);

/* What the letter sorts by; NULL: it is none of the letters. */
const char *frame_sort_name(char letter);

typedef void (*frame_line_fn)(void *arg, enum look look, const char *text);

/* Calls line for each line of at most width columns (0: as many as it takes); the caches from first
 * on. */
void frame_show(const struct frame *frame, unsigned width, size_t first, frame_line_fn line,
		void *arg);

#define FRAME_HEAD_LINES 6 /* before the first cache */

#endif
