#include "hook/verify.h"

#include "base/mem.h"

/* Standard Webhooks, "Verifying webhook authenticity". In both directions: clocks differ. */
#define WINDOW_MS (5 * 60 * 1000)
/* So that milliseconds fit. */
#define LAST_SECOND (INT64_MAX / 2000)

/* An HMAC-SHA256 of the body in hex. */
struct hex_rule {
	const char *header;
	struct str prefix;
	const char *malformed, *repeated;
};

#define ONCE " is sent more than once"
#define HUB_RULE(header)                                                                           \
	{                                                                                          \
		header, STR("sha256="), header " is not \"sha256=\" and 64 lower-case hex digits", \
			header ONCE                                                                \
	}
#define BARE_RULE(header)                                                                          \
	{                                                                                          \
		header, STR(""), header " is not 64 lower-case hex digits", header ONCE            \
	}

static const struct hex_rule hub_256 = HUB_RULE("X-Hub-Signature-256");
/* Both kinds of Bitbucket use the name that GitHub has for SHA-1. (Atlassian docs, "Secure
 * webhooks".) */
static const struct hex_rule bitbucket = HUB_RULE("X-Hub-Signature");
/* They send X-Hub-Signature-256 too, to pass for GitHub; their own is what counts. (Gitea's source,
 * services/webhook.) */
static const struct hex_rule gitea = BARE_RULE("X-Gitea-Signature");
static const struct hex_rule forgejo = BARE_RULE("X-Forgejo-Signature");
static const struct hex_rule gogs = BARE_RULE("X-Gogs-Signature");

static void refuse(struct hook_verify *v, const char *why)
{
	if (!v->refusal)
		v->refusal = why;
}

static void refuse_shape(struct hook_verify *v, const char *why)
{
	v->is_hopeless = true;
	refuse(v, why);
}

/* An empty header counts as absent: Gitea sends such where it has no secret. */
static bool find_header(struct hook_verify *v, const char *name, const char *repeated,
			struct str *out)
{
	size_t n = 0;

	*out = hook_header(v->request, name, &n);
	if (n > 1)
		refuse_shape(v, repeated);
	v->is_any_sent |= n > 1 || !str_empty(*out);
	return n == 1 && !str_empty(*out);
}

static struct str key_of_secret(struct str secret, unsigned char space[HOOK_MAX_KEY_BYTES])
{
	(void)space;
	return secret;
}

/*
 * "whsec_" and the key in base64 (Standard Webhooks, "Signature scheme"; GitLab's signing tokens).
 * Where that gives no bytes there is no key, for an HMAC with an empty one is anybody's.
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

static void take_hex(struct hook_verify *v, const struct hex_rule *rule)
{
	struct str sent, hex;

	if (!find_header(v, rule->header, rule->repeated, &sent))
		return;
	hex = str_without_prefix(sent, rule->prefix);
	if (hex.n + rule->prefix.n != sent.n ||
	    !crypto_unhex(v->hex.sent[0], CRYPTO_SHA256_BYTES, hex)) {
		refuse_shape(v, rule->malformed);
		return;
	}
	v->hex.n_sent = 1;
	hook_mac_start(&v->hex, v->request, key_of_secret, v->is_form);
}

/* TOKEN is not empty, and so never equal to an empty secret. */
static void take_token(struct hook_verify *v, struct str token, const char *mismatch)
{
	bool matches = false;

	for (size_t i = 0; i < v->request->n_secrets; i++)
		matches |= crypto_equal(token, v->request->secrets[i]);
	if (!matches)
		refuse(v, mismatch);
}

