#include "proof_world.h"

static void a_secret_proves_in_the_path_and_as_a_signature(void **state)
{
	struct proof_world *w = *state;
	static const struct {
		const char *path, *signed_with;
		int status;
		const char *why;
	} cases[] = {
		{HOOK, "s%c t", 200, NULL},
		{HOOK, "other", 200, NULL},
		{HOOK, "wrong", 401, "signature does not match the secret"},
		{IN_PATH("s%25c%20t"), NULL, 200, NULL},
		{IN_PATH("s%25c%20t"), "other", 200, NULL},
		{IN_PATH("s%c%20t"), NULL, 200, NULL},
		{IN_PATH("%73%25%63%20%74"), NULL, 200, NULL},
		{IN_PATH("%6F%74%68er"), NULL, 200, NULL},
		{IN_PATH("%6f%74%68er"), NULL, 200, NULL},
		{IN_PATH("other"), "wrong", 401, "signature does not match the secret"},
		{IN_PATH("wrong"), "other", 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%7"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%7g"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%g2"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%:2"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%/2"), NULL, 404, NULL},
		{IN_PATH("othe%-2"), NULL, 401, "the secret in the URL is not the webhook's"},
		{IN_PATH("othe%[2"), NULL, 401, "the secret in the URL is not the webhook's"},
	};

	bring_up(w);
	put_buildconfig(w, "u", "", INLINE("s%c t") "," INLINE("other"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)ping(w, cases[i].path, cases[i].signed_with);
		pass(w, 500);
		if (w->request->status != cases[i].status)
			fail_msg("case %zu: status %d", i, w->request->status);
		if (cases[i].why)
			assert_string_equal(hook_activity_of(w)->refused_why, cases[i].why);
	}
	assert_int_equal(w->n_calls, 0);
}

/* The text in the path begins like the longest secret and is longer. */
static void a_secret_in_the_path_is_compared_to_its_end(void **state)
{
	struct proof_world *w = *state;
	CLEANUP(buf_release) struct buf path = BUF_INIT(8 << 10), data = BUF_INIT(16 << 10);
	char longest[KUBE_SECRET_MAX_BYTES];
	char *base64;

	memset(longest, 'x', sizeof(longest));
	base64 = crypto_base64((const unsigned char *)longest, sizeof(longest));
	buf_printf(&data, "\"WebHookSecretKey\":\"%s\"", base64);
	free(base64);
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t more = 0; more < 3; more++) {
		buf_clear(&path);
		buf_put_str(&path, STR("/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/"
				       "cart/webhooks/"));
		buf_put(&path, longest, sizeof(longest));
		for (size_t i = 0; i < more; i++)
			buf_put_char(&path, 'x');
		buf_put_str(&path, STR("/github"));
		pass(w, 60000);
		(void)ping(w, path.data, NULL);
		answer_secret(w, "", data.data);
		if (more > 0) {
			pass(w, 1000);
			if (w->calls[w->n_calls - 1])
				answer_secret(w, "", data.data);
		}
		expect_status(w, more == 0 ? 200 : 401);
		forget_request(w);
		w->n_calls = 0;
	}
}

/* All refusals have the same bytes, at the same time, so that they do not show whether the hook
 * exists. */
static void what_cannot_be_proved_is_refused_alike(void **state)
{
	struct proof_world *w = *state;
	static const struct {
		const char *metadata, *triggers;
	} cases[] = {
		{NULL, NULL},
		{"", ""},
		{",\"annotations\":{\"buildhook.io/ignore\":\"true\"}", INLINE("abc")},
		{",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"", INLINE("abc")},
		{"", "{\"type\":\"GitLab\",\"gitlab\":{\"secret\":\"abc\"}}"},
		{"", INLINE("other")},
	};
	const char *expected = "did not accept your secret";

	bring_up(w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].metadata)
			put_buildconfig(w, "u", cases[i].metadata, cases[i].triggers);
		(void)ping(w, HOOK, "abc");
		pass(w, 499);
		assert_int_equal(w->request->status, 0);
		pass(w, 1);
		if (w->request->status != 401)
			fail_msg("case %zu: status %d", i, w->request->status);
		assert_non_null(strstr(w->request->answer.data, expected));
		assert_string_equal(w->request->fields.data,
				    "Content-Type: application/json\n"
				    "X-Buildhook-Message: the webhook did not accept your "
				    "secret\n");
	}
	assert_int_equal(hook_activity_of(w)->refused, 1);
	assert_string_equal(hook_activity_of(w)->refused_why,
			    "signature does not match the secret");
}

