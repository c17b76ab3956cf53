#include "daemon/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static struct {
	sigjmp_buf back;
	const struct guard_range *ranges;
	unsigned n; /* 0: no guarded call is running */
	bool installed;
} guard;

static bool is_guarded(const char *address)
{
	for (unsigned i = 0; i < guard.n; i++)
		if (address >= guard.ranges[i].start &&
		    (uint64_t)(address - guard.ranges[i].start) < guard.ranges[i].bytes)
			return true;
	return false;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (is_guarded(info->si_addr))
		siglongjmp(guard.back, 1);
	/* not ours: let it happen again, with its default effect */
	signal(number, SIG_DFL);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	if (guard.installed)
		return;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	guard.installed = true;
}

int guard_call(const struct guard_range *ranges, unsigned n, void (*fn)(void *arg), void *arg)
{
	int r = 0;

	install();
	/* SA_NODEFER leaves SIGBUS unblocked, so the mask need not be saved: a few ns, no system call */
	if (sigsetjmp(guard.back, 0) == 0) {
		guard.ranges = ranges;
		guard.n = n;
		fn(arg);
	} else {
		r = -EIO;
	}
	guard.n = 0;
	return r;
}
