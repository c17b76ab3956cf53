/* The processes of clients, each watched until it ends. */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include <stdint.h>

struct server;
struct session;
struct watches;

/* Watches the clients that the pool already knows (of an earlier worker).  0, or -errno. */
int watches_open(struct watches **ret, struct server *server);
void watches_close(struct watches *watches); /* NULL: nothing */

/* A session's process is watched by this pidfd, which is the watch's from now on; the session is
 * the one that its client talks through, and an earlier one ends.  If the process is dead already,
 * the loop finds out.  pidfd -1: the one that is watched already stays.  0, or -errno. */
int watch_client(struct session *session, int pidfd);

/* Its client detached: the process may go on for as long as it likes. */
void watch_stop(struct session *session);

/* Its client, if it has one, lingers; and it waits for nobody's end any more. */
void watch_session_ended(struct session *session);

/* Kills the process of this pid if it is a client's; dispatch_evicted says when what it held is back,
 * or why not. */
void watch_evict(struct session *session, int32_t pid);

#endif
