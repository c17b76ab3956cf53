/* The worker's event loop: listener, connections, pidfds, jobs, time. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/pool.h"

struct event_base;
struct server;
struct session;
struct watches;

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
struct watches *server_watches(struct server *server);

/* PROTO_PACKET_MAX bytes, for one packet at a time. */
void *server_buffer(struct server *server);

/* May a line be logged about what a peer did wrong? */
bool server_may_log(struct server *server);

/* It said hello; before its phase changes. */
void server_spoke(struct server *server, struct session *session);

/* It is over, and is freed when the loop comes round. */
void server_ended(struct server *server, struct session *session);

/* After whatever may have queued a job. */
void server_jobs(struct server *server);

#endif
