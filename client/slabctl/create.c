#include "client/slabctl/verbs.h"

#include <stdio.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"

int verb_create(struct query *query, const struct order *order)
{
	char size[UNITS_BYTES];
	uint64_t id;
	int code = query_create(query, &order->create, &id);

	if (code)
		return code;
	if (order->json)
		return json_print(
			json_pack("{s:s, s:I}", "name", order->name, "id", (json_int_t)id));
	printf("cache \"%s\" is there: id %llu, objects of %s\n", order->name,
	       (unsigned long long)id, output_bytes(size, order->create.size));
	return EXIT_DONE;
}
