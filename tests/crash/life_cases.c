/* What a client does besides moving objects, as victims: it loads, attaches, puts back, leaves. */
#include "tests/crash/client_shapes.h"

#include <limits.h>
#include <pthread.h>

/* ---------------------------------------------------------------- shapes */

static void no_table(void)
{
	slabd_fast_slots = world.no_slots;
}

/* A second cache is open, and another attachment's (the survivor's, as a child inherits it). */
static void plain_and_strict(void)
{
	struct slabd_cache *first;

	plain_two_magazines();
	first = my_cache;
	if (slabd_cache_open(me, "strict", &my_cache) < 0)
		die("victim: %s", slabd_error());
	take(1);
	my_cache = first;
}

static void plain_second_thread_works(void)
{
	plain_second_thread();
	take(1);
}

/* ---------------------------------------------------------------- coming */

/* As when the library is loaded: an operation, since whatever is of it runs before main. */
static void do_load(void)
{
	void (*init)(void) = (void (*)(void))symbol_find("process_init"); // NOLINT

	init();
}

static void do_load_without_key(void)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX];

	for (unsigned i = 0; i < PTHREAD_KEYS_MAX && !pthread_key_create(&keys[i], NULL); i++)
		;
	do_load();
}

static void do_attach(void)
{
	if (slabd_attach(&me, "crash") == 0 && slabd_cache_open(me, "plain", &my_cache) == 0)
		slabd_alloc(my_cache, 0);
}

/* ---------------------------------------------------------------- putting back, leaving */

static void do_flush(void)
{
	slabd_flush(me);
}

static void do_flush_none(void)
{
	slabd_flush(NULL);
}

static void do_shrink(void)
{
	slabd_cache_shrink(my_cache);
}

static void do_exit(void)
{
	pthread_exit(NULL);
}

static void do_close(void)
{
	slabd_cache_close(my_cache);
}

static void do_detach(void)
{
	slabd_detach(me);
}

const struct crash_case life_cases[] = {
	CASE("load", PLAIN, plain, do_load, .from = "process_init"),
	CASE("load, no key", PLAIN, plain, do_load_without_key, .from = "process_init"),
	CASE("flush, two caches", PLAIN, plain_and_strict, do_flush),
	CASE("flush, no table", PLAIN, plain_thread, do_flush),
	CASE("flush, nothing", PLAIN, plain_1, do_flush_none),
	CASE("thread exit", PLAIN, plain_parked, do_exit, .from = "on_thread_exit"),
	CASE("thread exit, another stays", PLAIN, plain_second_thread_works, do_exit,
	     .from = "on_thread_exit"),
	CASE("close", PLAIN, plain_two_magazines, do_close, .core = true),
	CASE("close, two threads", PLAIN, plain_two_threads, do_close),
	CASE("shrink", PLAIN, plain_two_magazines, do_shrink),
	CASE("shrink, parked", PLAIN, plain_parked, do_shrink),
	CASE("attach", PLAIN, no_table, do_attach),
	CASE("detach", PLAIN, plain_and_strict, do_detach),
};

const unsigned life_cases_n = sizeof(life_cases) / sizeof(*life_cases);
