/* What a cache can be told while it is in use.  A setting is one word of its descriptor, made with one
 * store, so it outlives the worker. */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "daemon/registry.h"

enum setting { SETTING_SURPLUS, SETTING_BATCH };

#define BATCH_MAX 64u /* magazines that a fill makes at most */

/* As it was set, or the default. */
uint32_t setting_get(const struct cache *cache, enum setting setting);

/* By name; standard: back to the default.  0, and what was in effect before and is now; -EINVAL. */
int setting_set(struct cache *cache, const char *key, uint64_t value, bool standard,
		uint32_t *before, uint32_t *now, struct result *result);

#endif
