/* One object to each tier, as victims: by its address, by its handle; and adopting one. */
#include "tests/crash/client_shapes.h"

/* ---------------------------------------------------------------- free */

static void do_free(void)
{
	slabd_free(my_cache, objects[0]);
}

static void do_free_null(void)
{
	slabd_free(my_cache, NULL);
}

/* loaded is full, previous has room */
static void plain_free_swap(void)
{
	plain();
	take(ROUNDS + 1);
	give(1);
}

/* The depot has no empty magazine, but one with room. */
static void plain_no_empty(void)
{
	struct slabd_fast_slot *slot;
	struct claim claim;
	uint32_t cursor = 0;
	void *loaded;

	plain_both_full();
	slot = thread_slot(my_cache);
	loaded = slot->loaded;
	hog(MAGAZINE_EMPTY, UINT32_MAX);
	claim = depot_claim(&my_cache->view, MAGAZINE_FULL, slot->me, UINT32_MAX, &cursor);
	if (!claim.magazine)
		die("victim: no magazine with rounds");
	slot->loaded = claim.magazine;
	take(1);
	slot->loaded = loaded;
	depot_put(&my_cache->view, claim.index, claim.magazine);
}

static void plain_no_room_theirs(void)
{
	plain_no_room();
	front(theirs(0));
}

static void strict_no_room(void)
{
	strict();
	take(3 * ROUNDS);
	give(2 * ROUNDS);
	hog_all();
}

static void plain_parked_twice(void)
{
	plain_parked();
	hogged_n++; /* no, that magazine is not there after all */
	hog_all();
}

static void plain_theirs(void)
{
	plain_1();
	front(theirs(0));
}

static void plain_orphan(void)
{
	plain_1();
	front(orphan());
}

static void plain_first_and_locked(void)
{
	plain();
	be_impatient();
	pthread_mutex_lock(&me->identity->lock);
	front(theirs(0));
}

static void plain_theirs_at_first(void)
{
	plain();
	front(theirs(0));
}

static void strict_theirs(void)
{
	strict_2();
	front(theirs(0));
}

static void reclaim_theirs(void)
{
	reclaim_2();
	front(theirs(0));
}

static void plain_twice(void)
{
	plain_2();
	slabd_free(my_cache, objects[0]);
}

static void plain_foreign(void)
{
	plain_2();
	front(&objects_n);
}

static void plain_inner(void)
{
	plain_2();
	front((char *)objects[0] + 16);
}

static void plain_alone(void)
{
	plain_2();
	alone();
}

static void plain_alone_twice(void)
{
	plain_2();
	slabd_free(my_cache, objects[0]);
	alone();
}

/* ---------------------------------------------------------------- by handle */

static slabd_handle handle;

static void do_free_handle(void)
{
	slabd_free_handle(my_cache, handle);
}

static void do_adopt(void)
{
	slabd_adopt(my_cache, handle);
}

static void by_handle(void *object)
{
	handle = slabd_handle_of(my_cache, object);
	if (!handle)
		die("victim: %s", slabd_error());
}

static void plain_own_handle(void)
{
	plain_2();
	by_handle(objects[0]);
}

static void plain_their_handle(void)
{
	plain_2();
	by_handle(theirs(0));
}

/* Of the life before this one. */
static void plain_stale_handle_alive(void)
{
	plain_their_handle();
	handle = handle_make(handle_cache(handle), handle_generation(handle) - 1,
			     handle_ref(handle));
}

static void plain_their_handle_at_first(void)
{
	plain();
	by_handle(theirs(0));
}

static void plain_orphan_handle(void)
{
	plain_2();
	by_handle(orphan());
}

static void strict_their_handle(void)
{
	strict_2();
	by_handle(theirs(0));
}

static void reclaim_their_handle(void)
{
	reclaim_2();
	by_handle(theirs(0));
}

static void plain_stale_handle(void)
{
	plain_own_handle();
	slabd_free(my_cache, objects[0]);
}

