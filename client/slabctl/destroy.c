#include "client/slabctl/verbs.h"

#include <stdio.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

/* Asks with what is at stake. */
static int confirm(struct query *query, const struct order *order)
{
	struct cache_row cache;
	int code;

	if (order->yes)
		return EXIT_DONE;
	code = query_cache(query, order->name, &cache, NULL);
	if (code)
		return code;
	return output_ask(TEXT_ASK_DESTROY, order->name, (unsigned long long)cache.live);
}

int verb_destroy(struct query *query, const struct order *order)
{
	int code = confirm(query, order);

	if (!code)
		code = query_destroy(query, order->name);
	if (code)
		return code;
	if (order->json)
		return json_print(json_pack("{s:s}", "name", order->name));
	printf("cache \"%s\" is destroyed; its memory goes with the last client that has it open\n",
	       order->name);
	return EXIT_DONE;
}
