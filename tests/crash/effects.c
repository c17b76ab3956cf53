/* What an operation does when nobody is killed.  The oracle of recover.c compares with what the
 * operation itself made of the objects, so a wrong operation would be the measure of its own kills.
 *
 * A letter an object, in this order:
 *	t	taken: alive, and the victim's	   a	adopted: alive as before, now the victim's
 *	f	freed: no handle of before is good  p	parked: FREEING of the victim
 *	r	FREEING no more, freed		    u	freed, and taken again
 *	m	moved: alive as before, now another's than the victim
 *	?	what no operation may do */
#include "tests/crash/crash.h"

#include <string.h>

struct effect {
	const char *name, *letters;
};

static const struct effect effects[] = {
	{"alloc, first", "t"},
	{"alloc, first of a thread", "t"},
	{"alloc, no memory for a table", ""},
	{"alloc, no memory that is wiped", ""},
	{"alloc, no key", ""},
	{"alloc, second thread", "t"},
	{"alloc, first, NOWAIT", ""},
	{"alloc, magazine", "t"},
	{"alloc, magazine, ZERO", "t"},
	{"alloc, unknown flag", ""},
	{"alloc, last round", "t"},
	{"alloc, swap", "t"},
	{"alloc, claim", "t"},
	{"alloc, claim, ZERO", "t"},
	{"alloc, claim and put", "t"},
	{"alloc, claim, many racks", "t"},
	{"alloc, claim, lost cursor", "t"},
	{"alloc, claim, stale hint", "t"},
	{"alloc, refill", "t"},
	{"alloc, refill by another thread", "t"},
	{"alloc, refill, nothing comes", ""},
	{"alloc, refill, no lock", ""},
	{"alloc, heap full", ""},
	{"alloc, dry, NOWAIT", ""},
	{"alloc, dry, NOWAIT, no lock", ""},
	{"alloc, strict", "t"},
	{"alloc, reclaim", "t"},
	{"alloc, resumes what is parked", "ru"},
	{"alloc, resumes what waited", "ffu"},
	{"free, magazine", "f"},
	{"free, nothing", ""},
	{"free, swap", "f"},
	{"free, claim", "f"},
	{"free, claim one with room", "f"},
	{"free, park", "p"},
	{"free, park another's", "p"},
	{"free, park, strict", "p"},
	{"free, resumes what is parked", "frr"},
	{"free, park once more", "p"},
	{"free, another's", "f"},
	{"free, another's at first", "f"},
	{"free, at first, no lock", ""},
	{"free, orphan", "f"},
	{"free, strict", "f"},
	{"free, strict, another's", "f"},
	{"free, reclaim", "f"},
	{"free, reclaim, another's", "f"},
	{"free, twice", ""},
	{"free, foreign pointer", ""},
	{"free, inner pointer", ""},
	{"free, slabd out of reach", ""},
	{"free, twice, slabd out of reach", ""},
	{"free_handle", "f"},
	{"free_handle, another's", "f"},
	{"free_handle, at first", "f"},
	{"free_handle, strict", "f"},
	{"free_handle, stale", ""},
	{"free_handle, stale, alive again", ""},
	{"free_handle, stale at the last", ""},
	{"free_handle, park", "p"},
	{"free_handle, out of reach", ""},
	{"adopt", "a"},
	{"adopt, at first", "a"},
	{"adopt, own", ""},
	{"adopt, orphan", "a"},
	{"adopt, strict", "a"},
	{"adopt, reclaim", "a"},
	{"adopt, stale", ""},
	{"adopt, stale, alive again", ""},
	{"alloc_bulk, magazine", "tt"},
	{"alloc_bulk, whole magazine", "ttt"},
	{"alloc_bulk, more than one", "ttttttt"},
	{"alloc_bulk, ZERO", "tt"},
	{"alloc_bulk, dry, NOWAIT", ""},
	{"alloc_bulk, heap full", ""},
	{"alloc_bulk, huge", ""},
	{"alloc_bulk, unknown flag", ""},
	{"free_bulk, magazine", "fff"},
	{"free_bulk, more than one", "fffffff"},
	{"free_bulk, all sorts", "ffff"},
	{"free_bulk, strict", "fff"},
	{"flush, two caches", ""},
	{"flush, no table", ""},
	{"thread exit", "rr"},
	{"alloc_bulk, nothing", ""},
	{"alloc_bulk, nothing, ZERO", ""},
	{"thread exit, another stays", ""},
	{"close, two threads", ""},
	{"shrink, parked", "rr"},
	{"fold", "mm"},
	{"fold, into the last", "mmm"},
	{"fold, in slices", "mm"},
	{"fold, for two", "mm"},
	{"fold, once more", "mm"},
	{"fold, into an empty one", "mm"},
	{"fold, all empty", ""},
	{"fold, one empty", ""},
	{"fold, ids are free", ""},
	{"fold, no memory", ""},
	{"fold, wrong marks", ""},
};

