/* The proofs: signatures in hex, tokens, Standard Webhooks. */
#include "hook/verify.h"

#include "base/mem.h"

#include <assert.h>

/* Standard Webhooks, "Verifying webhook authenticity". The timestamp may differ by this much in
 * both directions, because clocks differ. */
#define WINDOW_MS (5 * 60 * 1000)
/* The last second that fits into an int64_t as milliseconds. */
#define LAST_SECOND (INT64_MAX / 2000)

#define MAX_ID_BYTES        256
#define MAX_TIMESTAMP_BYTES 20
/* Seconds since 1970 have ten digits from 2001 to 2286. */
#define MIN_TIMESTAMP_BYTES 10

static_assert(HOOK_HEAD_BYTES >= MAX_ID_BYTES + MAX_TIMESTAMP_BYTES + 2, "ID.TIMESTAMP. fits");

static void refuse(struct hook_verify *v, const char *why)
{
	if (!v->refusal)
		v->refusal = why;
}

void hook_verify_refuse_shape(struct hook_verify *v, const char *why)
{
	v->is_hopeless = true;
	refuse(v, why);
}

bool hook_verify_is_absent(struct str value)
{
	return str_empty(value) || str_eq(value, STR("sha256=")) || str_eq(value, STR("v1,"));
}

bool hook_verify_find_header(struct hook_verify *v, const char *name, const char *repeated,
			     struct str *out)
{
	size_t n = 0;

	*out = hook_header(v->request, name, &n);
	if (n > 1)
		hook_verify_refuse_shape(v, repeated);
	v->is_any_sent |= n > 1 || !hook_verify_is_absent(*out);
	return n == 1 && !hook_verify_is_absent(*out);
}

static struct str key_of_secret(struct str secret, unsigned char space[HOOK_MAX_KEY_BYTES])
{
	(void)space;
	return secret;
}

/*
 * "whsec_" and the key in base64 (Standard Webhooks, "Signature scheme"; GitLab's signing tokens).
 * If decoding gives no bytes there is no key: anybody could make an HMAC with an empty one.
 */
static struct str key_of_token(struct str secret, unsigned char space[HOOK_MAX_KEY_BYTES])
{
	struct str encoded = str_without_prefix(secret, STR("whsec_"));
	size_t n = 0;

	if (encoded.n == secret.n)
		return secret;
	if (!crypto_unbase64(space, HOOK_MAX_KEY_BYTES, &n, encoded))
		return STR("");
	return str_range((const char *)space, n);
}

void hook_verify_take_hex(struct hook_verify *v, const struct hook_hex_rule *rule)
{
	struct str sent, hex;

	if (!hook_verify_find_header(v, rule->header, rule->repeated, &sent))
		return;
	hex = str_without_prefix(sent, str_of(rule->prefix));
	hook_mac_expect(&v->hex, 1);
	if (hex.n + strlen(rule->prefix) != sent.n ||
	    !crypto_unhex(v->hex.sent[0], CRYPTO_SHA256_BYTES, hex)) {
		hook_verify_refuse_shape(v, rule->malformed);
		return;
	}
	v->hex.n_sent = 1;
	hook_mac_start(&v->hex, v->request, key_of_secret, v->is_form);
}

void hook_verify_take_token(struct hook_verify *v, struct str token, const char *mismatch)
{
	for (size_t i = 0; i < v->request->n_secrets; i++)
		v->matched |= (uint32_t)crypto_equal(token, v->request->secrets[i]) << i;
	if (!v->matched)
		refuse(v, mismatch);
}

/* Reads space-separated "v1,BASE64"; other versions are passed over, and so is one that is
 * malformed: while keys are changed there may be several, and one that matches is enough. */
static void parse_signatures(struct hook_mac *mac, struct str list)
{
	struct str one;

	while (mac->n_sent < HOOK_MAX_SIGNATURES && str_next_part(&list, ' ', &one)) {
		struct str encoded = str_without_prefix(one, STR("v1,"));
		size_t n = 0;

		if (encoded.n < one.n &&
		    crypto_unbase64(mac->sent[mac->n_sent], CRYPTO_SHA256_BYTES, &n, encoded) &&
		    n == CRYPTO_SHA256_BYTES)
			mac->n_sent++;
	}
}

static bool is_in_window(struct str timestamp, int64_t now_ms)
{
	uint64_t seconds = 0;
	int64_t age_ms = 0;

	if (!str_parse_u64(timestamp, LAST_SECOND, &seconds))
		return false;
	age_ms = now_ms - (int64_t)seconds * 1000;
	return age_ms <= WINDOW_MS && age_ms >= -WINDOW_MS;
}

