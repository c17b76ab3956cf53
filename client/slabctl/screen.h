/* The terminal that top draws on: the one place that sees ncurses. */
#ifndef SLABCTL_SCREEN_H
#define SLABCTL_SCREEN_H

#include <stdbool.h>

#include "client/slabctl/frame.h"

/* False: this terminal can't be drawn on. */
bool screen_open(void);
void screen_close(void);

/* Draws the frame, its caches from first on; note (NULL: none) is written over the last line. */
void screen_draw(const struct frame *frame, size_t first, const char *note);

/* Caches that fit beneath the heads. */
unsigned screen_rows(void);

enum {
	SCREEN_NONE = -1, /* no key in time */
	SCREEN_GONE = -2, /* the terminal is gone */
	SCREEN_RESIZED = 0x1000,
	SCREEN_UP,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
};
/* A key, its letter in lower case, or one of the above. */
int screen_key(unsigned wait_ms);

#endif
