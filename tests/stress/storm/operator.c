/* Two processes beside the clients, which talk to slabd as observers: one finds the worker again and
 * again, and has it killed by whoever kills the clients, together with some; one frees orphans and asks
 * for everything that can be asked. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/stress/storm/storm.h"
#include "tests/support/wire.h"

#define WATCH_MS     200
#define STOP_LOOK_MS 100

/* ---------------------------------------------------------------- a clock */

/* The workload's clock: fires ms from now, and every ms where it repeats. */
static void clock_set(int timer, unsigned ms, bool repeats)
{
	struct itimerspec at = {.it_value = {ms / 1000, (long)(ms % 1000) * 1000000}};

	if (repeats)
		at.it_interval = at.it_value;
	if (timerfd_settime(timer, 0, &at, NULL) < 0)
		_exit(1);
}

/* Until it fires; false when the storm is over. */
static bool clock_wait(int timer)
{
	struct pollfd fds[] = {{.fd = timer, .events = POLLIN},
			       {.fd = storm_stopped, .events = POLLIN}};
	uint64_t ticks;

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (fds[1].revents)
		return false;
	return read(timer, &ticks, sizeof(ticks)) == sizeof(ticks);
}

/* ---------------------------------------------------------------- the worker's deaths */

/* Nobody else kills it, so it is there until then; true when it is gone. */
static bool doom_worker(pid_t worker)
{
	struct pollfd gone = {.fd = (int)syscall(SYS_pidfd_open, worker, 0), .events = POLLIN};
	bool killed;

	if (gone.fd < 0)
		return false;
	storm->worker = worker;
	while (poll(&gone, 1, STOP_LOOK_MS) == 0 && !storm->stop)
		;
	killed = poll(&gone, 1, 0) == 1;
	close(gone.fd);
	return killed;
}

/* So long after it was first seen to serve. */
void operator_doom_workers(const struct storm_options *options)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t kills = 0;

	while (!storm->stop) {
		pid_t worker = daemon_worker(&slabd_under_test);

		if (options->worker_kill_ms) {
			clock_set(timer, options->worker_kill_ms, false);
			if (!clock_wait(timer))
				break;
		}
		kills += doom_worker(worker);
		if (kills == options->worker_kills) {
			storm->enough = true;
			break;
		}
	}
}

/* ---------------------------------------------------------------- orphans */

static int ask(Slabd__Request *request, struct wire_reply *answer)
{
	int fd = wire_connect(slabd_under_test.socket), r;

	if (fd < 0)
		return fd;
	request->sequence = 2;
	r = wire_greet(fd);
	if (r == 0)
		r = wire_send(fd, request);
	if (r == 0)
		r = wire_receive(fd, answer, DAEMON_PATIENCE_MS);
	close(fd);
	return r == 0 ? answer->reply->status : r;
}

uint64_t operator_free_orphans(void)
{
	static struct wire_reply answer;
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__Orphans verb = SLABD__ORPHANS__INIT;

	verb.free = true;
	request.verb_case = SLABD__REQUEST__VERB_ORPHANS;
	request.orphans = &verb;
	/* a worker that dies takes the answer with it */
	if (ask(&request, &answer) < 0 || !answer.reply->orphans)
		return 0;
	return answer.reply->orphans->freed;
}

int operator_shrink_all(void)
{
	static struct wire_reply answer;
	Slabd__Request request = SLABD__REQUEST__INIT;
	Slabd__CacheShrink verb = SLABD__CACHE_SHRINK__INIT;

	verb.all = true;
	request.verb_case = SLABD__REQUEST__VERB_CACHE_SHRINK;
	request.cache_shrink = &verb;
	return ask(&request, &answer);
}

void operator_watch(void)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct daemon_cache seen;

	clock_set(timer, WATCH_MS, true);
	while (!storm->stop && clock_wait(timer)) {
		storm->orphans_freed += operator_free_orphans();
		daemon_cache(&slabd_under_test, kinds[0].name, &seen);
	}
}
