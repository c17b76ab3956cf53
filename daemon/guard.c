#include "daemon/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct frame {
	sigjmp_buf back;
	const struct guard_range *ranges;
	unsigned n;
	struct frame *outer;
};

static struct frame *innermost; /* NULL: no guarded call is running */
static bool installed;

static bool is_guarded(const char *address)
{
	for (unsigned i = 0; innermost && i < innermost->n; i++)
		if (address >= innermost->ranges[i].start &&
		    (uint64_t)(address - innermost->ranges[i].start) < innermost->ranges[i].bytes)
			return true;
	return false;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (is_guarded(info->si_addr))
		siglongjmp(innermost->back, 1);
	/* not ours: let it happen again, with its default effect */
	signal(number, SIG_DFL);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	if (installed)
		return;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	installed = true;
}

int guard_call(const struct guard_range *ranges, unsigned n, void (*fn)(void *arg), void *arg)
{
	struct frame frame;
	int r = 0;

	install();
	frame.ranges = ranges;
	frame.n = n;
	frame.outer = innermost;
	/* SA_NODEFER leaves SIGBUS unblocked, so the mask need not be saved: a few ns, no system call */
	if (sigsetjmp(frame.back, 0) == 0) {
		innermost = &frame;
		fn(arg);
	} else {
		r = -EIO;
	}
	innermost = frame.outer;
	return r;
}
