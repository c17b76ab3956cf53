/* One request, one reply, within a deadline.  A reply is decoded into the query's own memory, so it lasts
 * until the next request. */
#ifndef SLABCTL_ASK_H
#define SLABCTL_ASK_H

#include <stdint.h>

#include "client/slabctl/query.h"
#include "proto/slabd.pb-c.h"

/* Gives the answer if it is the wanted one; else an exit code, and in query->why what was wrong. */
int ask(struct query *query, Slabd__Request *request, Slabd__Reply__AnswerCase wanted,
	const Slabd__Reply **reply);
/* What came is not what slabd answers: the exit code. */
int ask_fail_answer(struct query *query);

/* protobuf-c wants char *, and does not write to it. */
static inline char *ask_text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

#endif
