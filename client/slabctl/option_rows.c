#include "client/slabctl/option_rows.h"

#include "client/slabctl/output.h"

#define OPTION(takes, name, key, arg, flags, text, values)      \
	{                                                       \
		takes, {name, key, arg, flags, text, 0}, values \
	}

const struct option_row option_rows[] = {
	OPTION(0, "address", 'a', "ADDRESS", 0,
	       "where slabd is: SOCKET or SOCKET#SEGMENT (default: $SLABD_ADDRESS, else "
	       "$XDG_RUNTIME_DIR/slabd/slabd.sock (not for root), else /run/slabd/slabd.sock)",
	       NULL),
	OPTION(0, "json", 'j', NULL, 0, "one JSON document, for programs", NULL),
	OPTION(TAKES_CREATE, "size", KEY_SIZE, "BYTES", 0, "size of an object, 1 to 128K", NULL),
	OPTION(TAKES_CREATE, "align", KEY_ALIGN, "BYTES", 0,
	       "a power of two up to 4096 (default: 8)", NULL),
	OPTION(TAKES_CREATE, "flags", KEY_FLAGS, "LIST", 0,
	       "any of reclaim,strict,hwalign, with commas between", "reclaim strict hwalign"),
	OPTION(TAKES_CREATE, "reclaim", KEY_RECLAIM, NULL, 0,
	       "objects die with the process that owns them", NULL),
	OPTION(TAKES_CREATE, "strict", KEY_STRICT, NULL, 0,
	       "every free is a compare-and-swap, so that no double free goes unseen", NULL),
	OPTION(TAKES_CREATE, "hwalign", KEY_HWALIGN, NULL, 0, "align to cache lines", NULL),
	OPTION(TAKES_CREATE, "magazine", KEY_MAGAZINE, "N", 0,
	       "objects in a magazine (default: by their size)", NULL),
	OPTION(TAKES_CREATE, "exclusive", KEY_EXCLUSIVE, NULL, 0,
	       "fail if the cache exists, even if it is the same", NULL),
	OPTION(TAKES_ALL, "all", KEY_ALL, NULL, 0, "every cache", NULL),
	OPTION(TAKES_FREE, "free", KEY_FREE, NULL, 0, "free them for good", NULL),
	OPTION(TAKES_FOLLOW, "follow", 'f', NULL, 0, "go on with what happens", NULL),
	OPTION(TAKES_TOP, "batch", 'b', NULL, 0, "print frames, for files and other programs",
	       NULL),
	OPTION(TAKES_TOP, "iterations", 'n', "N", 0, "end after so many frames", NULL),
	OPTION(TAKES_TOP, "delay", 'd', "SECONDS", 0, "time between two (default: 3)", NULL),
	OPTION(TAKES_TOP, "sort", 's', "LETTER", 0,
	       "by a active, b objects in a slab, c size, l slabs, n name, o objects (the "
	       "default), p pages in a slab, s object size, u use, k clients, r allocs, w waits",
	       "a b c l n o p s u k r w"),
	OPTION(TAKES_YES, "yes", 'y', NULL, 0, "do it without asking", NULL),
	OPTION(TAKES_WAIT, "wait", KEY_WAIT, "SECONDS", OPTION_ARG_OPTIONAL,
	       "wait until slabd is there (default: 10)", NULL),
	OPTION(0, "completion", KEY_COMPLETION, "SHELL", 0,
	       "print the completion script of bash, zsh or fish", "bash zsh fish"),
	OPTION(0, "help", '?', NULL, 0, "this help; behind a verb, that verb's", NULL),
	OPTION(0, "usage", KEY_USAGE, NULL, 0, "the same in short", NULL),
	OPTION(0, "version", 'V', NULL, 0, "the release of slabctl", NULL),
};

const size_t noption_rows = LENGTH(option_rows);

_Static_assert(LENGTH(option_rows) < OPTION_ROWS_MAX, "room in option_choose()");

bool option_is_for(const struct option_row *row, const struct verb *verb)
{
	return !row->takes || (verb && verb->takes & row->takes);
}

void option_choose(struct argp_option *to, const struct verb *verb)
{
	for (size_t i = 0; i < noption_rows; i++)
		if (option_is_for(&option_rows[i], verb))
			*to++ = option_rows[i].argp;
	*to = (struct argp_option){0};
}
