#include "client/slabctl/verbs.h"

#include <stdio.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"

int verb_shrink(struct query *query, const struct order *order)
{
	char size[UNITS_BYTES];
	uint64_t bytes;
	int code = query_shrink(query, order->name, &bytes);

	if (code)
		return code;
	if (order->json)
		return json_print(json_pack("{s:I}", "bytes", (json_int_t)bytes));
	printf("%s given back to the system\n", output_bytes(size, bytes));
	return EXIT_DONE;
}
