/* Many objects in one call, as victims. */
#include "tests/crash/client_shapes.h"

static size_t bulk;
static unsigned bulk_flags;

/* ---------------------------------------------------------------- shapes */

static void plain_bulk_2(void)
{
	plain_1();
	bulk = 2;
}

static void plain_bulk_3(void)
{
	plain_3();
	give(3);
	bulk = 3;
}

static void plain_bulk_7(void)
{
	plain_1();
	bulk = 7;
}

static void plain_bulk_zero(void)
{
	plain_1();
	bulk = 2;
	bulk_flags = SLABD_ZERO;
}

static void plain_bulk_none(void)
{
	plain_1();
	bulk_flags = SLABD_ZERO;
}

static void plain_bulk_dry(void)
{
	plain_1();
	bulk = MOST;
	bulk_flags = SLABD_NOWAIT;
}

static void plain_bulk_full(void)
{
	plain_1();
	bulk = MOST;
}

static void plain_bulk_huge(void)
{
	plain_1();
	bulk = SIZE_MAX;
}

static void plain_bulk_badly(void)
{
	plain_1();
	bulk = 2;
	bulk_flags = 0x80;
}

static void plain_free_3(void)
{
	plain_3();
	bulk = 3;
}

static void plain_free_7(void)
{
	plain();
	take(7);
	bulk = 7;
}

/* Own and others', one twice, one that is none. */
static void plain_free_mixed(void)
{
	plain();
	take(5);
	objects[1] = theirs(0);
	objects[2] = objects[0];
	objects[3] = &bulk;
	objects[5] = theirs(1);
	bulk = 6;
}

/* Each claimed, the next ones' lines asked for; more of them than are asked for at once. */
static void plain_free_theirs(void)
{
	plain();
	take(SLABD_FAST_AHEAD + 2);
	bulk = objects_n;
	objects[0] = theirs(0);
	objects[1] = theirs(1);
}

static void strict_free_3(void)
{
	strict();
	take(3);
	objects[1] = theirs(0);
	bulk = 3;
}

/* ---------------------------------------------------------------- bulk */

static void do_alloc_bulk(void)
{
	slabd_alloc_bulk(my_cache, bulk_flags, bulk, objects);
}

static void do_free_bulk(void)
{
	slabd_free_bulk(my_cache, bulk, objects);
}

const struct crash_case bulk_cases[] = {
	CASE("alloc_bulk, magazine", PLAIN, plain_bulk_2, do_alloc_bulk, .deep = true),
	CASE("alloc_bulk, whole magazine", PLAIN, plain_bulk_3, do_alloc_bulk),
	CASE("alloc_bulk, more than one", PLAIN, plain_bulk_7, do_alloc_bulk),
	CASE("alloc_bulk, ZERO", PLAIN, plain_bulk_zero, do_alloc_bulk),
	CASE("alloc_bulk, dry, NOWAIT", PLAIN, plain_bulk_dry, do_alloc_bulk),
	CASE("alloc_bulk, heap full", PLAIN, plain_bulk_full, do_alloc_bulk),
	CASE("alloc_bulk, huge", PLAIN, plain_bulk_huge, do_alloc_bulk),
	CASE("alloc_bulk, unknown flag", PLAIN, plain_bulk_badly, do_alloc_bulk),
	CASE("alloc_bulk, nothing", PLAIN, plain_1, do_alloc_bulk),
	CASE("alloc_bulk, nothing, ZERO", PLAIN, plain_bulk_none, do_alloc_bulk),
	CASE("free_bulk, magazine", PLAIN, plain_free_3, do_free_bulk, .deep = true),
	CASE("free_bulk, more than one", PLAIN, plain_free_7, do_free_bulk),
	CASE("free_bulk, all sorts", PLAIN, plain_free_mixed, do_free_bulk),
	CASE("free_bulk, others'", PLAIN, plain_free_theirs, do_free_bulk),
	CASE("free_bulk, strict", STRICT, strict_free_3, do_free_bulk),
};

const unsigned bulk_cases_n = sizeof(bulk_cases) / sizeof(*bulk_cases);
