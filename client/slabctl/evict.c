#include "client/slabctl/verbs.h"

#include <stdio.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/texts.h"

int verb_evict(struct query *query, const struct order *order)
{
	uint64_t clients;
	int code = order->yes ? EXIT_DONE : output_ask(TEXT_ASK_EVICT, order->pid);

	if (!code)
		code = query_evict(query, order->pid, &clients);
	if (code)
		return code;
	if (order->json)
		return json_print(
			json_pack("{s:i, s:I}", "pid", order->pid, "clients", (json_int_t)clients));
	printf("pid %d was killed; %llu client%s of it %s gone\n", order->pid,
	       (unsigned long long)clients, clients == 1 ? "" : "s", clients == 1 ? "is" : "are");
	return EXIT_DONE;
}
