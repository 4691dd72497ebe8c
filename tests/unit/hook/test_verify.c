/* Which proofs hold: HMACs over the body, several secrets; a single flipped bit is refused. */
#include "sender.h"

#include "hook/mac.h"

#define SIGNING_KEY   "buildhook signs webhooks with it"
#define SIGNING_TOKEN "whsec_YnVpbGRob29rIHNpZ25zIHdlYmhvb2tzIHdpdGggaXQ="
#define MSG_ID        "msg_2mNvK"
#define TIMESTAMP     "1763900000"

static const struct str secret = {SENDER_SECRET, sizeof(SENDER_SECRET) - 1};
static const struct str signing_key = {SIGNING_KEY, sizeof(SIGNING_KEY) - 1};

/* One kind of proof: how BODY is signed, and with which form of secret. */
struct proof {
	const char *name;
	enum hook_type type;
	const char *media;
	const char *event_header, *event;
	const char *header;
	const char *prefix;
	bool is_standard, is_token, is_form_signed_decoded;
};

static const struct proof proofs[] = {
	{.name = "github",
	 .type = HOOK_GITHUB,
	 .event_header = "X-GitHub-Event",
	 .event = "push",
	 .header = "X-Hub-Signature-256",
	 .prefix = "sha256="},
	{.name = "github form",
	 .type = HOOK_GITHUB,
	 .media = "application/x-www-form-urlencoded",
	 .event_header = "X-GitHub-Event",
	 .event = "push",
	 .header = "X-Hub-Signature-256",
	 .prefix = "sha256="},
	{.name = "gitea",
	 .type = HOOK_GITHUB,
	 .event_header = "X-Gitea-Event",
	 .event = "push",
	 .header = "X-Gitea-Signature",
	 .prefix = ""},
	{.name = "gitea form",
	 .type = HOOK_GITHUB,
	 .media = "application/x-www-form-urlencoded",
	 .event_header = "X-Gitea-Event",
	 .event = "push",
	 .header = "X-Gitea-Signature",
	 .prefix = "",
	 .is_form_signed_decoded = true},
	{.name = "forgejo",
	 .type = HOOK_GITHUB,
	 .event_header = "X-Forgejo-Event",
	 .event = "push",
	 .header = "X-Forgejo-Signature",
	 .prefix = ""},
	{.name = "gogs",
	 .type = HOOK_GITHUB,
	 .event_header = "X-Gogs-Event",
	 .event = "push",
	 .header = "X-Gogs-Signature",
	 .prefix = ""},
	{.name = "gitlab signing token",
	 .type = HOOK_GITLAB,
	 .event_header = "X-Gitlab-Event",
	 .event = "Push Hook",
	 .header = "webhook-signature",
	 .is_standard = true},
	{.name = "bitbucket",
	 .type = HOOK_BITBUCKET,
	 .event_header = "X-Event-Key",
	 .event = "repo:push",
	 .header = "X-Hub-Signature",
	 .prefix = "sha256="},
	{.name = "bitbucket-dc",
	 .type = HOOK_BITBUCKET,
	 .event_header = "X-Event-Key",
	 .event = "repo:refs_changed",
	 .header = "X-Hub-Signature",
	 .prefix = "sha256="},
	{.name = "generic hub",
	 .type = HOOK_GENERIC,
	 .header = "X-Hub-Signature-256",
	 .prefix = "sha256="},
	{.name = "generic standard",
	 .type = HOOK_GENERIC,
	 .header = "webhook-signature",
	 .is_standard = true},
	{.name = "gitlab token",
	 .type = HOOK_GITLAB,
	 .event_header = "X-Gitlab-Event",
	 .event = "Push Hook",
	 .header = "X-Gitlab-Token",
	 .prefix = "",
	 .is_token = true},
	{.name = "generic bearer",
	 .type = HOOK_GENERIC,
	 .header = "Authorization",
	 .prefix = "Bearer ",
	 .is_token = true},
};

static const char json_body[] = "{\"ref\":\"refs/heads/main\"}";
static const char form_body[] = "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D";

static struct str body_of(const struct proof *proof)
{
	return str_of(proof->media ? form_body : json_body);
}

static char *signature_of(const struct proof *proof)
{
	CLEANUP(buf_release) struct buf token = BUF_INIT(256);

	if (proof->is_standard)
		return sender_v1(signing_key, MSG_ID, TIMESTAMP, body_of(proof));
	if (!proof->is_token)
		return sender_hex(proof->prefix, secret,
				  proof->is_form_signed_decoded ? str_of(json_body)
								: body_of(proof));
	buf_printf(&token, "%s%s", proof->prefix, SENDER_SECRET);
	return buf_take(&token);
}