/* Starts the HMAC over "ID.TIMESTAMP.BODY". (Standard Webhooks, "Signature scheme".) */
static void start_standard(struct hook_verify *v, struct str id, struct str timestamp)
{
	const struct str before_body[] = {id, STR("."), timestamp, STR(".")};

	hook_mac_start(&v->standard, v->request, key_of_token, false);
	for (size_t i = 0; i < ARRAY_LEN(before_body); i++)
		hook_mac_feed(&v->standard, before_body[i]);
}

void hook_verify_take_standard(struct hook_verify *v)
{
	struct str sent, id, timestamp;

	v->takes_standard = true;
	if (!hook_verify_find_header(v, "webhook-signature", "webhook-signature" HOOK_REPEATED,
				     &sent))
		return;
	hook_mac_expect(&v->standard, HOOK_MAX_SIGNATURES);
	parse_signatures(&v->standard, sent);
	if (v->standard.n_sent == 0)
		hook_verify_refuse_shape(v,
					 "webhook-signature is not \"v1,\" and a digest in base64");
	else if (!hook_verify_find_header(v, "webhook-id", "webhook-id" HOOK_REPEATED, &id))
		hook_verify_refuse_shape(v, "webhook-signature without a webhook-id");
	else if (!hook_verify_find_header(v, "webhook-timestamp", "webhook-timestamp" HOOK_REPEATED,
					  &timestamp))
		hook_verify_refuse_shape(v, "webhook-signature without a webhook-timestamp");
	else if (id.n > MAX_ID_BYTES || timestamp.n > MAX_TIMESTAMP_BYTES)
		hook_verify_refuse_shape(
			v, "webhook-id is longer than 256 bytes, or webhook-timestamp "
			   "than 20");
	else if (!is_in_window(timestamp, v->request->now_ms))
		hook_verify_refuse_shape(v,
					 "webhook-timestamp is not within 5 minutes of this clock");
	else
		start_standard(v, id, timestamp);
}

void hook_verify_init(struct hook_verify *v, const struct hook_request *request,
		      const struct hook_envelope *envelope)
{
	if (request->needs_no_proof)
		return;
	v->request = request;
	v->is_form = envelope->media == HOOK_MEDIA_FORM;
	if (envelope->prover->take_proof)
		envelope->prover->take_proof(v);
	else
		hook_verify_take_hex(v, &envelope->prover->signature);
	if (!v->is_any_sent && !request->is_path_proven)
		hook_verify_refuse_shape(v, envelope->prover->absent);
	v->request = NULL;
}

void hook_verify_release(struct hook_verify *v)
{
	hook_mac_release(&v->hex);
	hook_mac_release(&v->standard);
}

static void feed_head(struct hook_head *head, struct str bytes)
{
	size_t n = sizeof(head->bytes) - head->n;

	n = bytes.n < n ? bytes.n : n;
	if (n > 0)
		memcpy(head->bytes + head->n, bytes.p, n);
	head->n += n;
}

void hook_verify_feed(struct hook_verify *v, struct str bytes)
{
	feed_head(&v->body_head, bytes);
	hook_mac_feed(&v->hex, bytes);
	hook_mac_feed(&v->standard, bytes);
}

void hook_verify_feed_payload(struct hook_verify *v, struct str bytes)
{
	feed_head(&v->payload_head, bytes);
	hook_mac_feed_payload(&v->hex, bytes);
}

/*
 * Does the text begin like "ID.TIMESTAMP.BODY", over which a Standard Webhooks signature is made?
 * An ID may be any text.
 */
static bool is_standard_content(const struct hook_head *head)
{
	struct str text = str_range(head->bytes, head->n);

	for (size_t dot = 1; dot < text.n && dot <= MAX_ID_BYTES; dot++) {
		size_t end = dot + 1;

		if (text.p[dot] != '.')
			continue;
		while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
			end++;
		if (end < text.n && text.p[end] == '.' && end - dot > MIN_TIMESTAMP_BYTES)
			return true;
	}
	return false;
}

/*
 * A proof is valid for one scheme. Both schemes are an HMAC-SHA256 under the same secret. A
 * signature seen in webhook-signature would also be valid in X-Hub-Signature-256, over the text
 * "ID.TIMESTAMP.BODY" and without a check of the timestamp.
 */
static bool is_of_other_scheme(const struct hook_verify *v)
{
	return v->takes_standard && v->hex.n > 0 &&
	       (is_standard_content(&v->body_head) || is_standard_content(&v->payload_head));
}

bool hook_verify_holds(struct hook_verify *v)
{
	struct hook_mac *const macs[] = {&v->hex, &v->standard};

	for (size_t i = 0; i < ARRAY_LEN(macs) && !v->is_done; i++)
		if (macs[i]->n && !hook_mac_matches(macs[i]))
			refuse(v, "signature does not match the secret");
	if (!v->is_done && is_of_other_scheme(v))
		refuse(v, "X-Hub-Signature-256 is over a text that begins like a Standard Webhooks "
			  "signature's, \"ID.TIMESTAMP.\"");
	v->is_done = true;
	return !v->refusal;
}
