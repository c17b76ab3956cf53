/* Which cases there are, by who is killed in them. */
#include "tests/crash/crash.h"

struct table {
	const struct crash_case *cases;
	unsigned n;
};

static const struct crash_case *nth_of(const struct table *tables, size_t tables_n, unsigned nth)
{
	for (size_t i = 0; i < tables_n; nth -= tables[i++].n)
		if (nth < tables[i].n)
			return &tables[i].cases[nth];
	return NULL;
}

const struct crash_case *client_case(unsigned nth)
{
	const struct table tables[] = {{alloc_cases, alloc_cases_n},
				       {free_cases, free_cases_n},
				       {bulk_cases, bulk_cases_n},
				       {life_cases, life_cases_n}};

	return nth_of(tables, sizeof(tables) / sizeof(*tables), nth);
}

const struct crash_case *worker_case(unsigned nth)
{
	const struct table tables[] = {{refill_cases, refill_cases_n},
				       {cache_cases, cache_cases_n},
				       {worker_cases, worker_cases_n}};

	return nth_of(tables, sizeof(tables) / sizeof(*tables), nth);
}

const struct crash_case *tomb_case(unsigned nth)
{
	const struct table tables[] = {{tomb_cases, tomb_cases_n}};

	return nth_of(tables, sizeof(tables) / sizeof(*tables), nth);
}
