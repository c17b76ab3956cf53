/* slabctl's exit codes, a promise to scripts. */
#ifndef SLABCTL_EXITS_H
#define SLABCTL_EXITS_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_PERMISSION = 4,
	EXIT_UNREACHABLE = 5,
	EXIT_DAMAGE = 6,
	EXIT_LIMIT = 7, /* or no memory */
	EXIT_TIMEOUT = 8,
};

#endif