/* It gets stale between the look and the claim. */
static void do_free_generation(void)
{
	free_generation(my_cache, handle_ref(handle), handle_generation(handle) + 1,
			clock_deadline_short());
}

static void plain_handle_no_room(void)
{
	plain_no_room();
	by_handle(objects[0]);
}

static void plain_handle_alone(void)
{
	plain_own_handle();
	alone();
}

const struct crash_case free_cases[] = {
	CASE("free, magazine", PLAIN, plain_2, do_free, .core = true),
	CASE("free, nothing", PLAIN, plain_2, do_free_null),
	CASE("free, swap", PLAIN, plain_free_swap, do_free),
	CASE("free, claim", PLAIN, plain_both_full, do_free),
	CASE("free, claim one with room", PLAIN, plain_no_empty, do_free),
	CASE("free, park", PLAIN, plain_no_room, do_free),
	CASE("free, park another's", PLAIN, plain_no_room_theirs, do_free),
	CASE("free, park, strict", STRICT, strict_no_room, do_free),
	CASE("free, resumes what is parked", PLAIN, plain_parked, do_free),
	CASE("free, park once more", PLAIN, plain_parked_twice, do_free),
	CASE("free, another's", PLAIN, plain_theirs, do_free, .core = true),
	CASE("free, another's at first", PLAIN, plain_theirs_at_first, do_free),
	CASE("free, at first, no lock", PLAIN, plain_first_and_locked, do_free),
	CASE("free, orphan", PLAIN, plain_orphan, do_free, .orphan = true),
	CASE("free, strict", STRICT, strict_2, do_free),
	CASE("free, strict, another's", STRICT, strict_theirs, do_free),
	CASE("free, reclaim", RECLAIM, reclaim_2, do_free),
	CASE("free, reclaim, another's", RECLAIM, reclaim_theirs, do_free),
	CASE("free, twice", PLAIN, plain_twice, do_free),
	CASE("free, foreign pointer", PLAIN, plain_foreign, do_free),
	CASE("free, inner pointer", PLAIN, plain_inner, do_free),
	CASE("free, slabd out of reach", PLAIN, plain_alone, do_free),
	CASE("free, twice, slabd out of reach", PLAIN, plain_alone_twice, do_free),

	CASE("free_handle", PLAIN, plain_own_handle, do_free_handle),
	CASE("free_handle, another's", PLAIN, plain_their_handle, do_free_handle),
	CASE("free_handle, at first", PLAIN, plain_their_handle_at_first, do_free_handle),
	CASE("free_handle, strict", STRICT, strict_their_handle, do_free_handle),
	CASE("free_handle, stale", PLAIN, plain_stale_handle, do_free_handle),
	CASE("free_handle, stale, alive again", PLAIN, plain_stale_handle_alive, do_free_handle),
	CASE("free_handle, stale at the last", PLAIN, plain_own_handle, do_free_generation),
	CASE("free_handle, park", PLAIN, plain_handle_no_room, do_free_handle),
	CASE("free_handle, out of reach", PLAIN, plain_handle_alone, do_free_handle),
	CASE("adopt", PLAIN, plain_their_handle, do_adopt, .core = true),
	CASE("adopt, at first", PLAIN, plain_their_handle_at_first, do_adopt),
	CASE("adopt, own", PLAIN, plain_own_handle, do_adopt),
	CASE("adopt, orphan", PLAIN, plain_orphan_handle, do_adopt, .orphan = true),
	CASE("adopt, strict", STRICT, strict_their_handle, do_adopt),
	CASE("adopt, reclaim", RECLAIM, reclaim_their_handle, do_adopt),
	CASE("adopt, stale", PLAIN, plain_stale_handle, do_adopt),
	CASE("adopt, stale, alive again", PLAIN, plain_stale_handle_alive, do_adopt),
};

const unsigned free_cases_n = sizeof(free_cases) / sizeof(*free_cases);
