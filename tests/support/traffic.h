/* A client that works without a pause while something happens to slabd: allocates, frees, checks what it
 * wrote, hands over by handle, and asks slabd for refills, opens and closes.  Not one call may fail. */
#ifndef TESTS_SUPPORT_TRAFFIC_H
#define TESTS_SUPPORT_TRAFFIC_H

#include <stdint.h>
#include <sys/types.h>

#define TRAFFIC_CACHE "traffic"
#define TRAFFIC_BYTES 192

struct traffic {
	pid_t pid;
	struct traffic_page *page; /* shared with the client */
};

/* Returns when it has begun. */
void traffic_start(struct traffic *t, const char *address);
/* Returns when it has done a round that began after this call: a round asks slabd for something. */
void traffic_expect(const struct traffic *t);
/* It ends its round, frees all, detaches.  Aborts if a call failed, or the content of an object. */
void traffic_stop(struct traffic *t);

#endif