static void an_empty_secret_proves_nothing(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "");
	answer_secret(w, "", "\"WebHookSecretKey\":\"\"");
	expect_refusal(w, "the webhook has no usable secret");
}

static void a_buildconfig_made_anew_meanwhile_is_another(void **state)
{
	struct proof_world *w = *state;

	bring_up(w);
	for (int is_gone = 0; is_gone < 2; is_gone++) {
		struct test_request *r;

		put_buildconfig(w, "u", "", INLINE("abc"));
		r = new_request(w, IN_PATH("abc"), strlen(BODY));
		test_request_put(r, "X-GitHub-Event", "ping");
		test_request_put(r, "Content-Type", "application/json");
		begin(w);
		feed(w, STR(BODY));
		kube_store_remove(w->services.store, "shop/cart");
		if (!is_gone)
			put_buildconfig(w, "v", "", INLINE("other"));
		finish(w);
		pass(w, 60000);
		assert_int_equal(r->status, 401);
		kube_store_remove(w->services.store, "shop/cart");
	}
}

static void a_large_body_for_a_former_buildconfig_is_refused(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r;

	bring_up(w);
	put_buildconfig(w, "former", "", INLINE("abc"));
	r = new_request(w, IN_PATH("abc"), MAX_KEPT_BYTES + 1);
	test_request_put(r, "X-GitHub-Event", "ping");
	test_request_put(r, "Content-Type", "application/json");
	begin(w);
	pass(w, 100);
	feed(w, STR(BODY));
	kube_store_remove(w->services.store, "shop/cart");
	put_buildconfig(w, "u", "", INLINE("abc"));
	finish(w);
	expect_refusal(w, "the webhook was removed while the delivery came");
}

static void an_unsigned_ping_is_answered_for_any_hook(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r;

	for (int exists = 0; exists < 2; exists++) {
		if (exists)
			put_buildconfig(w, "u", "",
					"{\"type\":\"Bitbucket\",\"bitbucket\":{"
					"\"secretReference\":{\"name\":\"hook\"}}}");
		r = new_request(w, "/hooks/shop/cart/bitbucket", 0);
		test_request_put(r, "X-Event-Key", "diagnostics:ping");
		begin(w);
		assert_int_equal(r->status, 200);
		assert_non_null(strstr(r->answer.data, "the webhook's address is right"));
	}
	assert_int_equal(w->n_calls + w->n_decoys, 0);
	assert_null(activity_find(w->services.activity, "u", HOOK_BITBUCKET));
}

static void each_secret_of_a_hook_is_waited_for(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("one") "," REFERENCE("two"));
	(void)ping(w, HOOK, "def");
	assert_int_equal(w->n_calls, 2);
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 0);
	answer_secret(w, "", KEY_DEF);
	assert_int_equal(w->request->status, 200);
	(void)ping(w, HOOK, "abc");
	assert_int_equal(w->request->status, 200);
	assert_int_equal(w->n_calls, 2);
}

static void a_changed_secret_works_at_its_next_delivery(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 200);
	pass(w, 2000);
	(void)ping(w, HOOK, "def");
	assert_int_equal(w->n_calls, 2);
	answer_secret(w, "", KEY_DEF);
	assert_int_equal(w->request->status, 200);
	pass(w, 2000);
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_DEF);
	expect_refusal(w, "signature does not match the secret");
}

static void a_previous_value_counts_until_its_time_is_over(void **state)
{
	struct proof_world *w = *state;
	const char *metadata = ",\"labels\":{\"app.kubernetes.io/managed-by\":\"buildhook\"},"
			       "\"annotations\":{\"buildhook.io/previous-until\":"
			       "\"1970-01-01T00:20:00Z\"}";

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "def");
	answer_secret(w, metadata, KEY_ABC ",\"WebHookSecretKey.previous\":\"ZGVm\"");
	assert_int_equal(w->request->status, 200);
	pass(w, 200000);
	(void)ping(w, HOOK, "def");
	answer_secret(w, metadata, KEY_ABC ",\"WebHookSecretKey.previous\":\"ZGVm\"");
	expect_refusal(w, "signature does not match the secret");
}

