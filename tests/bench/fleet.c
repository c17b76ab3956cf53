#include "tests/bench/fleet.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/common.h"

static void run_worker(const char *peer, size_t object_size, size_t most, int in, int out)
{
	const char *folder = getenv("SLABD_BIN_DIR");
	char path[512], size[32], count[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof path, "%s/bench-%s", folder ? folder : ".", peer);
	snprintf(size, sizeof size, "%zu", object_size);
	snprintf(count, sizeof count, "%zu", most);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	execl(path, path, size, count, (char *)NULL);
	_exit(127);
}

void ship_land(struct ship *ship)
{
	if (!ship->pid)
		return;
	fclose(ship->to);
	waitpid(ship->pid, NULL, 0);
	fclose(ship->from);
	*ship = (struct ship){0};
}

bool ship_launch(struct ship *ship, const char *peer, size_t object_size, size_t most)
{
	int to[2], from[2];
	char line[64] = "";

	*ship = (struct ship){.peer = peer};
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		fail("pipe");
	ship->pid = fork();
	if (ship->pid < 0)
		fail("fork");
	if (ship->pid == 0)
		run_worker(peer, object_size, most, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	ship->to = fdopen(to[1], "w");
	ship->from = fdopen(from[0], "r");
	if (!ship->to || !ship->from)
		fail("pipe");
	if (fgets(line, sizeof line, ship->from) && strcmp(line, "ready\n") == 0)
		return true;
	ship_land(ship);
	return false;
}

static bool parse(const char *line, unsigned figures, struct answer *ret)
{
	double numbers[ANSWER_FIGURES + 3];
	char *end;

	for (unsigned i = 0; i < figures + 3; i++) {
		numbers[i] = strtod(line, &end);
		if (end == line)
			return false;
		line = end;
	}
	memcpy(ret->figures, numbers, figures * sizeof *numbers);
	ret->preempted = (long)numbers[figures];
	ret->trip[0] = numbers[figures + 1];
	ret->trip[1] = numbers[figures + 2];
	return true;
}

bool ship_ask(struct ship *ship, const char *workload, unsigned figures, struct answer *ret)
{
	char line[256];

	fprintf(ship->to, "%s\n", workload);
	fflush(ship->to);
	if (!fgets(line, sizeof line, ship->from)) {
		fprintf(stderr, "bench: %s ended in %s\n", ship->peer, workload);
		ship_land(ship);
		return false;
	}
	return parse(line, figures, ret);
}
