/* slabctl: the operator's view of slabd.  The verbs are in a table here, each in a file of its name. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/slabctl/exits.h"
#include "client/slabctl/output.h"
#include "client/slabctl/progress.h"
#include "client/slabctl/verbs.h"

const struct verb verbs[] = {
	{"status", "", "what slabd is, what backs it, what it holds", 0, false, verb_status},
	{"caches", "", "one line a cache", 0, false, verb_caches},
	{"cache", "NAME", "one cache in full, with a map of its slabs", 0, false, verb_cache},
	{"clients", "", "who is attached and what each holds", 0, false, verb_clients},
	{"create", "NAME", "make a cache", TAKES_CREATE, false, verb_create},
	{"destroy", "NAME", "take a cache away that has no live objects", TAKES_YES, false,
	 verb_destroy},
	{"shrink", "[NAME]", "give a cache's empty slabs back to the system", TAKES_ALL, false,
	 verb_shrink},
	{"set", "NAME KEY=VALUE", "tell a cache its surplus or batch of magazines", 0, false,
	 verb_set},
	{"audit", "", "prove that every object is in exactly one place", 0, false, verb_audit},
	{"orphans", "[NAME]", "objects that outlived their owner", TAKES_FREE | TAKES_YES, false,
	 verb_orphans},
	{"evict", "PID", "kill a client and take back what it holds", TAKES_YES, false, verb_evict},
	{"top", "", "the caches, live, as slabtop", TAKES_TOP, false, verb_top},
	{"stat", "[DELAY [COUNT]]", "what happens, a line an interval, as vmstat", 0, false,
	 verb_stat},
	{"events", "", "what happened lately", TAKES_FOLLOW, false, verb_events},
	{"doctor", "", "what is wrong, and the command that mends it", 0, true, verb_doctor},
	{"ping", "", "is slabd there? The exit code says", TAKES_WAIT, true, verb_ping},
};
const size_t nverbs = LENGTH(verbs);

/* A descriptor 0 to 2 that is closed would go to the socket, and output into the conversation.  One
 * open for reading alone makes a write fail, as it should. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static struct query query;
	struct order order = {0};
	int code, written;

	fill_standard_descriptors();
	options_parse(&order, argc, argv);
	code = query_init(&query, order.address);
	if (!code)
		code = query_timeout_from_environment(&query);
	query.patient = !order.verb->offline;
	progress_begin(&query, order.verb->name);
	if (!code && !order.verb->offline)
		code = query_open(&query);
	if (!code)
		code = order.verb->run(&query, &order);
	if (code && *query.why)
		output_error("%s", query.why);
	query_close(&query);
	written = output_finish();
	return code ? code : written;
}
