#include "daemon/suspects.h"

#include <stdlib.h>
#include <string.h>

void suspects_deinit(struct suspects *suspects)
{
	free(suspects->now);
	free(suspects->before);
	*suspects = (struct suspects){0};
}

void suspects_add(struct suspects *suspects, uint32_t cache, enum audit_finding finding,
		  uint64_t words)
{
	if (!suspects->now)
		suspects->now = malloc(SUSPECTS_MAX * sizeof(*suspects->now));
	if (!suspects->now || suspects->now_n == SUSPECTS_MAX)
		suspects->overflow = true;
	else
		suspects->now[suspects->now_n++] =
			(struct suspect){.words = words, .cache = cache, .finding = finding};
}

/* Never 0.  Two of different words are one with a probability of 2^-63. */
static uint64_t hash_of(const struct suspect *suspect)
{
	uint64_t hash = suspect->words ^ ((uint64_t)suspect->cache << 3 | suspect->finding) *
						 UINT64_C(0x9e3779b97f4a7c15);

	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (hash ^ hash >> 32) | 1;
}

/* Where it stands among those of the last walk, or would. */
static uint64_t *place_of(const struct suspects *suspects, uint64_t hash)
{
	uint32_t i = (uint32_t)(hash >> 1) % SUSPECTS_TABLE;

	while (suspects->before[i] && suspects->before[i] != hash)
		i = (i + 1) % SUSPECTS_TABLE;
	return &suspects->before[i];
}

void suspects_turn(struct suspects *suspects)
{
	if (suspects->before)
		memset(suspects->before, 0, SUSPECTS_TABLE * sizeof(*suspects->before));
	else
		suspects->before = calloc(SUSPECTS_TABLE, sizeof(*suspects->before));
	suspects->walked = suspects->before;
	for (uint32_t i = 0; suspects->before && i < suspects->now_n; i++) {
		uint64_t hash = hash_of(&suspects->now[i]);

		*place_of(suspects, hash) = hash;
	}
	suspects->now_n = 0;
	suspects->overflow = false;
}

/* It only moved: counts it where it was on its way to. */
static void acquit(struct audit_count *count, enum audit_finding finding)
{
	switch (finding) {
	case FINDING_LOST:
		count->lost--;
		count->in_magazines++;
		break;
	case FINDING_STRAY:
		count->lost--;
		count->live++;
		break;
	case FINDING_STUCK:
		count->lost--;
		count->freeing++;
		break;
	case FINDING_DOUBLED:
		count->doubled--;
		break;
	default:
		count->magazines--;
	}
}

bool suspects_judge(struct suspects *suspects, struct audit_count *caches)
{
	uint32_t kept = 0;

	if (!suspects->now_n && !suspects->overflow)
		return true;
	if (!suspects->walked)
		return false;
	for (uint32_t i = 0; i < suspects->now_n; i++) {
		const struct suspect *suspect = &suspects->now[i];

		if (*place_of(suspects, hash_of(suspect)))
			kept++;
		else
			acquit(&caches[suspect->cache], suspect->finding);
	}
	return kept || !suspects->overflow;
}
