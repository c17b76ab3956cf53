#include "tests/bench/chart.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/figures.h"

/* A panel for each row at 64 bytes, a bar for each peer; bars that are far too long are cut. */
#define COLUMNS	     3
#define PANEL_WIDTH  400
#define BAR_HEIGHT   15
#define BAR_GAP	     3
#define PANEL_HEAD   34
#define PANEL_HEIGHT (PANEL_HEAD + PEERS * (BAR_HEIGHT + BAR_GAP) + 14)
#define NAME_WIDTH   104
#define BAR_MOST     220
#define HEAD	     64
#define MARGIN	     24
#define CUT_AT	     6.0 /* times slabd's figure */

static double longest(unsigned row)
{
	double most = 0, cut = CUT_AT * figure_of(0, row, PEER_INLINED).value;

	for (unsigned peer = 0; peer < PEERS; peer++) {
		struct figure figure = figure_of(0, row, peer);

		if (!isnan(figure.value))
			most = fmax(most, figure.value);
	}
	return isnan(cut) ? most : fmin(most, cut);
}

static void draw_bar(FILE *file, unsigned row, unsigned peer, double scale, int x, int y)
{
	struct figure figure = figure_of(0, row, peer);
	double length = figure.value * scale;
	bool cut = length > BAR_MOST;
	const char *look = peers[peer].ours ? "ours" : peers[peer].floor ? "floor" : "peer";

	fprintf(file, "<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>", x + NAME_WIDTH - 6,
		y + BAR_HEIGHT - 3, peer == PEER_INLINED ? "slabd, inlined" : peers[peer].name);
	if (isnan(figure.value)) {
		fprintf(file, "<text class=\"none\" x=\"%d\" y=\"%d\">not measured</text>\n",
			x + NAME_WIDTH, y + BAR_HEIGHT - 3);
		return;
	}
	if (cut)
		length = BAR_MOST;
	fprintf(file, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", look,
		x + NAME_WIDTH, y, fmax(length, 1), BAR_HEIGHT);
	fprintf(file, "<text class=\"value\" x=\"%.1f\" y=\"%d\">%s%.*f</text>\n",
		x + NAME_WIDTH + length + 5, y + BAR_HEIGHT - 3, cut ? "\u2026 " : "",
		figure.value < 10    ? 2
		: figure.value < 100 ? 1
				     : 0,
		figure.value);
}

static void draw_panel(FILE *file, unsigned row, int x, int y)
{
	double most = longest(row);

	fprintf(file, "<text class=\"title\" x=\"%d\" y=\"%d\">%s: %s</text>\n", x, y + 20,
		row_workloads[row], row_titles[row]);
	for (unsigned peer = 0; peer < PEERS; peer++)
		draw_bar(file, row, peer, most > 0 ? BAR_MOST / most : 0, x,
			 y + PANEL_HEAD + (int)peer * (BAR_HEIGHT + BAR_GAP));
}

static void draw_head(FILE *file, int width, int height)
{
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n<style>\n"
		"text{font-family:sans-serif;font-size:12px;fill:#333}\n"
		".head{font-size:20px;font-weight:bold}.title{font-size:14px;font-weight:bold}\n"
		".name{text-anchor:end}.none{fill:#999;font-style:italic}\n"
		".ours{fill:#c2410c}.peer{fill:#7c93b2}.floor{fill:#bbb}\n</style>\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
		width, height, width, height, width, height);
	fprintf(file,
		"<text class=\"head\" x=\"%d\" y=\"34\">slabd beside its peers, 64 bytes</text>\n"
		"<text x=\"%d\" y=\"54\">ns an object (W6: bytes); shorter is better; \u2026: cut; "
		"stack: a bare array, what nothing can be below</text>\n",
		MARGIN, MARGIN);
}

bool chart_write(const char *path)
{
	unsigned rows[ROWS], n = 0;
	FILE *file = fopen(path, "w");
	int width = COLUMNS * PANEL_WIDTH + 2 * MARGIN, height;

	if (!file) {
		fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
		return false;
	}
	for (unsigned row = 0; row < ROWS; row++)
		if (row_has_figures(0, row))
			rows[n++] = row;
	height = HEAD + (int)((n + COLUMNS - 1) / COLUMNS) * PANEL_HEIGHT + MARGIN;
	draw_head(file, width, height);
	for (unsigned i = 0; i < n; i++)
		draw_panel(file, rows[i], MARGIN + (int)(i % COLUMNS) * PANEL_WIDTH,
			   HEAD + (int)(i / COLUMNS) * PANEL_HEIGHT);
	fprintf(file, "</svg>\n");
	return fclose(file) == 0;
}
