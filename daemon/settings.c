#include "daemon/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"

#define SETTINGS 2

static const struct {
	const char *name;
	uint32_t least, most, standard;
} settings[SETTINGS] = {
	[SETTING_SURPLUS] = {"surplus", 0, 65535, 8},
	[SETTING_BATCH] = {"batch", 1, BATCH_MAX, 2},
};

static _Atomic uint32_t *word_of(const struct cache *cache, enum setting setting)
{
	struct cache_desc *desc = cache->view.desc;

	return setting == SETTING_SURPLUS ? &desc->surplus : &desc->batch;
}

uint32_t setting_get(const struct cache *cache, enum setting setting)
{
	uint32_t word = load_relaxed(word_of(cache, setting));

	return word ? word - 1 : settings[setting].standard;
}

static int find(const char *key)
{
	for (int i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].name, key) == 0)
			return i;
	return -1;
}

#define FAIL(result, code, ...) \
	(snprintf((result)->why, sizeof((result)->why), __VA_ARGS__), (result)->status = (code))

int setting_set(struct cache *cache, const char *key, uint64_t value, bool standard,
		uint32_t *before, uint32_t *now, struct result *result)
{
	const char *name = cache->view.desc->name;
	int i = find(key);

	*result = (struct result){0};
	if (i < 0)
		return FAIL(result, -EINVAL,
			    "cache \"%s\": can't be told \"%.32s\"; there are: surplus, batch",
			    name, key);
	if (!standard && (value < settings[i].least || value > settings[i].most))
		return FAIL(result, -EINVAL, "cache \"%s\": %s %llu: must be %u to %u, or default",
			    name, key, (unsigned long long)value, settings[i].least,
			    settings[i].most);
	*before = setting_get(cache, (enum setting)i);
	store_relaxed(word_of(cache, (enum setting)i), standard ? 0 : (uint32_t)value + 1);
	*now = setting_get(cache, (enum setting)i);
	log_info("cache %s: %s is now %u (was %u)", name, key, *now, *before);
	return 0;
}
