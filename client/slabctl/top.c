/* As slabtop, and who waits for slabd.  One that goes away is said to be, and shown again once it is
 * back; nothing but q, the last frame or the end of the terminal ends it. */
#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/frame.h"
#include "client/slabctl/live.h"
#include "client/slabctl/output.h"
#include "client/slabctl/screen.h"
#include "client/slabctl/texts.h"
#include "client/slabctl/values.h"
#include "client/slabctl/wire.h"

#define DELAY_MS_DEFAULT 3000
#define PATIENCE_MS	 1000 /* after which a wait for slabd is shown */
#define HELP_NOTE	 "q ends; sort: a b c l n o p s u as slabtop, k clients, r allocs, w waits"

struct top {
	struct query *query;
	const struct order *order;
	struct moment now, before;
	char sort;
	char away[sizeof(((struct query *)0)->why)]; /* empty: it is there */
	size_t first;				     /* the uppermost cache */
	bool help, quit;
};

/* Takes what there is now; what was stays to be compared with. */
static int take(struct top *top)
{
	struct moment now = {0};
	int code = live_take(top->query, &now);

	if (code) {
		snprintf(top->away, sizeof(top->away), "%s", top->query->why);
		return code;
	}
	top->away[0] = 0;
	live_free(&top->before);
	top->before = top->now;
	top->now = now;
	return EXIT_DONE;
}

static int make_frame(const struct top *top, struct frame *frame)
{
	int code = frame_make(frame, &top->now, top->before.at_ms ? &top->before : NULL, top->sort);

	frame->away = *top->away ? top->away : NULL;
	return code;
}

/* ---------------------------------------------------------------- on a terminal */

static int draw(struct top *top, const char *note)
{
	struct frame frame;
	int code = make_frame(top, &frame);

	if (code)
		return code;
	if (top->first >= frame.n)
		top->first = frame.n ? frame.n - 1 : 0;
	screen_draw(&frame, top->first, note ? note : top->help ? HELP_NOTE : NULL);
	frame_free(&frame);
	return EXIT_DONE;
}

static void scroll_by(struct top *top, long lines)
{
	if (lines < 0 && top->first < (size_t)-lines)
		top->first = 0;
	else
		top->first += (size_t)lines;
}

/* True if the screen has to be drawn again; *now if the figures must be taken again. */
static bool on_key(struct top *top, int key, bool *now)
{
	long page = screen_rows() > 1 ? (long)screen_rows() - 1 : 1;

	switch (key) {
	case 'q':
	case SCREEN_GONE:
		top->quit = true;
		return false;
	case ' ':
		*now = true;
		return false;
	case '?':
	case 'h':
		top->help = !top->help;
		return true;
	case SCREEN_UP:
	case SCREEN_DOWN:
		scroll_by(top, key == SCREEN_UP ? -1 : 1);
		return true;
	case SCREEN_PAGE_UP:
	case SCREEN_PAGE_DOWN:
		scroll_by(top, key == SCREEN_PAGE_UP ? -page : page);
		return true;
	case SCREEN_RESIZED:
		return true;
	default:
		if (key <= 0 || !frame_sort_name((char)key))
			return false;
		top->sort = (char)key;
		top->first = 0;
		return true;
	}
}

/* While an answer is waited for: keys are obeyed, and a long wait is shown. */
static bool while_waiting(void *arg, uint64_t waited_ms)
{
	struct top *top = arg;
	bool now = false, again = false;
	char note[64];
	int key;

	while (!top->quit && (key = screen_key(0)) != SCREEN_NONE)
		again |= on_key(top, key, &now);
	if (top->now.at_ms && (again || waited_ms >= PATIENCE_MS)) {
		snprintf(note, sizeof(note), TEXT_TOP_WAITING,
			 (unsigned long long)waited_ms / 1000);
		draw(top, waited_ms >= PATIENCE_MS ? note : NULL);
	}
	return !top->quit;
}

