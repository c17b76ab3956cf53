/* Every limit of the conversation and of the daemon, in one place, with its default. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

/* One packet: one request or one reply.  Lists longer than that come in pages. */
#define PROTO_PACKET_MAX 65536
/* What decoding one packet may allocate, all of it on the decoder's stack. */
#define PROTO_DECODE_MAX 262144
/* Descriptors that a packet can bring: catalog, depot, heap. */
#define PROTO_FDS_MAX 3

#define PROTO_NAME_MAX 63 /* a cache's or segment's name, without the terminating 0 */

#define LIMIT_CACHES		  1024 /* max-caches: caches in a segment, at most 65535 */
#define LIMIT_CLIENTS		  4096 /* max-clients: clients in a segment, at most 16381 */
#define LIMIT_CLIENTS_PER_UID	  1024 /* max-clients-per-user */
#define LIMIT_CONNECTIONS	  8192 /* sockets, with those that have not said hello */
#define LIMIT_SILENT_PER_UID	  64   /* connections of one uid that have not said hello */
#define LIMIT_HELLO_SECONDS	  5    /* after which a silent connection is closed */
#define LIMIT_REQUESTS_PER_WAKEUP 20   /* of one session, before others get their turn */
#define LIMIT_QUEUED_BYTES	  (4u * PROTO_PACKET_MAX) /* unread replies, then it is cut off */

#define PROTO_TIMEOUT_MS      10000 /* how long a refill waits for the daemon */
#define PROTO_FORK_TIMEOUT_MS 100   /* how long a free or NOWAIT alloc in a fork child may attach */

#endif
