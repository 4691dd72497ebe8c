/*
 * The contents of a delivery's headers: its host, event, media type and id. Problems with them are
 * stored, and reported after the delivery is proven.
 */
#pragma once

#include "hook/host.h"

struct hook_envelope {
	const struct hook_host *host; /* NULL: unknown */
	/* The host whose proofs are accepted: HOST, or where that is unknown the one that the TYPE
	 * is named after. */
	const struct hook_host *prover;
	enum delivery_kind kind;
	enum hook_media media; /* of a form also with a MEDIA_PROBLEM */
	char name[64];
	const char *hook_owner; /* as struct delivery_event */
	char delivery_id[HOOK_MAX_ID_BYTES + 1];
	struct err event_problem, media_problem; /* code 0: none */
};

void hook_envelope_read(struct hook_envelope *out, const struct hook_request *request);