static void a_secret_of_a_former_buildconfig_proves_nothing(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w,
		      ",\"ownerReferences\":[{\"apiVersion\":\"build.openshift.io/v1\",\"kind\":"
		      "\"BuildConfig\",\"name\":\"cart\",\"uid\":\"former\"}]",
		      KEY_ABC);
	expect_refusal(w, "the webhook has no usable secret");
}

static void a_missing_secret_is_refused_and_made_again(void **state)
{
	struct proof_world *w = *state;
	struct queue_stats stats;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	assert_string_equal(answer(w, 404, "{\"kind\":\"Status\",\"reason\":\"NotFound\"}"),
			    "hook");
	queue_read_stats(w->services.queue, &stats);
	assert_int_equal(stats.depth, 1);
	assert_string_equal(queue_get(w->services.queue), "shop/cart");
	expect_refusal(w, "the webhook has no usable secret");
	(void)ping(w, HOOK, "abc");
	expect_status(w, 401);
	assert_int_equal(hook_activity_of(w)->refused, 2);
}

static void who_cannot_be_asked_says_neither_yes_nor_no(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t i = 0; i < 2; i++) {
		(void)ping(w, HOOK, "abc");
		pass(w, 3000);
		assert_int_equal(w->request->status, 503);
		assert_non_null(strstr(w->request->answer.data, "cannot be checked now"));
		assert_non_null(strstr(w->request->fields.data, "Retry-After"));
	}
	assert_null(hook_activity_of(w));
}

static void an_unavailable_answer_says_what_the_api_server_said(void **state)
{
	static const struct {
		int status;
		const char *says;
	} cases[] = {
		{401, "because the API server answered 401; an administrator has to renew "
		      "buildhook's credentials, then send the delivery again"},
		{503, "because the API server answered 503; send the delivery again"},
	};
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client_answer refusal = {
			.status = cases[i].status,
			.body = STR("{\"kind\":\"Status\",\"message\":\"no\"}")};

		(void)ping(w, HOOK, "abc");
		(void)answer(w, cases[i].status, "{\"kind\":\"Status\",\"message\":\"no\"}");
		assert_non_null(w->probe);
		kube_transport_done(TAKE(w->probe), &refusal);
		pass(w, 600);
		assert_int_equal(w->request->status, 503);
		assert_non_null(strstr(w->request->answer.data, cases[i].says));
		pass(w, 1000);
	}
}

/* An API server that answers other requests is waited for longer; after that the known value is
 * used. */
static void a_late_answer_leaves_what_was_known(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(w->request->status, 200);
	pass(w, 31000);
	(void)ping(w, HOOK, "abc");
	pass(w, 1999);
	assert_int_equal(w->request->status, 0);
	pass(w, 1);
	assert_int_equal(w->request->status, 200);
	pass(w, 31000);
	(void)ping(w, HOOK, "def");
	pass(w, 3000);
	assert_int_equal(w->request->status, 503);
}

#define LARGE        (2 << 20)
#define LARGEST_KEPT (MAX_KEPT_BYTES - 64 * 1024)

/* A large body waits for fresh Secrets, and as long where none need to be fetched. */
static void a_large_body_waits_for_its_secrets(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (int is_late = 0; is_late < 2; is_late++) {
		r = new_request(w, IN_PATH("abc"), LARGE);
		test_request_put(r, "X-GitHub-Event", "ping");
		test_request_put(r, "Content-Type", "application/json");
		pass(w, 2000);
		begin(w);
		assert_true(r->is_paused);
		pass(w, is_late ? 150 : 10);
		answer_secret(w, "", KEY_ABC);
		assert_int_equal(r->is_paused, !is_late);
		pass(w, 100);
		assert_false(r->is_paused);
		feed(w, STR(BODY));
		finish(w);
		assert_int_equal(r->status, 200);
	}
	r = new_request(w, "/hooks/shop/none/github", LARGE);
	begin(w);
	pass(w, 99);
	assert_true(r->is_paused);
	pass(w, 1);
	assert_false(r->is_paused);
}

