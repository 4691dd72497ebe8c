/*
 * The HMAC-SHA256 of a body under each of a hook's secrets, computed while the bytes arrive, and
 * the comparison with the signatures that were sent. Takes the same time whatever the secrets are.
 */
#pragma once

#include "crypto/crypto.h"
#include "hook/hook.h"

/* Standard Webhooks allows several signatures in a header while keys are changed. Signatures over
 * this number are not tried. */
#define HOOK_MAX_SIGNATURES 32
/* Most bytes of a decoded signing token. */
#define HOOK_MAX_KEY_BYTES 256

struct hook_mac {
	size_t n_sent;
	unsigned char (*sent)[CRYPTO_SHA256_BYTES]; /* signatures; NULL before hook_mac_expect() */
	size_t n;                                   /* keys; 0: not started */
	/* False: the key never matches. Its HMAC is computed all the same, to take as long. */
	bool has_key[HOOK_MAX_SECRETS];
	struct crypto_hmac *body[HOOK_MAX_SECRETS];
	struct crypto_hmac *payload[HOOK_MAX_SECRETS]; /* HMACs of a form's decoded payload; NULL
							  for other bodies */
	uint32_t matched; /* a bit for each secret, after hook_mac_matches() */
};

/* Makes room for N signatures in MAC->sent. */
void hook_mac_expect(struct hook_mac *mac, size_t n);
/* The key that SECRET stands for, in SPACE or in SECRET itself; empty when it stands for none. */
typedef struct str (*hook_key_fn)(struct str secret, unsigned char space[HOOK_MAX_KEY_BYTES]);

/* Either digest of a form may match: hosts sign the raw form or the decoded payload. */
void hook_mac_start(struct hook_mac *mac, const struct hook_request *request, hook_key_fn key_of,
		    bool is_form);
void hook_mac_release(struct hook_mac *mac);
void hook_mac_feed(struct hook_mac *mac, struct str bytes);
/* MAC was started with IS_FORM, or not at all. */
void hook_mac_feed_payload(struct hook_mac *mac, struct str bytes);
/* May be called once. */
bool hook_mac_matches(struct hook_mac *mac);
