#include "client/slabctl/verbs.h"

#include <stdio.h>
#include <string.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/values.h"

int verb_set(struct query *query, const struct order *order)
{
	struct setting setting = value_setting(order->setting);
	int code = query_set(query, order->name, &setting);

	if (code)
		return code;
	if (order->json)
		return json_print(json_pack("{s:s, s:s, s:I, s:I}", "name", order->name, "key",
					    setting.key, "value", (json_int_t)setting.value,
					    "before", (json_int_t)setting.before));
	printf("cache \"%s\": %s is now %llu (was %llu)\n", order->name, setting.key,
	       (unsigned long long)setting.value, (unsigned long long)setting.before);
	return EXIT_DONE;
}
