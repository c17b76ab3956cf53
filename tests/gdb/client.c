/* client.c SOCKET: has an object, one that it freed, and one of a child's; then stops. */
#include <signal.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct slabd *slabd;
static struct slabd_cache *cache;
char *mine, *freed, *theirs;
slabd_handle handle, stale;

static pid_t child_with(int fd)
{
	pid_t child = fork();

	if (child == 0) {
		void *object = slabd_alloc(cache, 0);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(fd, &object, sizeof(object)) == sizeof(object))
			pause();
		_exit(1);
	}
	return child;
}

__attribute__((noinline)) void stop(void)
{
	__asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 100};
	struct slabd_cache *empty;
	pid_t child;
	int fds[2];

	if (argc != 2 || slabd_attach(&slabd, argv[1]) < 0 ||
	    slabd_cache_create(slabd, "things", &args, &cache) < 0)
		return 1;
	args.flags = SLABD_STRICT | SLABD_RECLAIM;
	if (slabd_cache_create(slabd, "unused", &args, &empty) < 0 || pipe(fds) < 0)
		return 1;
	child = child_with(fds[1]);
	if (read(fds[0], &theirs, sizeof(theirs)) != sizeof(theirs))
		return 1;
	mine = slabd_alloc(cache, 0);
	freed = slabd_alloc(cache, 0);
	stale = slabd_handle_of(cache, freed);
	slabd_free(cache, freed);
	handle = slabd_handle_of(cache, mine);
	stop();
	kill(child, SIGKILL);
	wait(NULL);
	return 0;
}