static int pause_until(struct top *top, uint64_t next)
{
	bool now = false;
	int code = EXIT_DONE;

	for (uint64_t at = wire_now(); !top->quit && !now && !code && at < next; at = wire_now()) {
		int key = screen_key((unsigned)(next - at));

		if (on_key(top, key, &now))
			code = draw(top, NULL);
	}
	return code;
}

static int run_screen(struct top *top)
{
	unsigned delay = top->order->delay_ms ? top->order->delay_ms : DELAY_MS_DEFAULT;
	unsigned frames = top->order->count;
	int code = take(top);

	if (code)
		return code;
	if (!screen_open())
		return query_fail(top->query, EXIT_USAGE, TEXT_NO_TERMINAL);
	top->query->waiting = while_waiting;
	top->query->waited = NULL;
	top->query->waiting_arg = top;
	for (unsigned i = 1; !code && !top->quit; i++) {
		code = draw(top, NULL);
		if (frames && i >= frames)
			break;
		if (!code)
			code = pause_until(top, wire_now() + delay);
		if (!code && !top->quit)
			take(top);
	}
	top->query->waiting = NULL;
	screen_close();
	return code;
}

/* ---------------------------------------------------------------- in batch mode */

static void print_line(void *arg, enum look look, const char *text)
{
	static const enum colour colour_of[] = {[LOOK_BOLD] = BOLD,
						[LOOK_TITLES] = BOLD,
						[LOOK_WARNING] = YELLOW,
						[LOOK_ALERT] = RED};
	bool plain = look == LOOK_PLAIN;

	(void)arg;
	printf("%s%s%s\n", plain ? "" : output_colour(colour_of[look]), text,
	       plain ? "" : output_colour(PLAIN));
}

static json_t *frame_json(const struct frame *frame)
{
	json_t *caches = json_array();

	for (size_t i = 0; i < frame->n; i++) {
		const struct frame_row *row = &frame->rows[i];
		json_t *object = json_row(cache_fields, ncache_fields, row->cache);

		json_object_set_new(object, "allocs_per_s",
				    json_integer((json_int_t)row->allocs_per_s));
		json_object_set_new(object, "frees_per_s",
				    json_integer((json_int_t)row->frees_per_s));
		json_object_set_new(object, "waits_per_s",
				    json_integer((json_int_t)row->waits_per_s));
		json_array_append_new(caches, object);
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "time", (json_int_t)frame->now->seconds, "span_ms",
			 (json_int_t)frame->traffic.span_ms, "clients",
			 (json_int_t)frame->now->status.clients, "caches", caches);
}

static int print_frame(struct top *top, unsigned number)
{
	struct frame frame;
	int code = make_frame(top, &frame);

	if (code)
		return code;
	if (top->order->json) {
		code = json_print_line(frame_json(&frame));
	} else {
		if (number)
			putchar('\n');
		frame_show(&frame, output_columns(), 0, print_line, NULL);
		fflush(stdout);
	}
	frame_free(&frame);
	return ferror(stdout) ? EXIT_FAILED : code;
}

static int run_batch(struct top *top)
{
	unsigned delay = top->order->delay_ms ? top->order->delay_ms : DELAY_MS_DEFAULT;
	unsigned frames = top->order->count;
	int code = EXIT_DONE;

	for (unsigned i = 0; !frames || i < frames; i++) {
		bool was_there = !*top->away;

		if (i)
			wire_pause(delay);
		code = take(top);
		if (!code)
			code = print_frame(top, i);
		else if (i && was_there)
			output_note(TEXT_AWAY, top->away);
		if (code && (!i || !live_may_return(code)))
			break;
	}
	return code;
}

int verb_top(struct query *query, const struct order *order)
{
	struct top top = {.query = query, .order = order, .sort = 'o'};
	int code;

	if (order->sort)
		top.sort = *order->sort;
	if (order->batch || order->json)
		code = run_batch(&top);
	else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		code = query_fail(query, EXIT_USAGE, TEXT_TOP_BATCH);
	else
		code = run_screen(&top);
	live_free(&top.before);
	live_free(&top.now);
	return code;
}
