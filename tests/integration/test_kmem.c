/* A driver as one writes it for the kernel, on <slabd/kmem.h>: a table of connections with requests on
 * each, an error path that undoes what was done, and atomic allocation in the interrupt's place. */
#include <criterion/criterion.h>
#include <slabd/kmem.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

/* ---------------------------------------------------------------- the driver */

#define BATCH 64

struct widget_request {
	struct widget_request *next;
	unsigned id;
	char payload[52];
};

struct widget_conn {
	unsigned id;
	unsigned pending;
	struct widget_request *requests;
	void *buffer;
};

static struct kmem_cache *conn_cache, *request_cache, *buffer_cache;

static void widget_exit(void)
{
	kmem_cache_destroy(buffer_cache);
	kmem_cache_destroy(request_cache);
	kmem_cache_destroy(conn_cache);
	buffer_cache = request_cache = conn_cache = NULL;
}

static int widget_init(unsigned buffer_size)
{
	conn_cache = KMEM_CACHE(widget_conn, SLAB_HWCACHE_ALIGN | SLAB_PANIC);
	request_cache = KMEM_CACHE(widget_request, 0);
	if (!request_cache)
		goto no_requests;
	buffer_cache = kmem_cache_create("widget_buffer", buffer_size, 0, SLAB_HWCACHE_ALIGN, NULL);
	if (!buffer_cache)
		goto no_buffers;
	return 0;

no_buffers:
	kmem_cache_destroy(request_cache);
	request_cache = NULL;
no_requests:
	kmem_cache_destroy(conn_cache);
	conn_cache = NULL;
	return -ENOMEM;
}

static struct widget_conn *widget_open(unsigned id)
{
	struct widget_conn *conn = kmem_cache_zalloc(conn_cache, GFP_KERNEL);

	if (!conn)
		return NULL;
	conn->buffer = kmem_cache_alloc(buffer_cache, GFP_KERNEL);
	if (!conn->buffer) {
		kmem_cache_free(conn_cache, conn);
		return NULL;
	}
	conn->id = id;
	return conn;
}

/* As from an interrupt: it may not sleep, and says so if it can't. */
static int widget_submit(struct widget_conn *conn, unsigned id)
{
	struct widget_request *request = kmem_cache_alloc(request_cache, GFP_ATOMIC | __GFP_ZERO);

	if (!request)
		return -ENOMEM;
	request->id = id;
	request->next = conn->requests;
	conn->requests = request;
	conn->pending++;
	return 0;
}

static int widget_submit_many(struct widget_conn *conn, unsigned n)
{
	void *batch[BATCH];

	if (kmem_cache_alloc_bulk(request_cache, GFP_KERNEL, n, batch) != (int)n)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct widget_request *request = batch[i];

		request->id = i;
		request->next = conn->requests;
		conn->requests = request;
		conn->pending++;
	}
	return 0;
}

static void widget_complete(struct widget_conn *conn)
{
	void *batch[BATCH];
	size_t n = 0;

	while (conn->requests) {
		batch[n++] = conn->requests;
		conn->requests = conn->requests->next;
		conn->pending--;
		if (n == BATCH || !conn->requests) {
			kmem_cache_free_bulk(request_cache, n, batch);
			n = 0;
		}
	}
}

static void widget_close(struct widget_conn *conn)
{
	widget_complete(conn);
	kmem_cache_free(buffer_cache, conn->buffer);
	kmem_cache_free(conn_cache, conn);
}

/* ---------------------------------------------------------------- its test */

static struct daemon_fixture d;
static unsigned reports;

static void on_report(const char *message, void *arg)
{
	(void)message;
	(void)arg;
	reports++;
}

static void set_up(void)
{
	daemon_start(&d, NULL);
	setenv("SLABD_ADDRESS", d.socket, 1);
	slabd_set_error_handler(on_report, NULL);
}

static void tear_down(void)
{
	MUST(reports == 0);
	daemon_audit(&d);
	daemon_stop(&d);
}

TestSuite(kmem, .init = set_up, .fini = tear_down);

