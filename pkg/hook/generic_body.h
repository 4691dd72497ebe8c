/*
 * The body of a Generic delivery: JSON, YAML or empty. A body that cannot be read is ignored with a
 * warning, and the delivery still starts a build.
 */
#pragma once

#include "hook/decode.h"
#include "hook/envelope.h"

#define HOOK_MAX_GENERIC_BYTES 65536

struct hook_generic_body {
	size_t bytes;
	struct buf yaml;
};

void hook_generic_body_release(struct hook_generic_body *body);
void hook_generic_body_feed(struct hook_generic_body *body, const struct hook_envelope *envelope,
			    struct hook_decode *decode, struct str bytes);
/* Fills the event of DECODE. */
void hook_generic_body_finish(struct hook_generic_body *body, const struct hook_envelope *envelope,
			      struct hook_decode *decode);
