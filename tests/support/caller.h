/* Clients on a front (front.h) that may say anything, and what slabd owes them for it: each request has
 * the one answer that it is due, a refusal one with a sentence; what may not come now ends its
 * connection and no other; only who was given a client's token goes on as that client.
 *
 * What is not so ends the test by abort(), with a line that says where. */
#ifndef TESTS_SUPPORT_CALLER_H
#define TESTS_SUPPORT_CALLER_H

#include "proto/slabd.pb-c.h"
#include "tests/support/front.h"
#include "tests/support/pool_fixture.h"

#define CALLERS		6u
#define CALLER_INFLIGHT 4u
#define CALLER_STRANGER 4711u /* another user */

/* A packet that was sent, and what is known of it. */
struct asked {
	unsigned verb; /* 0: it is none that slabd can read */
	uint64_t sequence;
	uint32_t resume_id, cache;
	bool entitled; /* to resume that client */
	bool stale;    /* it is about a cache that is no more, or never was */
};

struct caller {
	struct front_peer line;
	enum session_phase phase; /* as the answers tell */
	int32_t pid;
	uint32_t client;
	uint64_t token, sequence;
	struct asked asked[CALLER_INFLIGHT];
	unsigned n;
	bool lost; /* its session ended and its own words do not say why */
};

struct callers {
	struct pool_fixture *f;
	struct server *front;
	struct caller list[CALLERS];
	bool alloc;	/* they use what a refill brings */
	unsigned batch; /* for complaints */
	unsigned packets, fine, refused, ended, silent;
	struct { /* by the last answer */
		int status;
		uint64_t next;
		bool balanced;
	} heard;
};

/* On a pool in which a uid may have so many clients. */
void callers_open(struct callers *all, struct pool_fixture *f, uint32_t clients_per_uid);
void callers_close(struct callers *all);

static inline bool caller_is_there(const struct caller *caller)
{
	return caller->line.fd >= 0;
}

void caller_connect(struct callers *all, struct caller *caller);
/* Another user's from now on; as the process that runs the tests, or as one that can't be seen. */
void caller_disguise(struct caller *caller, bool unseen);
void caller_say(struct callers *all, struct caller *caller, const uint8_t *bytes, size_t n,
		const int *fds, unsigned nfds);
/* Whatever is under way. */
void caller_hang_up(struct callers *all, struct caller *caller);

/* All is answered that was said, and as it is due. */
void callers_settle(struct callers *all);

#define CALLERS_MUST(all, condition)                                           \
	do {                                                                   \
		if (!(condition))                                              \
			callers_complain(all, __FILE__, __LINE__, #condition); \
	} while (0)
void callers_complain(const struct callers *all, const char *file, int line, const char *what)
	__attribute__((noreturn));

#endif