static struct hook_delivery *deliver(struct sender *s, const struct proof *proof, struct str body,
				     struct str signature)
{
	s->n_headers = 0;
	s->body = body;
	if (!s->n_secrets) {
		s->secrets[s->n_secrets++] = secret;
		s->secrets[s->n_secrets++] = STR(SIGNING_TOKEN);
	}
	sender_put(s, "Content-Type", proof->media ? proof->media : "application/json");
	if (proof->event_header)
		sender_put(s, proof->event_header, proof->event);
	if (proof->is_standard) {
		sender_put(s, "webhook-id", MSG_ID);
		sender_put(s, "webhook-timestamp", TIMESTAMP);
	}
	sender_put_str(s, str_of(proof->header), signature);
	return sender_send(s, proof->type);
}

static bool holds(struct sender *s, const struct proof *proof, struct str body,
		  struct str signature)
{
	CLEANUP(sender_freep) struct hook_delivery *delivery = deliver(s, proof, body, signature);

	return hook_delivery_holds(delivery);
}

static void every_proof_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		CLEANUP(mem_free) char *signature = signature_of(&proofs[i]);
		struct sender s = {0};

		if (!holds(&s, &proofs[i], body_of(&proofs[i]), str_of(signature)))
			fail_msg("%s", proofs[i].name);
	}
}

/* Only signatures refuse a flipped bit of the body: a token does not depend on the body. */
static void one_flipped_bit_of_the_body_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		CLEANUP(mem_free) char *signature = signature_of(&proofs[i]);
		CLEANUP(mem_free) char *body = str_dup(body_of(&proofs[i]));
		size_t n = strlen(body);

		for (size_t bit = 0; bit < 8 * n && !proofs[i].is_token; bit++) {
			struct sender s = {0};

			body[bit / 8] ^= (char)(1 << bit % 8);
			/* "%7B" and "%7b" are the same JSON, which is what Gitea signs. */
			if (holds(&s, &proofs[i], str_range(body, n), str_of(signature)) &&
			    !(proofs[i].is_form_signed_decoded && bit % 8 == 5))
				fail_msg("%s: bit %zu", proofs[i].name, bit);
			body[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
}

static void one_flipped_bit_of_the_proof_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		CLEANUP(mem_free) char *signature = signature_of(&proofs[i]);
		size_t n = strlen(signature);
		/* "bearer" is the same scheme. */
		size_t first = proofs[i].is_token ? 8 * strlen(proofs[i].prefix) : 0;

		for (size_t bit = first; bit < 8 * n; bit++) {
			struct sender s = {0};

			signature[bit / 8] ^= (char)(1 << bit % 8);
			if (holds(&s, &proofs[i], body_of(&proofs[i]), str_range(signature, n)))
				fail_msg("%s: bit %zu", proofs[i].name, bit);
			signature[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
}

static void every_prefix_of_the_proof_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		CLEANUP(mem_free) char *signature = signature_of(&proofs[i]);

		for (size_t n = 0; n < strlen(signature); n++) {
			struct sender s = {0};

			if (holds(&s, &proofs[i], body_of(&proofs[i]), str_range(signature, n)))
				fail_msg("%s: %zu bytes", proofs[i].name, n);
		}
	}
}

static void any_of_several_secrets_will_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		CLEANUP(mem_free) char *signature = signature_of(&proofs[i]);

		for (size_t at = 0; at < HOOK_MAX_SECRETS; at++) {
			struct sender s = {.n_secrets = HOOK_MAX_SECRETS};

			for (size_t k = 0; k < HOOK_MAX_SECRETS; k++)
				s.secrets[k] = k % 2 ? STR("other") : STR("");
			s.secrets[at] = proofs[i].is_standard ? STR(SIGNING_TOKEN) : secret;
			assert_true(holds(&s, &proofs[i], body_of(&proofs[i]), str_of(signature)));
			s.secrets[at] = STR("whsec_");
			assert_false(holds(&s, &proofs[i], body_of(&proofs[i]), str_of(signature)));
		}
	}
}

