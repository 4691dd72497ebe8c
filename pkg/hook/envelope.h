/*
 * What a delivery's headers say: who sent it, which event it is, how its body is written, and its
 * id. What is wrong with them is kept until the delivery is proven.
 */
#pragma once

#include "hook/hook.h"

enum hook_media { HOOK_MEDIA_OTHER, HOOK_MEDIA_JSON, HOOK_MEDIA_YAML, HOOK_MEDIA_FORM };

struct hook_envelope {
	enum hook_host host;
	/* Whose proof counts: HOST, or where that is unknown the one that the TYPE is named after.
	 */
	enum hook_host prover;
	enum delivery_kind kind;
	enum hook_media media;
	char name[64];
	char delivery_id[HOOK_MAX_ID_BYTES + 1];
	struct err event_problem, media_problem; /* code 0: none */
};

void hook_envelope_read(struct hook_envelope *out, const struct hook_request *request);

/* The first value of a header, empty without one; N (which may be NULL) is how many there are. */
struct str hook_header(const struct hook_request *request, const char *name, size_t *n);
