/* What takes longer than a second says so, on a terminal, and takes it back when it is over. */
#ifndef SLABCTL_PROGRESS_H
#define SLABCTL_PROGRESS_H

#include "client/slabctl/query.h"

/* For all that is asked from now on, in this verb's name.  Nothing happens where stderr is no
 * terminal. */
void progress_begin(struct query *query, const char *verb);

#endif
