/* What a client asks of slabd, and the processes and threads that it makes. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/storm/client.h"

#define THREAD_MOST 24u
#define OWN_SIZE    48u

/* ---------------------------------------------------------------- what asks slabd */

void client_flush(struct client *c, unsigned cache)
{
	(void)cache;
	slabd_flush(c->slabd);
}

void client_shrink(struct client *c, unsigned cache)
{
	if (slabd_cache_shrink(client_cache(c, cache)) < 0)
		storm_failed("shrink %s: %s", kinds[cache].name, slabd_error());
	client_count(c, COUNT_SHRINKS);
}

void client_open_and_close(struct client *c, unsigned cache)
{
	struct slabd_cache *mine = client_cache(c, cache), *again;

	if (slabd_cache_open(c->slabd, kinds[cache].name, &again) < 0) {
		storm_failed("open %s: %s", kinds[cache].name, slabd_error());
		return;
	}
	if (again != mine)
		storm_violated("open %s: another cache has the name", kinds[cache].name);
	slabd_cache_close(again);
}

/* All the way: the last close here, and an open; the objects stay ours. */
void client_reopen(struct client *c, unsigned cache)
{
	slabd_cache_close(client_cache(c, cache));
	if (slabd_cache_open(c->slabd, kinds[cache].name, &c->caches[cache]) < 0) {
		storm_failed("open %s: %s", kinds[cache].name, slabd_error());
		_exit(1);
	}
}

/* A cache of this place's own is made, used, and destroyed; a predecessor's objects may be in it. */
void client_own_cache(struct client *c, unsigned unused)
{
	struct slabd_cache_args args = {
		.size_of_args = sizeof(args), .object_size = OWN_SIZE, .flags = SLABD_RECLAIM};
	struct slabd_cache *cache;
	char name[32];
	int r;

	(void)unused;
	snprintf(name, sizeof(name), "own-%u", c->place);
	if (slabd_cache_create(c->slabd, name, &args, &cache) < 0) {
		storm_failed("create %s: %s", name, slabd_error());
		return;
	}
	for (unsigned i = client_draw(c, 40); i; i--) {
		void *object = slabd_alloc(cache, 0);

		if (!object && errno != ENOMEM)
			storm_failed("alloc, %s: %s", name, slabd_error());
		if (client_draw(c, 2))
			slabd_free(cache, object);
	}
	r = slabd_cache_destroy(cache);
	if (r == -EBUSY) {
		client_count(c, COUNT_BUSY);
		slabd_cache_close(cache);
	} else if (r < 0) {
		storm_failed("destroy %s: %s", name, slabd_error());
	} else {
		client_count(c, COUNT_CACHES);
	}
}

/* ---------------------------------------------------------------- threads and children */

struct thread_job {
	struct slabd_cache *cache;
	void *objects[THREAD_MOST];
	unsigned n;
	bool failed;
	char error[200];
};

/* Every third object it frees itself, and its magazines at its end. */
static void *thread_run(void *arg)
{
	struct thread_job *job = arg;
	unsigned n = 0;

	for (unsigned i = 0; i < job->n; i++) {
		void *object = slabd_alloc(job->cache, 0);

		if (!object) {
			job->failed = errno != ENOMEM;
			snprintf(job->error, sizeof(job->error), "%s", slabd_error());
			break;
		}
		if (i % 3 == 2)
			slabd_free(job->cache, object);
		else
			job->objects[n++] = object;
	}
	job->n = n;
	return NULL;
}

void client_thread(struct client *c, unsigned cache)
{
	struct thread_job job = {.cache = client_cache(c, cache), .n = client_draw(c, THREAD_MOST)};
	unsigned room = client_most(cache) - c->n[cache];
	pthread_t thread;

	if (job.n > room)
		job.n = room;
	if (pthread_create(&thread, NULL, thread_run, &job) != 0)
		return;
	pthread_join(thread, NULL);
	if (job.failed)
		storm_failed("alloc in a thread, %s: %s", kinds[cache].name, job.error);
	for (unsigned i = 0; i < job.n; i++)
		client_keep_new(c, cache, job.objects[i]);
	client_count(c, COUNT_THREADS);
}

/* A client of its own, without a word to anyone; what it does not free is left to the sweep.  It does
 * not write into the ledger. */
static void __attribute__((noreturn)) child_run(struct client *c, unsigned cache)
{
	void *objects[THREAD_MOST];
	slabd_handle handles[THREAD_MOST];
	unsigned n = client_draw(c, THREAD_MOST);
	uint64_t me = UINT64_C(1) << 39 | c->place;

	for (unsigned i = 0; i < n; i++) {
		objects[i] = slabd_alloc(client_cache(c, cache), 0);
		if (!objects[i] && errno != ENOMEM)
			storm_failed("alloc in a forked child, %s: %s", kinds[cache].name,
				     slabd_error());
		if (!objects[i])
			_exit(0);
		handles[i] = slabd_handle_of(client_cache(c, cache), objects[i]);
		content_sign(objects[i], kinds[cache].size, handles[i], me);
	}
	for (unsigned i = 0; i < n; i++) {
		content_check(objects[i], kinds[cache].size, handles[i], me, "in a forked child");
		if (i % 3)
			slabd_free(client_cache(c, cache), objects[i]);
	}
	_exit(0);
}

void client_fork(struct client *c, unsigned cache)
{
	pid_t self = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(0);
		child_run(c, cache);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	client_count(c, COUNT_FORKS);
}
