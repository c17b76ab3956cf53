/* client.c SOCKET PAIRS: meets every probe of the library, then does so many pairs of alloc and free. */
#include <slabd/slabd.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY 3000

static void quiet(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

int main(int argc, char **argv)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 64};
	static void *objects[MANY];
	struct slabd_cache *cache;
	struct slabd *slabd;
	void *object;

	if (argc != 3 || slabd_attach(&slabd, argv[1]) < 0 ||
	    slabd_cache_create(slabd, "probed", &args, &cache) < 0) {
		fprintf(stderr, "client: %s\n", slabd_error());
		return 1;
	}
	slabd_set_error_handler(quiet, NULL);
	object = slabd_alloc(cache, 0);
	slabd_free(cache, object);
	slabd_free(cache, object);
	if (slabd_alloc_bulk(cache, 0, MANY, objects) != MANY)
		return 1;
	slabd_free_bulk(cache, MANY, objects);
	for (long n = strtol(argv[2], NULL, 10); n; n--)
		slabd_free(cache, slabd_alloc(cache, 0));
	return slabd_cache_destroy(cache) < 0; /* so that the next client finds an empty depot */
}
