/* The pool of suites in which every test has a fresh one.
 *
 * What the fixture itself can't do ends the test by abort(), with a line that says why. */
#ifndef TESTS_SUPPORT_POOL_SUITE_H
#define TESTS_SUPPORT_POOL_SUITE_H

#include "tests/support/pool_fixture.h"

extern struct pool_fixture f;

/* Opens one of 16 MiB. */
void pool_suite_open(void);
/* Audits, and closes it. */
void pool_suite_close(void);

#endif
