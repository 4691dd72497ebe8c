#include "hook/mac.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

void hook_mac_expect(struct hook_mac *mac, size_t n)
{
	mac->sent = mem_new(n, sizeof(*mac->sent));
}

/* At least one HMAC is computed, also for a hook without secrets or one that does not exist, so
 * that the time is the same. */
void hook_mac_start(struct hook_mac *mac, const struct hook_request *request, hook_key_fn key_of,
		    bool is_form)
{
	unsigned char space[HOOK_MAX_KEY_BYTES];

	assert(request->n_secrets <= HOOK_MAX_SECRETS);
	mac->n = request->n_secrets ? request->n_secrets : 1;
	for (size_t i = 0; i < mac->n; i++) {
		struct str secret = i < request->n_secrets ? request->secrets[i] : STR("");
		struct str key = key_of(secret, space);

		mac->has_key[i] = !str_empty(key);
		mac->body[i] = crypto_hmac_new(mac->has_key[i] ? key : STR("none"));
		if (is_form)
			mac->payload[i] = crypto_hmac_new(mac->has_key[i] ? key : STR("none"));
	}
	explicit_bzero(space, sizeof(space));
}

void hook_mac_release(struct hook_mac *mac)
{
	for (size_t i = 0; i < mac->n; i++) {
		crypto_hmac_free(mac->body[i]);
		crypto_hmac_free(mac->payload[i]);
	}
	free(mac->sent);
	*mac = (struct hook_mac){0};
}

void hook_mac_feed(struct hook_mac *mac, struct str bytes)
{
	for (size_t i = 0; i < mac->n; i++)
		crypto_hmac_update(mac->body[i], bytes);
}

void hook_mac_feed_payload(struct hook_mac *mac, struct str bytes)
{
	for (size_t i = 0; i < mac->n; i++)
		crypto_hmac_update(mac->payload[i], bytes);
}

static bool is_sent(const struct hook_mac *mac, struct crypto_hmac *hmac)
{
	unsigned char digest[CRYPTO_SHA256_BYTES];
	bool found = false;

	crypto_hmac_final(hmac, digest);
	for (size_t i = 0; i < mac->n_sent; i++)
		found |= crypto_equal(str_range((const char *)digest, sizeof(digest)),
				      str_range((const char *)mac->sent[i], sizeof(digest)));
	return found;
}

bool hook_mac_matches(struct hook_mac *mac)
{
	bool matches = false;

	for (size_t i = 0; i < mac->n; i++) {
		bool found = is_sent(mac, mac->body[i]);

		if (mac->payload[i])
			found |= is_sent(mac, mac->payload[i]);
		found &= mac->has_key[i];
		mac->matched |= (uint32_t)found << i;
		matches |= found;
	}
	return matches;
}