static void a_large_body_is_proved_once(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = new_request(w, IN_PATH("def"), LARGE);

	test_request_put(r, "X-GitHub-Event", "ping");
	test_request_put(r, "Content-Type", "application/json");
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	begin(w);
	answer_secret(w, "", KEY_ABC);
	pass(w, 2000);
	feed(w, STR(BODY));
	finish(w);
	assert_int_equal(w->n_calls, 1);
	expect_refusal(w, "the secret in the URL is not the webhook's");
}

/* The size of a chunked body is known too late to wait for fresh Secrets. */
static void a_body_that_turns_out_large_is_proved_once(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r;
	static char part[64 << 10];

	bring_up(w);
	r = new_request(w, IN_PATH("def"), -1);
	test_request_put(r, "X-GitHub-Event", "ping");
	test_request_put(r, "Content-Type", "application/json");
	put_buildconfig(w, "u", "", INLINE("abc"));
	memset(part, ' ', sizeof(part));
	begin(w);
	pass(w, 0);
	for (size_t i = 0; i <= MAX_KEPT_BYTES / sizeof(part); i++)
		feed(w, str_range(part, sizeof(part)));
	assert_true(w->receiver->held_bytes < MAX_KEPT_BYTES);
	finish(w);
	pass(w, 500);
	assert_int_equal(r->status, 401);
	assert_int_equal(w->n_calls, 0);
}

static void a_body_that_is_faster_than_its_secrets_is_held_back(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r = new_request(w, IN_PATH("abc"), -1);
	static char part[64 << 10];
	size_t n = 0;

	test_request_put(r, "X-GitHub-Event", "ping");
	test_request_put(r, "Content-Type", "application/json");
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	memset(part, ' ', sizeof(part));
	begin(w);
	for (; !r->is_paused && n < MAX_KEPT_BYTES; n += sizeof(part))
		feed(w, str_range(part, sizeof(part)));
	assert_true(r->is_paused);
	assert_true(n <= MAX_KEPT_BYTES);
	answer_secret(w, "", KEY_ABC);
	assert_true(r->is_paused);
	pass(w, 100);
	assert_false(r->is_paused);
	feed(w, STR(BODY));
	finish(w);
	assert_int_equal(r->status, 200);
}

static void what_all_deliveries_hold_is_bounded(void **state)
{
	struct proof_world *w = *state;
	struct test_request *r;
	static char part[64 << 10];

	put_buildconfig(w, "u", "", INLINE("abc"));
	start_receiver(w, 100 << 10);
	r = new_request(w, IN_PATH("abc"), 200 << 10);
	begin(w);
	assert_int_equal(r->status, 503);
	r = new_request(w, IN_PATH("abc"), -1);
	begin(w);
	assert_int_equal(r->status, 0);
	feed(w, str_range(part, sizeof(part)));
	assert_int_equal(r->status, 503);
	assert_non_null(strstr(r->answer.data, "too many deliveries"));
	start_receiver(w, 1 << 10);
	r = new_request(w, IN_PATH("abc"), 5);
	begin(w);
	assert_int_equal(r->status, 503);
	assert_int_equal(w->receiver->held_bytes, 0);
}

static void who_goes_before_the_answer_leaves_nothing(void **state)
{
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	(void)ping(w, HOOK, "abc");
	assert_int_equal(receiver_in_flight(w->receiver), 1);
	forget_request(w);
	assert_int_equal(receiver_in_flight(w->receiver), 0);
	assert_int_equal(w->receiver->held_bytes, 0);
	pass(w, 5000);
}

