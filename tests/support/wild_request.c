#include "tests/support/wild_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/version.h"

static uint32_t draw(const struct wild_request *w, uint32_t below)
{
	return pool_fixture_random(w->f, below);
}

#define ONE_OF(w, list) ((list)[draw(w, sizeof(list) / sizeof(*(list)))])

const char *wild_name(uint32_t number)
{
	static const char *const names[WILD_NAMES] = {"kept", "a", "b.1", "c", "d",
						      "e-2",  "f", "g",	  "h", "i_3"};

	return names[number];
}

/* ---------------------------------------------------------------- numbers */

/* What an honest client would put into a field; 0 for those that are not here. */
static uint64_t usual(const struct wild_request *w, const char *field)
{
	static const uint64_t sizes[] = {1, 8, 64, 100, 4096, 100000, 131072, 131073};
	const struct superblock *super = w->f->pool->segment.super;
	const struct client_record *record = clients_record(w->f->pool, w->client);
	const struct {
		const char *field;
		uint64_t value;
	} known[] = {
		{"id", w->cache ? w->cache->view.id : 1},
		{"serial", w->cache && draw(w, 4) ? w->cache->serial : 0},
		{"object_size", ONE_OF(w, sizes)},
		{"align", draw(w, 4) ? 0 : 1u << draw(w, 14)},
		{"flags", draw(w, 4) ? 0 : draw(w, GEOMETRY_FLAGS + 2)},
		{"objects", draw(w, 300)},
		{"empty", draw(w, 2)},
		{"threads", draw(w, 5)},
		{"value", draw(w, 70)},
		{"all", draw(w, 2)},
		{"free", draw(w, 2)},
		{"map", draw(w, 2)},
		{"pid", draw(w, 8) ? 0 : (uint64_t)getpid()},
		{"observer", draw(w, 3) == 0},
		{"protocol_major", PROTO_MAJOR},
		{"layout", SLABD_LAYOUT_VERSION},
		{"image", draw(w, 20) ? 1 : 2},
		{"resume_id", draw(w, 3) ? 0 : w->client},
		{"token_high", record->token_high},
		{"token_low", record->token_low},
		{"segment_high", super->segment_high},
		{"segment_low", super->segment_low},
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].field, field) == 0)
			return known[i].value;
	return 0;
}

/* ---------------------------------------------------------------- texts */

static void fill_text(const struct wild_request *w, char *text, size_t n)
{
	static const char pieces[] = "\x01\x1b[2J\n\r\t\x7f%n%s\xff\xc0\x80\xed\xa0\x80\xf4";
	uint32_t kind = draw(w, 4);

	for (size_t i = 0; i < n; i++)
		text[i] = kind == 0   ? 'x'
			  : kind == 1 ? (char)(1 + draw(w, 31))
			  : kind == 2 ? (char)(1 + draw(w, 255))
				      : pieces[draw(w, sizeof(pieces) - 1)];
	text[n] = 0;
}

static const char *usual_text(const struct wild_request *w, const char *field)
{
	static const char *const keys[] = {"surplus", "batch"};

	if (strcmp(field, "key") == 0)
		return ONE_OF(w, keys);
	if (strcmp(field, "segment") == 0)
		return draw(w, 2) ? "main" : "";
	if (strcmp(field, "version") == 0)
		return SLABD_VERSION_STRING;
	return draw(w, 8) ? wild_name(draw(w, WILD_NAMES)) : "";
}

static char *text_for(struct wild_request *w, const char *field)
{
	static const size_t lengths[] = {0,  1,	 2,  31, 32,  33,  62,	 63,
					 64, 65, 79, 80, 255, 256, 4096, WILD_NAME_MAX};
	char *text = w->texts[w->ntexts++];

	if (draw(w, w->odds))
		snprintf(text, WILD_NAME_MAX, "%s", usual_text(w, field));
	else
		fill_text(w, text, ONE_OF(w, lengths));
	return text;
}

/* ---------------------------------------------------------------- the request */

