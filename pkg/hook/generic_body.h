/*
 * The body of a Generic delivery, JSON or YAML, or nothing. Whatever is wrong with it, the delivery
 * starts a build: what can't be read is ignored, and a warning says so.
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
/* Fills the event that DECODE was made for. */
void hook_generic_body_finish(struct hook_generic_body *body, const struct hook_envelope *envelope,
			      struct hook_decode *decode);
