/* What outlived its owner, a page at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/dispatch_call.h"
#include "daemon/orphans.h"
#include "daemon/registry.h"

struct orphan_page {
	Slabd__Orphan items[ORPHANS_PAGE], *list[ORPHANS_PAGE];
	char comm[ORPHANS_PAGE][16];
	size_t n;
};

static void add_orphan(struct orphan_page *page, const struct pool *pool,
		       const struct orphan *orphan)
{
	const struct cache *cache = pool->caches[orphan->cache];
	Slabd__Orphan *item = &page->items[page->n];

	if (!cache) /* it was released meanwhile, with all that it held */
		return;
	*item = (Slabd__Orphan)SLABD__ORPHAN__INIT;
	call_comm(page->comm[page->n], orphan->comm);
	item->cache = cache->view.desc->name;
	item->owner_pid = orphan->pid;
	item->owner_comm = page->comm[page->n];
	item->owners = orphan->owners;
	item->objects = orphan->objects;
	item->bytes = orphan->objects * cache->view.geometry.stride;
	item->died_at = orphan->died_at;
	page->list[page->n++] = item;
}

static void on_orphans(void *arg, const struct orphans *found)
{
	static const struct result fine = {0};
	struct result no_memory = {.status = -ENOMEM, .why = "slabd itself has no memory"};
	struct session *session = arg;
	struct orphan_page *page = found->status == 0 ? calloc(1, sizeof(*page)) : NULL;
	Slabd__Reply reply = SLABD__REPLY__INIT;
	Slabd__OrphansReply orphans = SLABD__ORPHANS_REPLY__INIT;

	if (!page) {
		call_result(session, &no_memory);
		return;
	}
	for (size_t i = 0; i < found->n; i++)
		add_orphan(page, session->pool, &found->list[i]);
	orphans.orphans = page->list;
	orphans.n_orphans = page->n;
	orphans.freed = found->freed;
	orphans.next = found->next;
	reply.answer_case = SLABD__REPLY__ANSWER_ORPHANS;
	reply.orphans = &orphans;
	call_answer(session, &reply, &fine);
	free(page);
}

void report_orphans(struct call *call)
{
	const Slabd__Orphans *wanted = call->request->orphans;
	const struct cache *cache = NULL;

	if (*wanted->name) {
		cache = registry_by_name(call->pool, wanted->name);
		if (!cache) {
			call_no_cache(&call->result, wanted->name);
			return;
		}
	}
	call_pend(call);
	orphans_walk(call->pool, cache ? cache->view.id : 0, wanted->free, wanted->first,
		     on_orphans, call->session);
}