static void fill_field(struct wild_request *w, const ProtobufCFieldDescriptor *field)
{
	char *at = w->body + field->offset;
	uint64_t value;

	if (field->type == PROTOBUF_C_TYPE_STRING) {
		*(char **)(void *)at = text_for(w, field->name);
		return;
	}
	value = usual(w, field->name);
	if (!draw(w, w->odds))
		value = pool_fixture_evil(w->f, value);
	if (field->type == PROTOBUF_C_TYPE_UINT64 || field->type == PROTOBUF_C_TYPE_FIXED64)
		*(uint64_t *)(void *)at = value;
	else if (field->type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)(void *)at = value & 1;
	else
		*(uint32_t *)(void *)at = (uint32_t)value;
}

static const ProtobufCFieldDescriptor *choose_verb(const struct wild_request *w, uint32_t verb)
{
	const ProtobufCMessageDescriptor *request = &slabd__request__descriptor;

	for (unsigned i = 0; i < request->n_fields; i++)
		if (request->fields[i].id == verb)
			return &request->fields[i];
	return &request->fields[1 + draw(w, request->n_fields - 1)]; /* not the sequence */
}

void wild_request_make(struct wild_request *w, struct pool_fixture *f, uint32_t verb)
{
	static const uint32_t odds[] = {3, 16, 1000};
	const ProtobufCFieldDescriptor *field;
	const ProtobufCMessageDescriptor *body;

	w->f = f;
	w->ntexts = 0;
	w->odds = ONE_OF(w, odds);
	w->cache = f->pool->caches[1 + draw(w, f->pool->segment.max_caches)];
	w->client = PARTY_FIRST + draw(w, f->pool->segment.max_clients);
	field = choose_verb(w, verb);
	body = field->descriptor;
	protobuf_c_message_init(body, w->body);
	for (unsigned i = 0; i < body->n_fields; i++)
		fill_field(w, &body->fields[i]);
	slabd__request__init(&w->request);
	w->request.verb_case = (Slabd__Request__VerbCase)field->id;
	w->request.hello = (Slabd__Hello *)(void *)w->body; /* the union of all verbs' pointers */
}

size_t wild_request_pack(const struct wild_request *w, uint8_t *bytes)
{
	return slabd__request__pack(&w->request, bytes);
}

/* ---------------------------------------------------------------- bytes */

static void overwrite(struct pool_fixture *f, uint8_t *bytes, size_t n)
{
	static const uint8_t most[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	size_t at = pool_fixture_random(f, (uint32_t)n);

	switch (pool_fixture_random(f, 4)) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << pool_fixture_random(f, 8));
		break;
	case 1:
		bytes[at] = (uint8_t)pool_fixture_random(f, 256);
		break;
	case 2:
		bytes[at] = 0;
		break;
	default:
		memcpy(bytes + at, most, n - at < sizeof(most) ? n - at : sizeof(most));
	}
}

/* A run of it goes, or comes twice; or all of it, as a message that is merged with itself. */
static size_t move_run(struct pool_fixture *f, uint8_t *bytes, size_t n)
{
	size_t at = pool_fixture_random(f, (uint32_t)n);
	size_t run = 1 + pool_fixture_random(f, (uint32_t)(n - at));

	switch (pool_fixture_random(f, 3)) {
	case 0:
		memmove(bytes + at, bytes + at + run, n - at - run);
		return n - run;
	case 1:
		at = 0;
		run = n;
	}
	if (n + run > WILD_BYTES_MAX)
		return n;
	memmove(bytes + at + run, bytes + at, n - at);
	return n + run;
}

size_t wild_damage(struct pool_fixture *f, uint8_t *bytes, size_t n)
{
	if (n == 0 || pool_fixture_random(f, 32) == 0) {
		n = 1 + pool_fixture_random(f, 200);
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)pool_fixture_random(f, 256);
	}
	for (unsigned i = 1 + pool_fixture_random(f, 4); i && n; i--)
		if (pool_fixture_random(f, 4))
			overwrite(f, bytes, n);
		else
			n = move_run(f, bytes, n);
	return n ? n : 1;
}
