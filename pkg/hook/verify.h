/*
 * Who sent it? Each host has its kinds of proof. Headers are judged at once, since they do not
 * change any more; the answer waits for the last byte of the body.
 */
#pragma once

#include "hook/envelope.h"
#include "hook/mac.h"

struct hook_verify {
	const struct hook_request *request; /* only while hook_verify_init() runs */
	bool is_any_sent;                   /* a proof, right or wrong */
	bool is_hopeless;    /* by the shape of the headers, whatever body and secrets are */
	const char *refusal; /* static; NULL while nothing speaks against it */
	bool is_form;
	struct hook_mac hex, standard; /* of those that were sent */
	bool is_done;
};

void hook_verify_init(struct hook_verify *v, const struct hook_request *request,
		      const struct hook_envelope *envelope);
void hook_verify_release(struct hook_verify *v);
/* Bytes of the body as they were received. */
void hook_verify_feed(struct hook_verify *v, struct str bytes);
/* Bytes of a form's payload, decoded. */
void hook_verify_feed_payload(struct hook_verify *v, struct str bytes);
/* After the last byte. What speaks against it is then in v->refusal. */
bool hook_verify_holds(struct hook_verify *v);