static bool is_freed(uint32_t before, uint32_t after)
{
	return tag_state(after) != TAG_LIVE && tag_state(after) != TAG_FREEING &&
	       tag_generation(after) == ((tag_generation(before) + 1) & TAG_GENERATION);
}

static bool is_used_again(uint32_t before, uint32_t after, uint32_t client)
{
	return after == tag_make(client, TAG_LIVE, tag_generation(before) + 1);
}

static char live_became(uint32_t before, uint32_t after, uint32_t client)
{
	if (is_freed(before, after))
		return 'f';
	if (tag_generation(after) != tag_generation(before))
		return '?';
	if (tag_owner(after) != client)
		return tag_state(after) == TAG_LIVE ? 'm' : '?';
	return tag_state(after) == TAG_LIVE ? 'a' : tag_state(after) == TAG_FREEING ? 'p' : '?';
}

/* 0: nothing that an application could tell. */
static char effect_on(uint32_t before, uint32_t after, uint32_t client)
{
	if (before == after)
		return 0;
	if (tag_state(before) >= TAG_LIVE && is_used_again(before, after, client))
		return 'u';
	if (tag_state(before) == TAG_LIVE)
		return live_became(before, after, client);
	if (tag_state(before) == TAG_FREEING)
		return is_freed(before, after) ? 'r' : '?';
	if (tag_state(after) == TAG_LIVE)
		return tag_owner(after) == client ? 't' : '?';
	return tag_state(after) == TAG_FREEING ? '?' : 0;
}

static uint32_t tag_in(const struct objects *objects, uint32_t slab, uint32_t i)
{
	return objects->word[slab] == SLAB_WORD_NONE ? 0 : objects->tag[slab][i];
}

/* In the order of the list above. */
static void effects_of(const struct trace *trace, char *letters)
{
	for (const char *kind = trace->then_run ? "tafpru?" : "tafprum?"; *kind; kind++)
		for (uint32_t s = 0; s < SLABS; s++)
			for (uint32_t i = 0; i < SLAB_OBJECTS; i++)
				if (effect_on(tag_in(&trace->before, s, i),
					      tag_in(&trace->after, s, i), trace->client) == *kind)
					*letters++ = *kind;
	*letters = 0;
}

bool effects_are_right(const struct trace *trace)
{
	char letters[SLABS * SLAB_OBJECTS + 1];

	effects_of(trace, letters);
	for (size_t i = 0; i < sizeof(effects) / sizeof(*effects); i++) {
		if (strcmp(effects[i].name, trace->crash_case->name) != 0 ||
		    strcmp(effects[i].letters, letters) == 0)
			continue;
		fprintf(stderr, "%s, not killed: it does \"%s\", not \"%s\"\n", effects[i].name,
			letters, effects[i].letters);
		return false;
	}
	return true;
}
