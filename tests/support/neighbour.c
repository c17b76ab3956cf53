#include "tests/support/neighbour.h"

#define OBJECT_SIZE 100u

static uint8_t *object(const struct neighbour *n, unsigned i)
{
	return (uint8_t *)n->f->pool->segment.heap + ((uint64_t)n->refs[i] << REF_SHIFT);
}

static uint8_t signature(slab_ref ref, unsigned byte)
{
	return (uint8_t)(ref * 31 + byte * 7 + (ref >> 8));
}

static bool take(struct neighbour *n, unsigned i)
{
	n->refs[i] = fake_alloc(&n->fake);
	for (unsigned k = 0; n->refs[i] != REF_NONE && k < OBJECT_SIZE; k++)
		object(n, i)[k] = signature(n->refs[i], k);
	return n->refs[i] != REF_NONE;
}

static bool is_mine(const struct neighbour *n, unsigned i)
{
	uint32_t tag = load_relaxed(fake_tag(&n->fake, n->refs[i]));

	for (unsigned k = 0; k < OBJECT_SIZE; k++)
		if (object(n, i)[k] != signature(n->refs[i], k))
			return false;
	return tag_state(tag) == TAG_LIVE && tag_owner(tag) == n->client;
}

void neighbour_move_in(struct neighbour *n, struct pool_fixture *f)
{
	struct cache *cache;

	*n = (struct neighbour){.f = f, .client = pool_fixture_attach_gone(f)};
	cache = pool_fixture_cache(f, n->client, "kept", OBJECT_SIZE, 0);
	n->serial = cache->serial;
	fake_init(&n->fake, f, n->client, cache);
	for (unsigned i = 0; i < NEIGHBOUR_OBJECTS; i++)
		take(n, i);
}

const char *neighbour_complaint(struct neighbour *n)
{
	struct cache *cache = registry_by_name(n->f->pool, "kept");

	if (!cache || cache->serial != n->serial)
		return "its cache is gone";
	if (!clients_is_attached(n->f->pool, n->client))
		return "it is attached no more";
	for (unsigned i = 0; i < NEIGHBOUR_OBJECTS; i++)
		if (!is_mine(n, i))
			return "an object of its own is another's, or was written to";
	for (unsigned i = pool_fixture_random(n->f, 4); i < NEIGHBOUR_OBJECTS; i += 4)
		if (!fake_free(&n->fake, n->refs[i]) || !take(n, i))
			return "it can't free and alloc any more";
	fake_flush(&n->fake);
	return NULL;
}
