/* The worker's event loop: listener, connections, pidfds, jobs, time. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/pool.h"

struct event_base;
struct server;
struct session;

/* arg and a signal number that was read from the signalfd; 0 for each second in which the loop came
 * round. */
typedef void (*server_signal_fn)(void *arg, int number);

/* Watches the clients that the pool already knows (of an earlier worker).  The fds stay the
 * caller's.  0, or -errno. */
int server_open(struct server **ret, struct pool *pool, int listener, int signals,
		server_signal_fn on_signal, void *arg);
int server_run(struct server *server); /* until server_stop; 0 or -errno */
void server_stop(struct server *server);
void server_close(struct server *server);

uint32_t server_connections(const struct server *server);

/* ---------------------------------------------------------------- for sessions */

struct event_base *server_base(struct server *server);
struct pool *server_pool(struct server *server);

/* PROTO_PACKET_MAX bytes, for one packet at a time. */
void *server_buffer(struct server *server);

/* May a line be logged about what a peer did wrong? */
bool server_may_log(struct server *server);

/* A session's process is watched by this pidfd, which is the server's from now on; the session is
 * the one that its client talks through, and an earlier one ends.  If the process is dead already,
 * the loop finds out.  pidfd -1: the one that is watched already stays.  0, or -errno. */
int server_watch(struct server *server, struct session *session, int pidfd);

/* Its client detached: the process may go on for as long as it likes. */
void server_unwatch(struct server *server, struct session *session);

/* Kills the process of this pid if it is a client's; dispatch_evicted says when what it held is back,
 * or why not. */
void server_evict(struct server *server, struct session *session, int32_t pid);

/* It said hello; before its phase changes. */
void server_spoke(struct server *server, struct session *session);

/* It is over, and is freed when the loop comes round. */
void server_ended(struct server *server, struct session *session);

/* After whatever may have queued a job. */
void server_jobs(struct server *server);

#endif
