#include "tests/support/pool_suite.h"

struct pool_fixture f;

void pool_suite_open(void)
{
	pool_fixture_open(&f, 16 * MIB);
}

void pool_suite_close(void)
{
	pool_fixture_audit(&f);
	pool_fixture_close(&f);
}
