/* Deeper in the depot than what is warm, alloc pauses so that rounds can be fetched.  Whatever comes
 * between two pauses (a bulk, a free, a flush), every object comes once. */
#include <criterion/criterion.h>
#include <slabd/slabd.h>

#include "client/internal.h"
#include "tests/support/attached.h"

TestSuite(fetch, .init = attached_start, .fini = attached_stop, .timeout = 100);

Test(fetch, every_object_comes_once)
{
	enum { N = 6000, BULK = 37 };
	static void *objects[N];
	struct slabd_cache *cache = cache_of(slabd, "cold", 64, 0);
	unsigned paused = 0;

	for (unsigned i = 0; i < N; i++)
		cr_assert(objects[i] = slabd_alloc(cache, 0), "%s", slabd_error());
	for (unsigned i = 0; i < N; i++)
		slabd_free(cache, objects[i * 7919 % N]);
	for (unsigned i = 0, step = 0; i < N; step++) {
		unsigned some = step % 7 ? 1 : N - i < BULK ? N - i : BULK;

		paused += thread_slot(cache)->pause > 0;
		if (some > 1)
			cr_assert_eq(slabd_alloc_bulk(cache, 0, some, objects + i), some);
		else
			cr_assert(objects[i] = slabd_alloc(cache, step % 3 ? 0 : SLABD_ZERO));
		for (unsigned k = 0; k < some; k++, i++)
			object_fill(objects[i], 64, i);
		if (step % 50 == 0)
			slabd_flush(slabd);
		if (step % 11 == 0 && i < N) /* back onto the magazine that has a mark */
			slabd_free(cache, objects[--i]);
	}
	cr_assert_gt(paused, 0);
	for (unsigned i = 0; i < N; i++) {
		cr_assert(object_holds(objects[i], 64, i), "%u", i);
		slabd_free(cache, objects[i]);
	}
}