/* Space-separated "v1,BASE64"; those of other versions are passed over. */
static bool parse_signatures(struct hook_mac *mac, struct str list)
{
	struct str one;

	while (str_next_part(&list, ' ', &one)) {
		struct str encoded = str_without_prefix(one, STR("v1,"));
		size_t n = 0;

		if (encoded.n == one.n)
			continue;
		if (mac->n_sent == HOOK_MAX_SIGNATURES ||
		    !crypto_unbase64(mac->sent[mac->n_sent], CRYPTO_SHA256_BYTES, &n, encoded) ||
		    n != CRYPTO_SHA256_BYTES)
			return false;
		mac->n_sent++;
	}
	return mac->n_sent > 0;
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

/* Over "ID.TIMESTAMP.BODY". (Standard Webhooks, "Signature scheme".) */
static void start_standard(struct hook_verify *v, struct str id, struct str timestamp)
{
	const struct str before_body[] = {id, STR("."), timestamp, STR(".")};

	hook_mac_start(&v->standard, v->request, key_of_token, false);
	for (size_t i = 0; i < ARRAY_LEN(before_body); i++)
		hook_mac_feed(&v->standard, before_body[i]);
}

static void take_standard(struct hook_verify *v)
{
	struct str sent, id, timestamp;

	if (!find_header(v, "webhook-signature", "webhook-signature" ONCE, &sent))
		return;
	if (!parse_signatures(&v->standard, sent))
		refuse_shape(v, "webhook-signature is not \"v1,\" and a digest in base64");
	else if (!find_header(v, "webhook-id", "webhook-id" ONCE, &id))
		refuse_shape(v, "webhook-signature without a webhook-id");
	else if (!find_header(v, "webhook-timestamp", "webhook-timestamp" ONCE, &timestamp))
		refuse_shape(v, "webhook-signature without a webhook-timestamp");
	else if (!is_in_window(timestamp, v->request->now_ms))
		refuse_shape(v, "webhook-timestamp is not within 5 minutes of this clock");
	else
		start_standard(v, id, timestamp);
}

/* A SHA-1 signature proves too little, and we cannot check it: so it is refused, also where it is
 * only beside the secret in the URL. */
static void take_github(struct hook_verify *v)
{
	take_hex(v, &hub_256);
	if (v->is_any_sent || str_empty(hook_header(v->request, "X-Hub-Signature", NULL)))
		return;
	v->is_any_sent = true;
	refuse_shape(v, "only X-Hub-Signature with SHA-1 is sent: X-Hub-Signature-256 is needed");
}

static void take_gitea(struct hook_verify *v)
{
	take_hex(v, &gitea);
}

static void take_forgejo(struct hook_verify *v)
{
	take_hex(v, &forgejo);
}

static void take_gogs(struct hook_verify *v)
{
	take_hex(v, &gogs);
}

static void take_bitbucket(struct hook_verify *v)
{
	take_hex(v, &bitbucket);
}

/* Beside a signature the token does not count: it would make the weaker proof sufficient. */
static void take_gitlab(struct hook_verify *v)
{
	struct str token;

	take_standard(v);
	if (!v->is_any_sent && find_header(v, "X-Gitlab-Token", "X-Gitlab-Token" ONCE, &token))
		take_token(v, token, "X-Gitlab-Token is not the secret");
}

static struct str bearer_of(struct str authorization)
{
	size_t end = str_find_char(authorization, ' ');

	if (!str_eq_nocase(str_range(authorization.p, end), STR("Bearer")))
		return STR("");
	return str_trim(str_range(authorization.p + end, authorization.n - end));
}

/*
 * Any of three, and whatever of them is sent must be right. A bearer token is a proof here, so one
 * beside the secret in the URL is checked; other schemes are meant for somebody on the way.
 */
static void take_generic(struct hook_verify *v)
{
	size_t n = 0;
	struct str bearer = bearer_of(hook_header(v->request, "Authorization", &n));

	if (n > 1)
		refuse_shape(v, "Authorization" ONCE);
	v->is_any_sent = n > 1 || !str_empty(bearer);
	if (!str_empty(bearer))
		take_token(v, bearer, "the bearer token is not the secret");
	take_hex(v, &hub_256);
	take_standard(v);
}

#define NO_SECRET ": is the secret set at the Git host?"

static const struct prover {
	void (*take)(struct hook_verify *v);
	const char *absent;
} provers[HOOK_HOSTS] = {
	[HOOK_HOST_GITHUB] = {take_github, "no X-Hub-Signature-256 header" NO_SECRET},
	[HOOK_HOST_GITEA] = {take_gitea, "no X-Gitea-Signature header" NO_SECRET},
	[HOOK_HOST_FORGEJO] = {take_forgejo, "no X-Forgejo-Signature header" NO_SECRET},
	[HOOK_HOST_GOGS] = {take_gogs, "no X-Gogs-Signature header" NO_SECRET},
	[HOOK_HOST_GITLAB] = {take_gitlab,
			      "no X-Gitlab-Token or webhook-signature header" NO_SECRET},
	[HOOK_HOST_BITBUCKET_CLOUD] = {take_bitbucket, "no X-Hub-Signature header" NO_SECRET},
	[HOOK_HOST_BITBUCKET_DC] = {take_bitbucket, "no X-Hub-Signature header" NO_SECRET},
	[HOOK_HOST_GENERIC] = {take_generic, "no bearer token, X-Hub-Signature-256 or "
					     "webhook-signature header"},
};

void hook_verify_init(struct hook_verify *v, const struct hook_request *request,
		      const struct hook_envelope *envelope)
{
	const struct prover *prover = &provers[envelope->prover];

	if (request->needs_no_proof)
		return;
	v->request = request;
	v->is_form = envelope->media == HOOK_MEDIA_FORM;
	prover->take(v);
	if (!v->is_any_sent && !request->is_path_proven)
		refuse_shape(v, prover->absent);
	v->request = NULL;
}

void hook_verify_release(struct hook_verify *v)
{
	hook_mac_release(&v->hex);
	hook_mac_release(&v->standard);
}

void hook_verify_feed(struct hook_verify *v, struct str bytes)
{
	hook_mac_feed(&v->hex, bytes);
	hook_mac_feed(&v->standard, bytes);
}

void hook_verify_feed_payload(struct hook_verify *v, struct str bytes)
{
	hook_mac_feed_payload(&v->hex, bytes);
}

bool hook_verify_holds(struct hook_verify *v)
{
	struct hook_mac *const macs[] = {&v->hex, &v->standard};

	for (size_t i = 0; i < ARRAY_LEN(macs) && !v->is_done; i++)
		if (macs[i]->n && !hook_mac_matches(macs[i]))
			refuse(v, "signature does not match the secret");
	v->is_done = true;
	return !v->refusal;
}
