/* What came in a reply, into a row of plain C that outlasts it. */
#ifndef SLABCTL_DECODE_H
#define SLABCTL_DECODE_H

#include "client/slabctl/query.h"
#include "proto/slabd.pb-c.h"

void decode_status(struct status_row *ret, const Slabd__StatsReply *stats);
void decode_cache(struct cache_row *ret, const Slabd__CacheStats *stats);
void decode_client(struct client_row *ret, const Slabd__ClientStats *stats);
void decode_audit(struct audit_row *ret, const Slabd__AuditCache *stats);
void decode_orphan(struct orphan_row *ret, const Slabd__Orphan *orphan);
void decode_event(struct event_row *ret, const Slabd__Event *event);

#endif