static void what_is_no_delivery_is_answered_before_any_secret_is_asked_for(void **state)
{
	struct proof_world *w = *state;
	static const struct {
		const char *method, *path, *header, *value;
		bool has_failed, is_draining;
		int status;
		const char *says;
	} cases[] = {
		{"GET", "/", "Accept", "x", false, false, 200, "buildhook"},
		{"HEAD", "/", "Accept", "x", false, false, 200, "buildhook"},
		{"POST", "/", "Accept", "x", false, false, 404, "no such path"},
		{"POST", "/hooks/shop/cart/x", "Accept", "x", false, false, 404, "no such path"},
		{"GET", HOOK, "Accept", "x", false, false, 405, "POST"},
		{"POST", HOOK, "Content-Encoding", "gzip", false, false, 415, "Content-Encoding"},
		{"POST", HOOK, "Accept", "x", true, false, 503, "cannot be stored"},
		{"POST", HOOK, "Accept", "x", true, true, 503, "shutting down"},
	};

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct test_request *r = new_request(w, cases[i].path, 0);

		r->request.method = str_of(cases[i].method);
		test_request_put(r, cases[i].header, cases[i].value);
		r->request.is_encoded = strcmp(cases[i].header, "Content-Encoding") == 0;
		if (cases[i].has_failed && !journal_failure(w->services.journal)) {
			const struct journal_change change = sample("d-1", "refs/heads/main");

			(void)journal_add(w->services.journal, &change, 1, ignore_added, NULL);
			collect_on_broken_disk(w);
		}
		if (cases[i].is_draining)
			receiver_drain(w->receiver);
		begin(w);
		assert_int_equal(r->status, cases[i].status);
		assert_non_null(strstr(r->answer.data, cases[i].says));
	}
	assert_int_equal(w->n_calls, 0);
}

/* The answer to a wrong secret, and its time, as the Git host sees them. */
struct refusal {
	int status;
	int64_t after_ms;
};

/* The API server answers each GET of a Secret after SLOW_MS, or never (-1). The body has N bytes.
 */
static struct refusal refuse_slowly(struct proof_world *w, const char *path, int64_t slow_ms,
				    size_t n)
{
	static char part[64 << 10];
	struct test_request *r = new_request(w, path, (int64_t)n);
	int64_t began_ms = 0, end_ms = 0;
	size_t n_answered = w->n_calls, fed = 0;

	w->decoy_ms = slow_ms;
	memset(part, ' ', sizeof(part));
	test_request_put(r, "X-GitHub-Event", "ping");
	test_request_put(r, "Content-Type", "application/json");
	test_request_put(r, "X-Hub-Signature-256", "sha256=00");
	began_ms = w->base.mono_ms;
	begin(w);
	for (int64_t ms = 0; ms < 6000 && !r->status; ms++) {
		while (!r->is_paused && fed < n && !r->status) {
			feed(w, str_range(part, n - fed < sizeof(part) ? n - fed : sizeof(part)));
			fed += sizeof(part);
		}
		if (fed >= n && !end_ms) {
			finish(w);
			end_ms = w->base.mono_ms;
		}
		if (n_answered < w->n_calls && slow_ms >= 0 &&
		    w->base.mono_ms - began_ms >= slow_ms) {
			answer_secret(w, "", KEY_ABC);
			n_answered = w->n_calls;
		}
		pass(w, 1);
	}
	return (struct refusal){r->status, w->base.mono_ms - end_ms};
}

/* docs/security.md: a refusal has the same bytes at the same time for every cause, and is 503 if
 * the API server does not answer, from the first delivery on. */
