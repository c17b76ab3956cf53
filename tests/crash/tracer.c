/* Stepping.  The victim is a forked child: it has every mapping where its tracer has it, and the same
 * code at the same addresses.  What lies outside of the program's own text (libc, the vDSO) is run at
 * full speed to the return address, by a breakpoint: it does not write to the regions, or, as a system
 * call does, at once.  Copying and filling are stepped through, as they may write there. */
#include "tests/crash/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/internal.h"

#define STEPS_MAX    3000000u
#define COPY_STEPPED 4096u

struct traced {
	pid_t pid;
	bool ended;
	enum message message; /* BEGIN, when it says so */
	uintptr_t pc;
};

/* ---------------------------------------------------------------- the child */

static void ignore(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

static void victim_main(const struct crash_case *c)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	is_victim = true;
	slabd_set_error_handler(ignore, NULL);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	c->prepare();
	victim_says(MESSAGE_BEGIN);
	c->operate();
	_exit(0);
}

/* ---------------------------------------------------------------- registers and breakpoints */

static uintptr_t get_register(struct traced *t, size_t offset)
{
	return (uintptr_t)ptrace(PTRACE_PEEKUSER, t->pid, offset, NULL);
}

#define REGISTER(t, name) get_register(t, offsetof(struct user, regs.name))

static long peek(struct traced *t, uintptr_t at)
{
	errno = 0;
	return ptrace(PTRACE_PEEKTEXT, t->pid, at, NULL);
}

static void wait_for(struct traced *t, int *status)
{
	while (waitpid(t->pid, status, 0) < 0)
		if (errno != EINTR)
			die("waitpid: %s", strerror(errno));
	if (!WIFSTOPPED(*status)) {
		t->ended = true; /* a worker may give up: for others that is its death */
		if (WIFSIGNALED(*status))
			die("the victim ended with status 0x%x", *status);
	}
}

static void go(struct traced *t, enum __ptrace_request how, int *status)
{
	if (ptrace(how, t->pid, NULL, NULL) < 0)
		die("ptrace: %s", strerror(errno));
	wait_for(t, status);
}

/* A signal other than a trap: an event is told or served, anything else is the victim's own crash; but
 * somebody outside may stop all of us and let us go on. */
static void on_signal(struct traced *t, int status)
{
	char where[128];

	if (WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGCONT)
		return;
	if (WSTOPSIG(status) != SIGUSR1)
		die("the victim got signal %d at %s", WSTOPSIG(status),
		    symbol_at(REGISTER(t, rip), where, sizeof(where)));
	t->message = mailbox_message();
	if (t->message == MESSAGE_HELLO || t->message == MESSAGE_CALL) {
		proxy_serve();
		t->message = MESSAGE_NONE;
	}
}

/* Runs until the instruction at address, or an event, or the end. */
static void run_to(struct traced *t, uintptr_t address)
{
	long word = peek(t, address);
	int status;

	ptrace(PTRACE_POKETEXT, t->pid, address, (word & ~0xffl) | 0xcc);
	for (;;) {
		go(t, PTRACE_CONT, &status);
		if (t->ended)
			return;
		if (WSTOPSIG(status) == SIGTRAP)
			break;
		on_signal(t, status);
		if (t->message)
			break;
	}
	ptrace(PTRACE_POKETEXT, t->pid, address, word);
	if (t->message)
		return;
	if (REGISTER(t, rip) != address + 1)
		die("stopped at 0x%lx instead of 0x%lx", REGISTER(t, rip), address + 1);
	ptrace(PTRACE_POKEUSER, t->pid, offsetof(struct user, regs.rip), address);
	t->pc = address;
}

static bool writes_memory(uintptr_t pc)
{
	static const char *const names[] = {"memcpy",	    "memmove",	     "memset",
					    "__memcpy_chk", "__memmove_chk", "__memset_chk"};
	static uintptr_t addresses[sizeof(names) / sizeof(*names)];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!addresses[i])
			addresses[i] = (uintptr_t)dlsym(RTLD_DEFAULT, names[i]);
		if (pc == addresses[i])
			return true;
	}
	return false;
}

static void single_step(struct traced *t)
{
	int status;

	for (;;) {
		go(t, PTRACE_SINGLESTEP, &status);
		if (t->ended || WSTOPSIG(status) == SIGTRAP)
			break;
		on_signal(t, status);
		if (t->message)
			break;
	}
	if (!t->ended)
		t->pc = REGISTER(t, rip);
}

/* One step of the program's own text: an instruction, or a whole call of something else. */
static void step(struct traced *t)
{
	single_step(t);
	if (t->ended || t->message || coverage_is_text(t->pc))
		return;
	if (writes_memory(t->pc) && REGISTER(t, rdx) <= COPY_STEPPED)
		return;
	run_to(t, (uintptr_t)peek(t, REGISTER(t, rsp)));
}

/* Within a copy: the rest of it is stepped, too. */
static bool is_copying(struct traced *t, bool copying)
{
	return !coverage_is_text(t->pc) && (copying || writes_memory(t->pc));
}

/* ---------------------------------------------------------------- a run */

