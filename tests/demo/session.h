/* What the server's processes share. Every struct here lies in slabd's memory, in objects of three
 * caches, and names other objects by handle only, so it means the same to every process.
 *
 *	cache		object			who frees it
 *	demo-sessions	struct session		whichever worker is asked to
 *	demo-responses	struct response		its worker, when the answer has left; dies with its worker
 *	demo-index	struct index_root,	the last, by --clear
 *			struct index_page
 *
 *	root of demo-index ──▶ index_root ──▶ 256 index_page ──▶ 64 bucket ──▶ session ──▶ session
 *
 * A bucket's mutex is robust, and each change of its chain is one store of a handle. So a worker
 * that is killed inside leaves a chain that is whole, as it was before the change or after it. */
#ifndef DEMO_SESSION_H
#define DEMO_SESSION_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <slabd/slabd.h>

#define SESSION_BYTES	 256
#define SESSION_TEXT_MAX 216
#define RESPONSE_BYTES	 2048
#define PAGE_BUCKETS	 64
#define INDEX_PAGES	 256
#define INDEX_MAGIC	 UINT64_C(0x5e55104deb0c0de1)

/* Written once, before the session is linked: an update puts a new object in the old one's place. */
struct session {
	uint64_t id;
	uint32_t maker;	  /* pid of the worker that created the session */
	uint32_t writer;  /* pid of the worker that wrote this state of it: the object's owner */
	uint32_t updates; /* states before this one */
	uint32_t length;  /* of text */
	uint64_t sum;	  /* over everything but itself and next */
	_Atomic slabd_handle next;
	char text[SESSION_TEXT_MAX];
};

struct response {
	char text[RESPONSE_BYTES];
};

struct bucket {
	pthread_mutex_t lock;
	_Atomic slabd_handle first;
	uint64_t reserved[2];
};

struct index_page {
	struct bucket buckets[PAGE_BUCKETS];
};

/* What all workers did together; "foreign" counts what was done to another worker's object. */
struct tally {
	_Atomic uint64_t created;
	_Atomic uint64_t read, read_foreign;
	_Atomic uint64_t updated, updated_foreign;
	_Atomic uint64_t deleted, deleted_foreign;
	_Atomic uint64_t damaged;	   /* sessions whose content was not what was signed */
	_Atomic uint64_t locks_taken_over; /* from a worker that died in the bucket */
};

struct index_root {
	uint64_t magic;
	struct tally tally;
	slabd_handle pages[INDEX_PAGES];
};

static_assert(sizeof(struct session) == SESSION_BYTES, "session");
static_assert(sizeof(struct bucket) == 64, "bucket");
static_assert(sizeof(struct index_root) <= sizeof(struct index_page), "one cache holds both");

#endif
