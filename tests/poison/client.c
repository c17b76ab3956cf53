/* client.c SOCKET CASE: one use of objects. The cases that begin with "bad" read what they freed, and must
 * not live to return; the others are right, and must meet no complaint. Built with -DINLINED too. */
#ifdef INLINED
#include <slabd/fast.h>
#else
#include <slabd/slabd.h>
#endif
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 300

static struct slabd *slabd;
static struct slabd_cache *cache;
static char *many[MANY];

/* Near its edges valgrind would speak of a neighbour. */
static int look(const char *object)
{
	return ((const volatile char *)object)[50] == 'x' ? 3 : 0;
}

static int bad_free(void)
{
	char *object = slabd_alloc(cache, 0);

	slabd_free(cache, object);
	return look(object);
}

static int bad_strict(void)
{
	struct slabd_cache_args args = {
		.size_of_args = sizeof(args), .object_size = 100, .flags = SLABD_STRICT};
	struct slabd_cache *strict;
	char *object;

	if (slabd_cache_create(slabd, "strict", &args, &strict) < 0)
		return 1;
	object = slabd_alloc(strict, SLABD_ZERO);
	slabd_free(strict, object);
	return look(object);
}

static int bad_bulk(void)
{
	if (slabd_alloc_bulk(cache, 0, MANY, (void **)many) != MANY)
		return 1;
	slabd_free_bulk(cache, MANY, (void *const *)many);
	return look(many[MANY / 2]);
}

static int bad_handle(void)
{
	char *object = slabd_alloc(cache, 0);

	if (slabd_free_handle(cache, slabd_handle_of(cache, object)) < 0)
		return 1;
	return look(object);
}

static int bad_adopted(void)
{
	char *object = slabd_alloc(cache, 0);

	object = slabd_adopt(cache, slabd_handle_of(cache, object));
	slabd_free(cache, object);
	return look(object);
}

/* What comes back by alloc, singly and in bulk, is open, whole, and may be freed again. */
static int alloc_again(void)
{
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			many[i] = slabd_alloc(cache, i & 1 ? SLABD_ZERO : 0);
			memset(many[i], 'a', 100);
		}
		for (int i = 0; i < MANY; i++)
			slabd_free(cache, many[i]);
		if (slabd_alloc_bulk(cache, SLABD_ZERO, MANY, (void **)many) != MANY)
			return 1;
		for (int i = 0; i < MANY; i++)
			memset(many[i], 'b', 100);
		slabd_free_bulk(cache, MANY, (void *const *)many);
	}
	return 0;
}

/* Another process allocates the very object that this one freed, and passes it by handle. */
static slabd_handle theirs(const char *object)
{
	slabd_handle handle = 0;
	int fds[2];

	slabd_flush(slabd);
	if (pipe(fds) < 0)
		return 0;
	if (fork() == 0) {
		char *mine;

		for (int i = 0; (mine = slabd_alloc(cache, 0)); i++)
			if (mine == object)
				break;
		if (!mine)
			_exit(1);
		strcpy(mine, "theirs");
		handle = slabd_handle_of(cache, mine);
		_exit(write(fds[1], &handle, sizeof(handle)) != sizeof(handle));
	}
	close(fds[1]);
	if (read(fds[0], &handle, sizeof(handle)) != sizeof(handle))
		handle = 0;
	close(fds[0]);
	wait(NULL);
	return handle;
}

static int get_theirs(void)
{
	char *object = slabd_alloc(cache, 0), *again;
	slabd_handle handle;

	slabd_free(cache, object);
	handle = theirs(object);
	again = slabd_get(cache, handle);
	return !again || again != slabd_get(cache, handle) || strcmp(again, "theirs") != 0;
}

static int adopt_theirs(void)
{
	char *object = slabd_alloc(cache, 0), *again;

	slabd_free(cache, object);
	again = slabd_adopt(cache, theirs(object));
	if (!again || strcmp(again, "theirs") != 0)
		return 1;
	slabd_free(cache, again); /* valgrind heard of it from adopt alone */
	return 0;
}

/* An object that another process frees is open here when it comes back, and is a new block. */
static int freed_by_others(void)
{
	char *object = slabd_alloc(cache, 0);
	int status;

	if (fork() == 0) {
		slabd_free(cache,
			   slabd_alloc(cache, 0)); /* waits for an identity, as a free does not */
		slabd_free(cache, object);
		slabd_flush(slabd);
		_exit(0);
	}
	wait(&status);
	for (int i = 0; i < 20000; i++) {
		char *again = slabd_alloc(cache, 0);

		if (again == object) {
			*again = 'a';
			slabd_free(cache, again);
			return status;
		}
	}
	return 1;
}

static int quiet_calls;

static void quiet(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	quiet_calls++;
}

/* A refused free poisons nothing: the object is somebody's. */
static int refused(void)
{
	char *object = slabd_alloc(cache, 0);

	slabd_set_error_handler(quiet, NULL);
	slabd_free(cache, object + 16);
	object[16] = 'a';
	slabd_free(cache, object);
	slabd_free(cache, object);
	return quiet_calls != 2;
}

/* After detach the addresses are anyone's. */
static int detached(void)
{
	char *object = slabd_alloc(cache, 0), *page;

	slabd_free(cache, object);
	slabd_detach(slabd);
	page = mmap((void *)((uintptr_t)object & ~(uintptr_t)4095), 8192, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (page == MAP_FAILED)
		return 1;
	*object = 'a';
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} cases[] = {
	{"bad-free", bad_free},
	{"bad-strict", bad_strict},
	{"bad-bulk", bad_bulk},
	{"bad-handle", bad_handle},
	{"bad-adopted", bad_adopted},
	{"alloc-again", alloc_again},
	{"get-theirs", get_theirs},
	{"adopt-theirs", adopt_theirs},
	{"freed-by-others", freed_by_others},
	{"refused", refused},
	{"detached", detached},
};

int main(int argc, char **argv)
{
	struct slabd_cache_args args = {.size_of_args = sizeof(args), .object_size = 100};

	if (argc == 1) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
			puts(cases[i].name);
		return 0;
	}
	if (argc != 3 || slabd_attach(&slabd, argv[1]) < 0 ||
	    slabd_cache_create(slabd, "poisoned", &args, &cache) < 0) {
		fprintf(stderr, "client: %s\n", slabd_error());
		return 1;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (strcmp(argv[2], cases[i].name) == 0)
			return cases[i].run();
	return 2;
}