/* Signed with KEY, received by a hook whose only secret is SECRET_TEXT. */
static bool is_taken(const struct proof *proof, struct str key, struct str secret_text)
{
	struct sender s = {.n_secrets = 1, .secrets = {secret_text}};
	CLEANUP(mem_free)
	char *signature = proof->is_standard ? sender_v1(key, MSG_ID, TIMESTAMP, body_of(proof))
					     : sender_hex(proof->prefix, key, body_of(proof));

	return holds(&s, proof, body_of(proof), str_of(signature));
}

static void an_empty_secret_matches_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		if (proofs[i].is_token || proofs[i].is_form_signed_decoded)
			continue;
		assert_false(is_taken(&proofs[i], STR(""), STR("")));
		assert_false(is_taken(&proofs[i], STR("none"), STR("")));
		assert_false(is_taken(&proofs[i], STR(""), STR("whsec_")));
	}
}

static void a_hook_without_secrets_takes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(proofs); i++) {
		CLEANUP(mem_free) char *signature = signature_of(&proofs[i]);
		struct sender s = {.n_secrets = 0, .has_no_secret = true};
		CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;

		s.body = body_of(&proofs[i]);
		if (proofs[i].event_header)
			sender_put(&s, proofs[i].event_header, proofs[i].event);
		sender_put(&s, "webhook-id", MSG_ID);
		sender_put(&s, "webhook-timestamp", TIMESTAMP);
		sender_put(&s, proofs[i].header, signature);
		delivery = sender_send(&s, proofs[i].type);
		assert_false(hook_delivery_holds(delivery));
	}
}

/* The text after "whsec_" is base64, any other secret is the key itself. */
static void a_signing_token_is_decoded_where_it_says_so(void **state)
{
	const struct proof *proof = &proofs[6];
	static const struct {
		const char *key, *secret;
		bool holds;
	} cases[] = {
		{SIGNING_KEY, SIGNING_TOKEN, true},
		{SIGNING_TOKEN, SIGNING_TOKEN, false},
		{"plain text", "plain text", true},
		{"whsec_not base64", "whsec_not base64", false},
		{"YWJj", "YWJj", true},
		{"abc", "whsec_YWJj", true},
		{"abc", "whsec_YWJj=", false},
		{"abc", "WHSEC_YWJj", false},
		{"", "whsec_=", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (is_taken(proof, str_of(cases[i].key), str_of(cases[i].secret)) !=
		    cases[i].holds)
			fail_msg("%s", cases[i].secret);
}

static void a_signing_token_holds_for_five_minutes_either_way(void **state)
{
	const int64_t sent_ms = 1763900000000;
	static const struct {
		int64_t off_ms;
		bool holds;
	} cases[] = {
		{0, true},       {300000, true},   {300001, false},
		{-300000, true}, {-300001, false}, {-1763900000000 + 1, false},
	};
	CLEANUP(mem_free) char *signature = signature_of(&proofs[6]);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sender s = {.now_ms = sent_ms + cases[i].off_ms};

		assert_int_equal(holds(&s, &proofs[6], body_of(&proofs[6]), str_of(signature)),
				 cases[i].holds);
	}
}

static void ids_and_timestamps_of_a_signing_token_are_bounded(void **state)
{
	char long_id[258], long_timestamp[22];
	const struct {
		const char *id, *timestamp, *refusal;
	} cases[] = {
		{long_id, TIMESTAMP, "longer than 256 bytes"},
		{MSG_ID, long_timestamp, "longer than 256 bytes"},
	};

	(void)state;
	memset(long_id, 'a', sizeof(long_id));
	memset(long_timestamp, '1', sizeof(long_timestamp));
	long_id[sizeof(long_id) - 1] = long_timestamp[sizeof(long_timestamp) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_free)
		char *v1 =
			sender_v1(signing_key, cases[i].id, cases[i].timestamp, str_of(json_body));
		CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
		struct sender s = {
			.body = str_of(json_body), .secrets = {STR(SIGNING_TOKEN)}, .n_secrets = 1};

		sender_put(&s, "Content-Type", "application/json");
		sender_put(&s, "X-Gitlab-Event", "Push Hook");
		sender_put(&s, "webhook-id", cases[i].id);
		sender_put(&s, "webhook-timestamp", cases[i].timestamp);
		sender_put_str(&s, STR("webhook-signature"), str_of(v1));
		delivery = sender_send(&s, HOOK_GITLAB);
		assert_false(hook_delivery_holds(delivery));
		assert_non_null(strstr(hook_delivery_refusal(delivery), cases[i].refusal));
	}
}

