/* What stands in an object: its handle, its owner, and words that follow from both. */
#include <string.h>

#include "tests/stress/storm/storm.h"

#define HEAD_WORDS 64u /* of a large object: these and the last are written */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x7fb5d329728ea185);
	return x ^ x >> 27;
}

static uint64_t word_of(size_t i, slabd_handle handle, uint64_t owner)
{
	if (i == 0)
		return handle;
	if (i == 1)
		return owner << 24 | (mix(handle ^ owner << 20) & 0xffffff);
	return mix(handle + i * UINT64_C(0x9e3779b97f4a7c15)) ^ owner;
}

static size_t words_of(size_t size)
{
	size_t words = size / 8;

	return words < HEAD_WORDS ? words : HEAD_WORDS;
}

void content_sign(void *object, size_t size, slabd_handle handle, uint64_t owner)
{
	volatile uint64_t *at = object;
	size_t n = words_of(size), last = size / 8 - 1;

	for (size_t i = 0; i < n; i++)
		at[i] = word_of(i, handle, owner);
	at[last] = word_of(last, handle, owner);
}

bool content_check(const void *object, size_t size, slabd_handle handle, uint64_t owner,
		   const char *when)
{
	const volatile uint64_t *at = object;
	size_t n = words_of(size), last = size / 8 - 1, i = 0;

	while (i < n && at[i] == word_of(i, handle, owner))
		i++;
	if (i == n && at[last] == word_of(last, handle, owner))
		return true;
	i = i == n ? last : i;
	storm_violated("%s: object %016llx of %llx, word %zu is %016llx, must be %016llx; it "
		       "begins with %016llx, of %llx",
		       when, (unsigned long long)handle, (unsigned long long)owner, i,
		       (unsigned long long)at[i], (unsigned long long)word_of(i, handle, owner),
		       (unsigned long long)at[0], (unsigned long long)(at[1] >> 24));
	return false;
}
