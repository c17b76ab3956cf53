/* A prefork server's master. Nothing here is about slabd: the workers are forked with the store open,
 * and each becomes a client of its own by its first call.
 *
 * Each worker has a listening socket of its own on the one port (SO_REUSEPORT), so that the kernel
 * spreads connections evenly; the master keeps all of them, so that the connections waiting on a
 * killed worker's are served by its successor. */
#include "tests/demo/master.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/demo/worker.h"

#define BACKLOG 1024
/* A worker that dies by itself that often is not going to stay. */
#define DEATHS_MAX 100

struct master {
	struct store *store;
	unsigned workers;
	int listeners[WORKERS_MAX];
	pid_t pids[WORKERS_MAX];
	unsigned deaths;
	sigset_t signals, outside;
};

static int listen_on(unsigned *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t n = sizeof address;
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
	    bind(fd, (struct sockaddr *)&address, n) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &n) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	*port = ntohs(address.sin_port);
	return fd;
}

static int listen_all(struct master *master, unsigned *port)
{
	for (unsigned i = 0; i < master->workers; i++) {
		master->listeners[i] = listen_on(port);
		if (master->listeners[i] < 0) {
			fprintf(stderr, "slabd-demo: 127.0.0.1:%u: %s\n", *port,
				strerror(-master->listeners[i]));
			return master->listeners[i];
		}
	}
	return 0;
}

/* In the child. The listening socket goes by a duplicate, since libevent closes what it serves. */
static _Noreturn void become_worker(struct master *master, unsigned i, pid_t parent)
{
	int status;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	sigprocmask(SIG_SETMASK, &master->outside, NULL);
	status = worker_run(master->store, dup(master->listeners[i]));
	store_close(master->store);
	exit(status);
}

static bool start_worker(struct master *master, unsigned i)
{
	pid_t parent = getpid();

	fflush(NULL);
	master->pids[i] = fork();
	if (master->pids[i] == 0)
		become_worker(master, i, parent);
	if (master->pids[i] < 0)
		perror("slabd-demo: fork");
	return master->pids[i] > 0;
}

/* Replaces the worker if it was killed; one that ended by itself met an error. */
static bool bury_worker(struct master *master, unsigned i, int status)
{
	pid_t dead = master->pids[i];

	master->pids[i] = 0;
	if (!WIFSIGNALED(status) || master->deaths++ >= DEATHS_MAX) {
		fprintf(stderr, "slabd-demo: worker %d ended with status %d\n", dead,
			WEXITSTATUS(status));
		return false;
	}
	if (!start_worker(master, i))
		return false;
	printf("slabd-demo: worker %d was killed by signal %d; worker %d takes its place\n", dead,
	       WTERMSIG(status), master->pids[i]);
	fflush(stdout);
	return true;
}

static bool bury_all(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < master->workers; i++)
			if (master->pids[i] == pid && !bury_worker(master, i, status))
				return false;
	return true;
}

static bool stop_workers(struct master *master)
{
	bool good = true;
	int status;

	for (unsigned i = 0; i < master->workers; i++)
		if (master->pids[i] > 0)
			kill(master->pids[i], SIGTERM);
	for (unsigned i = 0; i < master->workers; i++)
		if (master->pids[i] > 0)
			good &= waitpid(master->pids[i], &status, 0) == master->pids[i] &&
				status == 0;
	return good;
}

static void announce(const struct master *master, unsigned port)
{
	printf("slabd-demo: workers");
	for (unsigned i = 0; i < master->workers; i++)
		printf(" %d", master->pids[i]);
	printf("\nslabd-demo: serving http://127.0.0.1:%u\n", port);
	fflush(stdout);
}

static bool serve(struct master *master, unsigned port)
{
	for (unsigned i = 0; i < master->workers; i++)
		if (!start_worker(master, i))
			return false;
	announce(master, port);
	for (;;) {
		int signal_number = sigwaitinfo(&master->signals, NULL);

		if (signal_number == SIGTERM || signal_number == SIGINT)
			return true;
		if (signal_number == SIGCHLD && !bury_all(master))
			return false;
	}
}

int master_run(struct store *store, unsigned workers, unsigned port)
{
	struct master master = {.store = store, .workers = workers};
	bool good;

	if (listen_all(&master, &port) < 0)
		return EXIT_FAILURE;
	sigemptyset(&master.signals);
	sigaddset(&master.signals, SIGCHLD);
	sigaddset(&master.signals, SIGTERM);
	sigaddset(&master.signals, SIGINT);
	sigprocmask(SIG_BLOCK, &master.signals, &master.outside);
	good = serve(&master, port);
	good &= stop_workers(&master);
	for (unsigned i = 0; i < workers; i++)
		close(master.listeners[i]);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
