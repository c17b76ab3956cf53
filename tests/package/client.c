/* A client from outside of the project: works without a pause, and no call may fail.  For each line on
 * standard input it says "done" after a round that began later; at the end of input it ends. */
#include <errno.h>
#include <poll.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MANY 500

static void *objects[MANY];

static int round_of(struct slabd *slabd, struct slabd_cache *cache)
{
	struct slabd_cache *again;

	if (slabd_alloc_bulk(cache, 0, MANY, objects) != MANY)
		return -errno;
	slabd_free_bulk(cache, MANY, objects);
	int r = slabd_cache_open(slabd, "things", &again);
	if (r == 0)
		slabd_cache_close(again);
	return r == 0 ? slabd_cache_shrink(cache) : r;
}

int main(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	struct slabd_cache *cache;
	struct slabd *slabd;
	char line[16], *kept;
	int r = slabd_attach(&slabd, "/run/slabd/slabd.sock");

	if (r == 0)
		r = slabd_cache_open(slabd, "things", &cache);
	kept = r == 0 ? slabd_alloc(cache, SLABD_ZERO) : NULL;
	if (kept)
		strcpy(kept, "kept");
	while (kept && r == 0) {
		if (poll(&input, 1, 0) == 1) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				break;
			r = round_of(slabd, cache);
			if (r == 0 && (puts("done") < 0 || fflush(stdout) < 0))
				r = -EIO;
		} else {
			r = round_of(slabd, cache);
		}
	}
	if (!kept || r < 0 || strcmp(kept, "kept") != 0) {
		fprintf(stderr, "client: %s\n", slabd_error());
		return 1;
	}
	return 0;
}
