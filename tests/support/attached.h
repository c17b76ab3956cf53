/* A slabd of the test's own and this process attached to it: what most suites begin with.
 *
 * What the fixture itself can't do ends the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_ATTACHED_H
#define TESTS_SUPPORT_ATTACHED_H

#include "tests/support/child.h"
#include "tests/support/daemon_fixture.h"

extern struct daemon_fixture d;
extern struct slabd *slabd;

/* How many frees were refused, in this process. */
extern _Atomic unsigned reports;

/* Starts slabd, attaches, and has each refused free printed, as it is without a handler, and counted. */
void attached_start(void);
/* Detaches, audits, stops slabd. */
void attached_stop(void);

#endif
