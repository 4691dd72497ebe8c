/*
 * The proof of a delivery. Each host has its kinds of proof, made of the parts below. Headers are
 * judged at once; the result is there after the last byte of the body.
 */
#pragma once

#include "hook/envelope.h"
#include "hook/mac.h"

/* How many first bytes of a streamed text are kept. */
#define HOOK_HEAD_BYTES 280
struct hook_head {
	size_t n;
	char bytes[HOOK_HEAD_BYTES];
};

struct hook_verify {
	const struct hook_request *request; /* only while hook_verify_init() runs */
	bool is_any_sent;                   /* some proof was sent, right or wrong */
	bool is_hopeless;    /* refused by the headers alone, whatever body and secrets are */
	const char *refusal; /* static; NULL while there is no reason to refuse */
	bool is_form;
	struct hook_mac hex, standard; /* started for the signatures that were sent */
	bool takes_standard;           /* the host signs by Standard Webhooks, too */
	struct hook_head body_head, payload_head;
	uint32_t matched; /* a bit for each secret that equals the token that was sent */
	bool is_done;
};

void hook_verify_init(struct hook_verify *v, const struct hook_request *request,
		      const struct hook_envelope *envelope);
void hook_verify_release(struct hook_verify *v);
/* Bytes of the body as they were received. */
void hook_verify_feed(struct hook_verify *v, struct str bytes);
/* Bytes of a form's payload, decoded. */
void hook_verify_feed_payload(struct hook_verify *v, struct str bytes);
/* After the last byte. If false, v->refusal has the reason. */
bool hook_verify_holds(struct hook_verify *v);

/* Parts of hook_host.take_proof. They read v->request. WHY and all other texts are static. */

#define HOOK_ABSENT(header) "no " header " header: is the secret set at the Git host?"

/* The first problem found is the one that is reported. */
void hook_verify_refuse_shape(struct hook_verify *v, const char *why);
/* True if a header's VALUE is no proof. Without a secret Gitea sends an empty signature, or only
 * its prefix. */
bool hook_verify_is_absent(struct str value);
/* False without a value: the header is not sent, or absent as above. */
bool hook_verify_find_header(struct hook_verify *v, const char *name, const char *repeated,
			     struct str *out);
void hook_verify_take_hex(struct hook_verify *v, const struct hook_hex_rule *rule);
/* TOKEN is not empty, and so never equal to an empty secret. */
void hook_verify_take_token(struct hook_verify *v, struct str token, const char *mismatch);
/* webhook-signature with its id and timestamp. (Standard Webhooks, "Signature scheme".) */
void hook_verify_take_standard(struct hook_verify *v);