static void the_time_of_a_refusal_does_not_show_what_exists(void **state)
{
	struct proof_world *w = *state;
	static const struct {
		int64_t slow_ms;
		size_t body;
		struct refusal expected;
	} cases[] = {
		{0, 100, {401, 500}},           {0, 600 << 10, {401, 500}},
		{0, 2 << 20, {401, 500}},       {300, 100, {401, 500}},
		{700, 100, {401, 2000}},        {700, 600 << 10, {401, 2000}},
		{700, 2 << 20, {401, 500}},     {3000, 100, {503, 2000}},
		{3000, 600 << 10, {503, 2000}}, {3000, 2 << 20, {503, 500}},
		{-1, 100, {503, 2000}},         {-1, 2 << 20, {503, 500}},
	};
	static const struct {
		const char *what, *triggers;
	} hooks[] = {
		{"no such BuildConfig", NULL},
		{"no such hook", ""},
		{"an inline secret", INLINE("abc")},
		{"a Secret", REFERENCE("hook")},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t j = 0; j < ARRAY_LEN(hooks); j++) {
			struct refusal seen;

			/* The known Secrets have become too old, and the API server is up. */
			w->decoy_ms = 0;
			pass(w, 3600000);
			w->n_calls = w->n_decoys = 0;
			bring_up(w);
			if (hooks[j].triggers)
				put_buildconfig(w, "u", "", hooks[j].triggers);
			seen = refuse_slowly(w, HOOK, cases[i].slow_ms, cases[i].body);
			if (seen.status != cases[i].expected.status ||
			    llabs(seen.after_ms - cases[i].expected.after_ms) > 2)
				fail_msg("%s, GET of %d ms, %zu bytes: %d after %d ms",
					 hooks[j].what, (int)cases[i].slow_ms, cases[i].body,
					 seen.status, (int)seen.after_ms);
			forget_request(w);
		}
}

/* A Secret is fetched at most once a second, whatever is sent. */
static void a_flood_of_wrong_proofs_asks_once_a_second(void **state)
{
	struct proof_world *w = *state;

	bring_up(w);
	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (int i = 0; i < 300; i++) {
		(void)ping(w, i % 2 ? HOOK : "/hooks/shop/none/github", "wrong");
		for (size_t j = 0; j < w->n_calls; j++)
			if (w->calls[j])
				answer_secret(w, "", KEY_ABC);
		pass(w, 10);
	}
	assert_in_range(w->n_calls, 3, 4);
	assert_in_range(w->n_decoys, 3, 4);
}

/* Hooks that do not exist are one namespace in the limit, and leave room for hooks that do. */
static void a_flood_of_unknown_names_is_limited(void **state)
{
	struct proof_world *w = *state;
	char path[64];

	bring_up(w);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(path, sizeof(path), "/hooks/n%d/none/github", i);
		(void)ping(w, path, "wrong");
		expect_status(w, 401);
	}
	w->n_decoys = 0;
	for (int i = 0; i < 500; i++) {
		(void)snprintf(path, sizeof(path), "/hooks/m%d/none/github", i);
		(void)ping(w, path, "wrong");
		pass(w, 1);
	}
	assert_in_range(w->n_decoys, 5, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_secret_proves_in_the_path_and_as_a_signature),
		IN_WORLD(a_secret_in_the_path_is_compared_to_its_end),
		IN_WORLD(what_cannot_be_proved_is_refused_alike),
		IN_WORLD(an_empty_secret_proves_nothing),
		IN_WORLD(a_buildconfig_made_anew_meanwhile_is_another),
		IN_WORLD(a_large_body_for_a_former_buildconfig_is_refused),
		IN_WORLD(an_unsigned_ping_is_answered_for_any_hook),
		IN_WORLD(each_secret_of_a_hook_is_waited_for),
		IN_WORLD(a_changed_secret_works_at_its_next_delivery),
		IN_WORLD(a_previous_value_counts_until_its_time_is_over),
		IN_WORLD(a_secret_of_a_former_buildconfig_proves_nothing),
		IN_WORLD(a_missing_secret_is_refused_and_made_again),
		IN_WORLD(who_cannot_be_asked_says_neither_yes_nor_no),
		IN_WORLD(an_unavailable_answer_says_what_the_api_server_said),
		IN_WORLD(a_late_answer_leaves_what_was_known),
		IN_WORLD(a_large_body_waits_for_its_secrets),
		IN_WORLD(a_large_body_is_proved_once),
		IN_WORLD(a_body_that_turns_out_large_is_proved_once),
		IN_WORLD(a_body_that_is_faster_than_its_secrets_is_held_back),
		IN_WORLD(what_all_deliveries_hold_is_bounded),
		IN_WORLD(who_goes_before_the_answer_leaves_nothing),
		IN_WORLD(the_time_of_a_refusal_does_not_show_what_exists),
		IN_WORLD(a_flood_of_wrong_proofs_asks_once_a_second),
		IN_WORLD(a_flood_of_unknown_names_is_limited),
		IN_WORLD(what_is_no_delivery_is_answered_before_any_secret_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
