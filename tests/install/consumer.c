/*
 * What a user's first program does, against the installed tree: attach where there is no daemon, and
 * get a negative errno and a sentence that names the address. Compiled as C and as C++.
 */
#include <slabd/kmem.h>
#include <slabd/slabd.h>
#include <stdio.h>
#include <string.h>

#define NOWHERE "/nonexistent/slabd.sock"

int main(void)
{
	struct slabd *pool = NULL;
	int r = slabd_attach(&pool, NOWHERE);

	if (r >= 0) {
		fprintf(stderr, "attach to %s: %d, expected a negative errno\n", NOWHERE, r);
		return 1;
	}
	if (!slabd_error() || !strstr(slabd_error(), NOWHERE)) {
		fprintf(stderr, "slabd_error() does not name %s: %s\n", NOWHERE, slabd_error());
		return 1;
	}
	printf("%d: %s\n", r, slabd_error());
	return 0;
}
