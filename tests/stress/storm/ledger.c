/* The ledger; its theory is in storm.h.  A word:
 *
 *	incarnation:40 | in flight:1 | intent:1 | 0:6 | generation:16
 *
 * An incarnation is a number of its own, modulo PROCESSES_MAX its place. */
#include "tests/stress/storm/storm.h"

#define IN_FLIGHT (UINT64_C(1) << 23)
#define INTENT	  (UINT64_C(1) << 22)

static uint64_t word(uint64_t incarnation, uint64_t flag, slabd_handle handle)
{
	return incarnation << 24 | flag | (handle >> 32 & 0xffff);
}

static _Atomic uint64_t *entry(slabd_handle handle)
{
	return &storm->ledger[(uint32_t)handle % (HEAP_BYTES >> 4)];
}

static void __attribute__((noinline))
accuse(uint64_t me, slabd_handle handle, uint64_t seen, const char *what)
{
	storm_violated("%s: handle %016llx, by %llx; the ledger says %llx%s%s, generation %llx",
		       what, (unsigned long long)handle, (unsigned long long)me,
		       (unsigned long long)(seen >> 24), seen & IN_FLIGHT ? ", in flight" : "",
		       seen & INTENT ? ", intent" : "", (unsigned long long)(seen & 0xffff));
}

/* live is read twice: a place that was given to another in between is not doomed any more. */
bool ledger_alive(uint64_t incarnation)
{
	struct place *place = &storm->places[incarnation % PROCESSES_MAX];

	return incarnation && place->live == incarnation && !place->doomed &&
	       place->live == incarnation;
}

uint64_t ledger_enter(unsigned place)
{
	uint64_t incarnation = (storm->incarnations++ + 1) * PROCESSES_MAX + place;

	storm->places[place].live = incarnation;
	return incarnation;
}

void ledger_leave(unsigned place)
{
	storm->places[place].live = 0;
}

void ledger_take(uint64_t me, slabd_handle handle)
{
	uint64_t was = atomic_exchange(entry(handle), word(me, 0, handle));

	if (was && !(was & INTENT) && ledger_alive(was >> 24))
		accuse(me, handle, was, "an object was handed out that another holds");
}

static void expect(uint64_t me, slabd_handle handle, uint64_t from, uint64_t to, const char *what)
{
	if (!atomic_compare_exchange_strong(entry(handle), &from, to))
		accuse(me, handle, from, what);
}

void ledger_give(uint64_t me, slabd_handle handle)
{
	expect(me, handle, word(me, 0, handle), 0, "an object to be freed is another's");
}

void ledger_send(uint64_t me, slabd_handle handle)
{
	expect(me, handle, word(me, 0, handle), word(me, IN_FLIGHT, handle),
	       "an object to be passed on is another's");
}

void ledger_unsend(uint64_t me, slabd_handle handle)
{
	expect(me, handle, word(me, IN_FLIGHT, handle), word(me, 0, handle),
	       "an object that was not passed on is another's");
}

struct intent ledger_intend(uint64_t me, slabd_handle handle)
{
	uint64_t was = *entry(handle);
	struct intent intent = {.me = me, .handle = handle, .sender = was >> 24};

	if (was == word(was >> 24, IN_FLIGHT, handle))
		intent.known = atomic_compare_exchange_strong(entry(handle), &was,
							      word(me, INTENT, handle));
	return intent;
}

void ledger_adopted(const struct intent *intent)
{
	if (!intent->known)
		accuse(intent->me, intent->handle, *entry(intent->handle),
		       "an object was adopted that had been handed out anew");
	else
		expect(intent->me, intent->handle, word(intent->me, INTENT, intent->handle),
		       word(intent->me, 0, intent->handle),
		       "an object that was adopted is another's");
}

void ledger_freed(const struct intent *intent)
{
	uint64_t was = word(intent->me, INTENT, intent->handle);

	if (!intent->known)
		accuse(intent->me, intent->handle, *entry(intent->handle),
		       "an object was freed by handle that had been handed out anew");
	else /* it may be somebody's again by now */
		atomic_compare_exchange_strong(entry(intent->handle), &was, 0);
}

void ledger_late(const struct intent *intent)
{
	uint64_t was = word(intent->me, INTENT, intent->handle);

	if (!intent->known)
		return;
	if (ledger_alive(intent->sender))
		accuse(intent->me, intent->handle, *entry(intent->handle),
		       "an object in flight was gone though its sender lives");
	atomic_compare_exchange_strong(entry(intent->handle), &was, 0);
}
