#include "daemon/suspects.h"

#include <errno.h>
#include <stdlib.h>

int suspects_init(struct suspects *suspects)
{
	*suspects = (struct suspects){.now = malloc(SUSPECTS_MAX * sizeof(struct suspect)),
				      .before = malloc(SUSPECTS_MAX * sizeof(struct suspect))};
	if (suspects->now && suspects->before)
		return 0;
	suspects_deinit(suspects);
	return -ENOMEM;
}

void suspects_deinit(struct suspects *suspects)
{
	free(suspects->now);
	free(suspects->before);
	*suspects = (struct suspects){0};
}

void suspects_add(struct suspects *suspects, uint32_t cache, enum audit_finding finding,
		  uint64_t words)
{
	if (suspects->now_n == SUSPECTS_MAX)
		suspects->overflow = true;
	else
		suspects->now[suspects->now_n++] =
			(struct suspect){.words = words, .cache = cache, .finding = finding};
}

void suspects_turn(struct suspects *suspects)
{
	struct suspect *before = suspects->before;

	suspects->before = suspects->now;
	suspects->before_n = suspects->now_n;
	suspects->now = before;
	suspects->now_n = 0;
	suspects->walked = true;
	suspects->overflow = false;
}

static int compare(const void *a, const void *b)
{
	const struct suspect *x = a, *y = b;

	if (x->words != y->words)
		return x->words < y->words ? -1 : 1;
	if (x->cache != y->cache)
		return x->cache < y->cache ? -1 : 1;
	return (int)x->finding - (int)y->finding;
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

	if (!suspects->now_n)
		return true;
	if (!suspects->walked)
		return false;
	qsort(suspects->before, suspects->before_n, sizeof(*suspects->before), compare);
	for (uint32_t i = 0; i < suspects->now_n; i++) {
		const struct suspect *suspect = &suspects->now[i];

		if (bsearch(suspect, suspects->before, suspects->before_n,
			    sizeof(*suspects->before), compare))
			kept++;
		else
			acquit(&caches[suspect->cache], suspect->finding);
	}
	return kept || !suspects->overflow;
}
