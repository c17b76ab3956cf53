/* What happened lately, a page at a time. */
#include "daemon/dispatch_call.h"
#include "daemon/events.h"

#define PAGE_EVENTS 64u /* far below what a packet holds */

struct event_page {
	Slabd__Event items[PAGE_EVENTS], *list[PAGE_EVENTS];
};

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static void fill(Slabd__Event *item, const struct happening *event)
{
	*item = (Slabd__Event)SLABD__EVENT__INIT;
	item->sequence = event->sequence;
	item->time_ms = event->time_ms;
	item->kind = text(events_name(event->kind));
	item->text = text(event->text);
	item->client = event->client;
	item->pid = event->pid;
	item->comm = text(event->comm);
	item->cache = text(event->cache);
	item->magazines = event->magazines;
	item->objects = event->objects;
	item->orphans = event->orphans;
}

void report_events(struct call *call)
{
	static struct event_page
		page; /* until the answer is encoded, which is before the next call */
	const struct happening *event;
	uint64_t lost;

	call->events = (Slabd__EventsReply)SLABD__EVENTS_REPLY__INIT;
	call->events.events = page.list;
	call->events.next = call->request->events->after;
	event = events_after(call->pool, call->events.next, &call->events.lost);
	while (event) {
		if (call->events.n_events == PAGE_EVENTS) {
			call->events.more = true;
			break;
		}
		fill(&page.items[call->events.n_events], event);
		page.list[call->events.n_events] = &page.items[call->events.n_events];
		call->events.n_events++;
		call->events.next = event->sequence;
		event = events_after(call->pool, event->sequence, &lost);
	}
	call->reply.answer_case = SLABD__REPLY__ANSWER_EVENTS;
	call->reply.events = &call->events;
}
