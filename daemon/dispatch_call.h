/* What the dispatch*.c share: one request on its way to its answer. */
#ifndef DAEMON_DISPATCH_CALL_H
#define DAEMON_DISPATCH_CALL_H

#include "daemon/session.h"
#include "proto/slabd.pb-c.h"

struct call {
	struct session *session;
	struct pool *pool;
	const Slabd__Request *request;
	int offered; /* a descriptor that came along; -1: none */

	/* the answer, unless a job gives it later */
	struct result result;
	bool pending;
	bool last; /* the connection ends after it */
	Slabd__Reply reply;
	union {
		Slabd__Welcome welcome;
		Slabd__CacheInfo cache;
		Slabd__StatsReply stats;
		Slabd__CacheSetReply cache_set;
		Slabd__EventsReply events;
	};
	int fds[3];
	unsigned nfds;
};

#define FAIL(result, code, ...) \
	(snprintf((result)->why, sizeof((result)->why), __VA_ARGS__), (result)->status = (code))

/* The answer comes from a job: notes what it will need.  Before the job is started. */
void call_pend(struct call *call);

/* Sends the reply to what is pending; status and error are taken from result. */
void call_answer(struct session *session, Slabd__Reply *reply, const struct result *result);

/* Sends the call's own answer, with its descriptors. */
void call_send(struct call *call, uint64_t sequence);

/* The end of a job that has nothing but a result; arg is the session. */
void call_result(void *arg, const struct result *result);

/* There is no cache of that name. */
void call_no_cache(struct result *result, const char *name);

/* A process's name as it can stand anywhere, in 16 bytes: it may call itself what it likes. */
void call_comm(char *to, const char *comm);

/* Who comes and leaves (dispatch_hello.c). */
void hello_handler(struct call *call);
void detach_handler(struct call *call);

/* Verbs on caches (dispatch_caches.c). */
void create_handler(struct call *call);
void open_handler(struct call *call);
void close_handler(struct call *call);
void destroy_handler(struct call *call);
void shrink_handler(struct call *call);
void set_handler(struct call *call);

/* Verbs that report, and those for operators (dispatch_reports.c). */
void report_stats(struct call *call);
void report_caches(struct call *call);
void report_clients(struct call *call);
void report_audit(struct call *call);
void report_orphans(struct call *call); /* dispatch_orphans.c */
void report_events(struct call *call);	/* dispatch_events.c */

#endif
