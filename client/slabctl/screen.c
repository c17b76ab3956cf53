#include "client/slabctl/screen.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curses.h>
#include <term.h>

static SCREEN *screen;
static bool colours;

/* Asked before newterm, which loses memory where it fails.  A terminal that can't move its cursor can't
 * put a line where it belongs. */
static bool terminal_will_do(void)
{
	const char *move;
	bool can_move;
	int error;

	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	move = tigetstr((NCURSES_CONST char *)"cup");
	can_move = move && move != (const char *)-1;
	del_curterm(cur_term);
	return can_move;
}

bool screen_open(void)
{
	const char *no_colour = getenv("NO_COLOR");

	setlocale(LC_ALL, "");
	if (!terminal_will_do())
		return false;
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return false;
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	colours = !(no_colour && *no_colour) && has_colors() && start_color() == OK &&
		  use_default_colors() == OK;
	if (colours) {
		init_pair(LOOK_WARNING, COLOR_YELLOW, -1);
		init_pair(LOOK_ALERT, COLOR_RED, -1);
	}
	return true;
}

void screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

static attr_t attributes(enum look look)
{
	switch (look) {
	case LOOK_BOLD:
		return A_BOLD;
	case LOOK_TITLES:
		return A_REVERSE;
	case LOOK_WARNING:
		return colours ? (attr_t)COLOR_PAIR(LOOK_WARNING) : A_NORMAL;
	case LOOK_ALERT:
		return A_BOLD | (colours ? (attr_t)COLOR_PAIR(LOOK_ALERT) : A_REVERSE);
	default:
		return A_NORMAL;
	}
}

struct cursor {
	int line;
};

static void draw_line(void *arg, enum look look, const char *text)
{
	struct cursor *cursor = arg;

	if (cursor->line >= LINES)
		return;
	attrset(attributes(look));
	mvaddnstr(cursor->line, 0, text, COLS);
	if (look == LOOK_TITLES) /* the bar goes to the edge */
		for (int i = (int)strlen(text); i < COLS; i++)
			addch(' ');
	cursor->line++;
	attrset(A_NORMAL);
}

void screen_draw(const struct frame *frame, size_t first, const char *note)
{
	struct cursor cursor = {0};

	erase();
	frame_show(frame, (unsigned)COLS, first, draw_line, &cursor);
	if (note) {
		move(LINES - 1, 0);
		clrtoeol();
		cursor.line = LINES - 1;
		draw_line(&cursor, LOOK_BOLD, note);
	}
	refresh();
}

unsigned screen_rows(void)
{
	return LINES > FRAME_HEAD_LINES ? (unsigned)LINES - FRAME_HEAD_LINES : 0;
}

static int translate(int key)
{
	switch (key) {
	case ERR:
		return SCREEN_NONE;
	case KEY_RESIZE:
		return SCREEN_RESIZED;
	case KEY_UP:
		return SCREEN_UP;
	case KEY_DOWN:
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
		return SCREEN_PAGE_DOWN;
	default:
		return key < 0x80 ? tolower(key) : 0;
	}
}

/* Resizing is a signal, which ends the poll; getch() then says so. */
int screen_key(unsigned wait_ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	int key = getch(), r;

	if (key != ERR)
		return translate(key);
	r = poll(&in, 1, (int)wait_ms);
	if (r > 0 && in.revents & (POLLHUP | POLLERR | POLLNVAL))
		return SCREEN_GONE;
	return r == 0 ? SCREEN_NONE : translate(getch());
}