static void add_point(struct trace *trace, uintptr_t pc)
{
	char *image = malloc(image_bytes());
	uint64_t hash;

	if (!image)
		die("no memory");
	image_take(&world.live, image);
	hash = image_hash(image);
	for (uint32_t i = 0; i < trace->n; i++)
		if (trace->points[i].hash == hash) {
			trace->last = i;
			free(image);
			return;
		}
	if (trace->n == trace->room) {
		trace->room = trace->room ? 2 * trace->room : 64;
		trace->points = realloc(trace->points, trace->room * sizeof(*trace->points));
		if (!trace->points)
			die("no memory");
	}
	trace->last = trace->n;
	trace->points[trace->n++] = (struct kill_point){image, hash, pc, trace->steps};
}

static bool start(struct traced *t, const struct crash_case *c, bool must)
{
	int status;

	fflush(NULL);
	die_silently = !must;
	t->pid = fork();
	if (t->pid < 0)
		die("fork: %s", strerror(errno));
	if (t->pid == 0)
		victim_main(c);
	wait_for(t, &status);
	ptrace(PTRACE_SETOPTIONS, t->pid, NULL, PTRACE_O_EXITKILL);
	for (;;) {
		go(t, PTRACE_CONT, &status);
		if (t->ended && must)
			die("%s: the victim ended before it began", c->name);
		if (t->ended)
			return false;
		on_signal(t, status);
		if (t->message == MESSAGE_BEGIN)
			break;
	}
	t->message = MESSAGE_NONE;
	run_to(t, c->from ? symbol_find(c->from) : (uintptr_t)c->operate);
	if (t->ended || t->message)
		die("%s: it never came to its operation", c->name);
	return true;
}

static bool is_time(const struct trace *trace)
{
	if (!trace->meanwhile)
		return false;
	return trace->meanwhile_at ? trace->n == trace->meanwhile_at
				   : trace->steps == trace->meanwhile_step;
}

static void step_through(struct trace *trace, struct traced *t)
{
	uintptr_t until = (uintptr_t)peek(t, REGISTER(t, rsp));
	char *last = malloc(image_bytes());
	bool copying = false;

	if (!last)
		die("no memory");
	image_take(&world.live, last);
	coverage_hit(t->pc);
	while (!t->ended && t->pc != until) {
		if (is_time(trace)) {
			trace->meanwhile(trace->arg);
			trace->meanwhile = NULL;
			image_take(&world.live, last);
			if (trace->then_run) {
				run_to(t, until);
				break;
			}
			add_point(trace, t->pc);
		}
		if (copying)
			single_step(t);
		else
			step(t);
		copying = !t->ended && !t->message && is_copying(t, copying);
		if (!t->ended)
			coverage_hit(t->pc);
		if (++trace->steps > STEPS_MAX)
			die("%s: no end", trace->crash_case->name);
		if (image_is(&world.live, last))
			continue;
		add_point(trace, t->pc);
		image_take(&world.live, last);
	}
	free(last);
}

void live_open(void)
{
	char why[WHY_BYTES] = "";

	if (pool_open(&served_by, "live", &world.live.backing, why, sizeof(why)) < 0)
		die("pool: %s", why);
	served_side = &world.live;
	run_jobs(served_by);
}

void live_close(void)
{
	pool_close(served_by);
	served_by = NULL;
}

static void end(struct traced *t)
{
	int status;

	if (t->ended)
		return;
	kill(t->pid, SIGKILL);
	waitpid(t->pid, &status, 0);
}

static void forget_points(struct trace *trace)
{
	for (uint32_t i = 0; i < trace->n; i++)
		free(trace->points[i].image);
	trace->n = 0;
}

bool trace_run(struct trace *trace, const struct crash_case *crash_case, const char *image)
{
	struct traced t = {0};

	trace->crash_case = crash_case;
	trace->client_dies = crash_case->victim == VICTIM_CLIENT;
	image_put(&world.live, image);
	served_by = NULL;
	if (!crash_case->alone)
		live_open();
	victim_client = 0;
	if (!start(&t, crash_case, !trace->first)) {
		live_close();
		return false;
	}
	objects_read(&trace->before, &world.live);
	add_point(trace, t.pc);
	step_through(trace, &t);
	objects_read(&trace->after, &world.live);
	if (trace->then_run) {
		forget_points(trace);
		add_point(trace, t.pc);
	}
	trace->client = victim_client;
	if (served_by)
		live_close();
	end(&t);
	return true;
}

bool trace_kill_at(const struct crash_case *crash_case, uint32_t points, uint32_t *client)
{
	uint32_t saved = victim_client, seen = 0;
	char *last = malloc(image_bytes());
	struct traced t = {0};
	uintptr_t until;

	if (!last)
		die("no memory");
	if (!start(&t, crash_case, false)) {
		free(last);
		return false;
	}
	until = (uintptr_t)peek(&t, REGISTER(&t, rsp));
	image_take(&world.live, last);
	while (!t.ended && t.pc != until && seen < points) {
		step(&t);
		if (image_is(&world.live, last))
			continue;
		image_take(&world.live, last);
		seen++;
	}
	end(&t);
	free(last);
	*client = victim_client != saved ? victim_client : 0;
	victim_client = saved;
	return true;
}

void trace_free(struct trace *trace)
{
	forget_points(trace);
	free(trace->points);
}