/*
 * A Standard Webhooks signature is made over "ID.TIMESTAMP.BODY". Sent as X-Hub-Signature-256 with
 * that text as the body, or as the payload of a form, it would hold for ever.
 */
static void a_proof_of_one_scheme_is_none_of_another(void **state)
{
	static const char content[] = MSG_ID "." TIMESTAMP ".{}";
	static const struct {
		const char *media, *body;
		bool holds;
	} cases[] = {
		{"application/json", MSG_ID "." TIMESTAMP ".{}", false},
		{"application/x-www-form-urlencoded", "payload=" MSG_ID "." TIMESTAMP ".%7B%7D",
		 false},
		{"application/x-www-form-urlencoded", "payload=" MSG_ID "%2E" TIMESTAMP "%2E%7B%7D",
		 false},
		{"application/x-www-form-urlencoded", "payload=%7B%7D", true},
		{"application/json", "{}", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].holds ? "{}" : content;
		CLEANUP(mem_free) char *hex = sender_hex("sha256=", secret, str_of(text));
		CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
		struct sender s = {.body = str_of(cases[i].body)};

		sender_put(&s, "Content-Type", cases[i].media);
		sender_put_str(&s, STR("X-Hub-Signature-256"), str_of(hex));
		delivery = sender_send(&s, HOOK_GENERIC);
		if (hook_delivery_holds(delivery) != cases[i].holds)
			fail_msg("%s %s", cases[i].media, cases[i].body);
	}
}

/* GitHub docs, "Validating webhook deliveries". */
static void the_published_example_of_github_holds(void **state)
{
	struct sender s = {0};

	(void)state;
	assert_true(holds(&s, &proofs[0], STR("Hello, World!"),
			  STR("sha256=757107ea0eb2509fc211221cce984b8a"
			      "37570b6d7586c22c46f4379c8b043e17")));
}

#define WRONG_BASE64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void signatures_are_tried_one_by_one_up_to_a_bound(void **state)
{
	CLEANUP(mem_free) char *one = signature_of(&proofs[6]);
	CLEANUP(buf_release) struct buf many = BUF_INIT(8192);
	struct sender s = {0};

	(void)state;
	for (int i = 0; i < HOOK_MAX_SIGNATURES; i++)
		buf_printf(&many, "v1,malformed%d v1, v2,%s ", i, one);
	for (int i = 1; i < HOOK_MAX_SIGNATURES; i++)
		buf_printf(&many, "v1,%s ", WRONG_BASE64);
	CLEANUP(mem_free) char *before = mem_strdup(many.data);
	buf_printf(&many, "%s", one);
	assert_true(holds(&s, &proofs[6], body_of(&proofs[6]), buf_str(&many)));
	many.len = 0;
	buf_printf(&many, "%sv1,%s %s", before, WRONG_BASE64, one);
	assert_false(holds(&s, &proofs[6], body_of(&proofs[6]), buf_str(&many)));
}

static void a_refusal_is_told_in_words(void **state)
{
	CLEANUP(sender_freep) struct hook_delivery *delivery = NULL;
	struct sender s = {0};

	(void)state;
	delivery = deliver(&s, &proofs[0], body_of(&proofs[0]),
			   STR("sha256=757107ea0eb2509fc211221cce984b8a"
			       "37570b6d7586c22c46f4379c8b043e17"));
	assert_false(hook_delivery_holds(delivery));
	assert_false(hook_delivery_holds(delivery));
	assert_string_equal(hook_delivery_refusal(delivery), "signature does not match the secret");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_proof_holds),
		cmocka_unit_test(one_flipped_bit_of_the_body_is_refused),
		cmocka_unit_test(one_flipped_bit_of_the_proof_is_refused),
		cmocka_unit_test(every_prefix_of_the_proof_is_refused),
		cmocka_unit_test(any_of_several_secrets_will_do),
		cmocka_unit_test(an_empty_secret_matches_nothing),
		cmocka_unit_test(a_hook_without_secrets_takes_nothing),
		cmocka_unit_test(a_signing_token_is_decoded_where_it_says_so),
		cmocka_unit_test(a_signing_token_holds_for_five_minutes_either_way),
		cmocka_unit_test(ids_and_timestamps_of_a_signing_token_are_bounded),
		cmocka_unit_test(a_proof_of_one_scheme_is_none_of_another),
		cmocka_unit_test(the_published_example_of_github_holds),
		cmocka_unit_test(signatures_are_tried_one_by_one_up_to_a_bound),
		cmocka_unit_test(a_refusal_is_told_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