Test(kmem, driver)
{
	struct widget_conn *conns[100];
	struct daemon_cache seen;
	unsigned dry = 0;

	cr_assert_eq(widget_init(1500), 0, "%s", slabd_error());
	cr_assert(daemon_cache(&d, "widget_conn", &seen), "named after the struct");
	cr_assert_eq(kmem_cache_size(conn_cache), sizeof(struct widget_conn));
	cr_assert_eq(kmem_cache_size(buffer_cache), 1500);
	for (unsigned i = 0; i < 100; i++) {
		conns[i] = widget_open(i);
		cr_assert(conns[i]);
		cr_assert_eq(conns[i]->pending, 0);
		cr_assert_eq((uintptr_t)conns[i] % 32, 0);
		cr_assert_eq((uintptr_t)conns[i]->buffer % 64, 0);
		memset(conns[i]->buffer, (int)i, 1500);
		for (unsigned k = 0; k < 20; k++)
			while (widget_submit(conns[i], k) < 0) {
				dry++; /* as a driver would ask its device again */
				(void)daemon_stats(&d);
			}
		cr_assert_eq(widget_submit_many(conns[i], BATCH), 0);
	}
	cr_assert_lt(dry, 1000000u);
	cr_assert_eq(daemon_audit(&d).live, 100 * (2 + 20 + BATCH));
	for (unsigned i = 0; i < 100; i++) {
		cr_assert_eq(conns[i]->pending, 20 + BATCH);
		cr_assert_eq(((char *)conns[i]->buffer)[1499], (char)i);
		widget_close(conns[i]);
	}
	cr_assert_eq(daemon_audit(&d).live, 0);
	cr_assert_eq(kmem_cache_shrink(buffer_cache), 0);
	widget_exit();
	cr_assert_eq(daemon_stats(&d).caches, 0);
}

/* Its error path undoes what was done. */
Test(kmem, error_path)
{
	cr_assert_eq(widget_init(200000), -ENOMEM);
	cr_assert_eq(daemon_stats(&d).caches, 0);
	cr_assert_null(conn_cache);
	cr_assert_eq(widget_init(100), 0);
	widget_exit();
}

/* Out of memory in the middle of a connection. */
Test(kmem, no_memory)
{
	static struct widget_conn *conns[1000];
	unsigned n = 0;

	cr_assert_eq(widget_init(131072), 0);
	while ((conns[n] = widget_open(n)))
		n++;
	cr_assert_eq(errno, ENOMEM);
	cr_assert_gt(n, 300);
	cr_assert_eq(daemon_audit(&d).live, 2 * n, "the half-made one is undone");
	while (n--)
		widget_close(conns[n]);
	widget_exit();
}

static void construct(void *object)
{
	memset(object, 0, 8);
}

Test(kmem, refused)
{
	errno = 0;
	cr_assert_null(kmem_cache_create("thing", 64, 0, 0, construct));
	cr_assert_eq(errno, EINVAL, "there is no constructor");
	cr_assert_not_null(strstr(slabd_error(), "\"thing\": there are no constructors"));
	errno = 0;
	cr_assert_null(kmem_cache_create("bad name", 64, 0, 0, NULL));
	cr_assert_eq(errno, EINVAL);
	kmem_cache_destroy(NULL);
}

static void panic(void *arg)
{
	(void)arg;
	kmem_cache_create("thing", 0, 0, SLAB_PANIC, NULL);
}

Test(kmem, panics_if_told_to)
{
	cr_assert_eq(child_run(panic, NULL), 128 + 6);
}

static void no_daemon(void *arg)
{
	(void)arg;
	setenv("SLABD_ADDRESS", "/nowhere", 1);
	errno = 0;
	CHECK(!KMEM_CACHE(widget_conn, 0));
	CHECK(errno == ENOENT);
	setenv("SLABD_ADDRESS", d.socket, 1); /* the next call tries again */
	CHECK(KMEM_CACHE(widget_conn, 0));
}

Test(kmem, no_daemon)
{
	cr_assert_eq(child_run(no_daemon, NULL), 0);
}

/* As the kernel: a cache with objects is reported, and stays. */
Test(kmem, destroy_with_objects)
{
	struct widget_conn *conn;

	cr_assert_eq(widget_init(100), 0);
	conn = widget_open(1);
	kmem_cache_destroy(conn_cache);
	cr_assert_eq(conn->id, 1);
	widget_close(conn);
	widget_exit();
	cr_assert_eq(daemon_stats(&d).caches, 0);
}
