/* Requests as nobody in his right mind sends them: any verb, with fields that are what an honest client
 * would say, off by one, at a limit or random; and their bytes, damaged. */
#ifndef TESTS_SUPPORT_WILD_REQUEST_H
#define TESTS_SUPPORT_WILD_REQUEST_H

#include "proto/limits.h"
#include "proto/slabd.pb-c.h"
#include "tests/support/pool_fixture.h"

#define WILD_NAME_MAX  40000u
#define WILD_BYTES_MAX (2u * PROTO_PACKET_MAX)

/* The name that this process gives its caches, for number below WILD_NAMES. */
#define WILD_NAMES 10u
const char *wild_name(uint32_t number);

struct wild_request {
	Slabd__Request request;
	_Alignas(16) char body[256]; /* of the verb */
	char texts[2][WILD_NAME_MAX + 1];
	unsigned ntexts;

	struct pool_fixture *f;
	uint32_t odds;	     /* one field in so many is not what it should be */
	struct cache *cache; /* that it is about; NULL: there is none */
	uint32_t client;     /* that it resumes, if it does */
};

/* A request of this verb (a field number of Request); 0: of any. */
void wild_request_make(struct wild_request *wild, struct pool_fixture *f, uint32_t verb);

/* Into WILD_BYTES_MAX bytes; how many. */
size_t wild_request_pack(const struct wild_request *wild, uint8_t *bytes);

/* Damages n bytes in a buffer of WILD_BYTES_MAX; how many there are now, at least one. */
size_t wild_damage(struct pool_fixture *f, uint8_t *bytes, size_t n);

#endif
