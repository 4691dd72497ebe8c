/* Which Secrets a delivery asks for, when it goes on, and what it then knows (receiver/lookup.c).
 */
#include "proof_world.h"

#include "receiver/lookup.h"

#define TTL_MS  30000
#define WAIT_MS 1000

static int n_ended;

/* As all callers do, it enters the next phase, which stops the timer. */
static void on_end(struct delivery *d)
{
	delivery_enter(d, PHASE_BODY);
	n_ended++;
}

static struct delivery *new_delivery(struct proof_world *w)
{
	struct test_request *r = new_request(w, HOOK, 0);
	struct route route;

	route_parse(&route, r->request.path);
	n_ended = 0;
	return delivery_new(w->receiver, &r->request, &route);
}

static void start(struct delivery *d, int64_t max_age_ms)
{
	n_ended = 0;
	lookup_start(d, max_age_ms, WAIT_MS, false, on_end);
}

/* Makes the Secret known. */
static void fetch(struct proof_world *w, struct delivery *d, const char *metadata, const char *data)
{
	pass(w, TTL_MS);
	start(d, 1);
	answer_secret(w, metadata, data);
	assert_int_equal(n_ended, 1);
}

static void exhaust_limit(struct proof_world *w)
{
	while (ask_limit_take(&w->receiver->asks, STR("shop"), w->base.mono_ms)) {
	}
}

static void a_hook_is_found_where_it_takes_deliveries(void **state)
{
	static const struct {
		const char *metadata, *triggers;
		bool is_found;
	} cases[] = {
		{"", "", false},
		{"", "{\"type\":\"GitLab\",\"gitlab\":{\"secret\":\"abc\"}}", false},
		{",\"annotations\":{\"buildhook.io/ignore\":\"true\"}", INLINE("abc"), false},
		{",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"", INLINE("abc"), false},
		{"", INLINE("abc"), true},
	};
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	assert_null(lookup_find_hook(d));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put_buildconfig(w, "u", cases[i].metadata, cases[i].triggers);
		if ((lookup_find_hook(d) != NULL) != cases[i].is_found)
			fail_msg("case %zu", i);
	}
}

static void what_is_fresh_is_not_asked_for(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	start(d, TTL_MS);
	assert_int_equal(n_ended, 0);
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(n_ended, 1);
	assert_false(d->cannot_ask);
	pass(w, TTL_MS - 1);
	start(d, TTL_MS);
	assert_int_equal(n_ended, 1);
	assert_int_equal(w->n_calls, 1);
	pass(w, 1);
	start(d, TTL_MS);
	assert_int_equal(n_ended, 0);
	assert_int_equal(w->n_calls, 2);
}

static void all_secrets_are_there_before_it_goes_on(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	put_buildconfig(w, "u", "", REFERENCE("one") "," INLINE("inline") "," REFERENCE("two"));
	start(d, 1);
	assert_int_equal(w->n_calls, 2);
	assert_int_equal(w->n_decoys, 0);
	answer_secret(w, "", KEY_ABC);
	assert_int_equal(n_ended, 0);
	answer_secret(w, "", KEY_DEF);
	assert_int_equal(n_ended, 1);
}

/* The same request is sent whatever exists; only who has to, waits for its answer. */
static void where_no_secret_is_needed_one_that_does_not_exist_is_asked_for(void **state)
{
	static const struct {
		const char *triggers; /* NULL: there is no BuildConfig */
		bool needs_decoy, waits;
	} cases[] = {
		{NULL, false, true},           {NULL, true, true},          {"", false, true},
		{INLINE("abc"), false, false}, {INLINE("abc"), true, true},
	};
	struct proof_world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct delivery *d = new_delivery(w);
		size_t n_before = w->n_decoys;

		w->decoy_ms = 50;
		if (cases[i].triggers)
			put_buildconfig(w, "u", "", cases[i].triggers);
		lookup_start(d, 1, WAIT_MS, cases[i].needs_decoy, on_end);
		assert_int_equal(w->n_decoys, n_before + 1);
		if (n_ended != !cases[i].waits)
			fail_msg("case %zu", i);
		pass(w, 50);
		assert_int_equal(n_ended, 1);
		assert_false(d->cannot_ask);
		pass(w, 2000);
	}
	assert_int_equal(w->n_calls, 0);
}

static void a_late_answer_is_not_waited_for(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	start(d, 1);
	pass(w, WAIT_MS - 1);
	assert_int_equal(n_ended, 0);
	pass(w, 1);
	assert_int_equal(n_ended, 1);
	assert_true(d->cannot_ask);
	assert_true(w->receiver->is_asking_late);
	pass(w, 10 * WAIT_MS);
	assert_int_equal(n_ended, 1);
	w->n_calls = 0;
	/* An answer in time shows that the API server is well again. */
	fetch(w, d, "", KEY_ABC);
	assert_false(d->cannot_ask);
	assert_false(w->receiver->is_asking_late);
}

static void a_failed_answer_says_nothing_and_a_404_does(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	start(d, 1);
	(void)answer(w, 500, "{}");
	assert_int_equal(n_ended, 1);
	assert_true(d->cannot_ask);
	pass(w, 2000);
	start(d, 1);
	(void)answer(w, 404, "{\"kind\":\"Status\",\"reason\":\"NotFound\"}");
	assert_int_equal(n_ended, 1);
	assert_false(d->cannot_ask);
}

/* Forged requests cannot make buildhook ask without end, nor keep it from reading what is old. */
static void beyond_the_limit_what_is_known_is_used(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	fetch(w, d, "", KEY_ABC);
	pass(w, 5000);
	exhaust_limit(w);
	start(d, 0);
	assert_int_equal(n_ended, 1);
	assert_int_equal(w->n_calls, 1);
	assert_false(d->cannot_ask);
	/* Where answers come late what is known may be old. */
	w->receiver->is_asking_late = true;
	start(d, 0);
	assert_int_equal(n_ended, 1);
	assert_true(d->cannot_ask);
	w->receiver->is_asking_late = false;
	pass(w, 1000);
	start(d, 0);
	assert_int_equal(n_ended, 0);
	answer_secret(w, "", KEY_ABC);
	pass(w, TTL_MS);
	exhaust_limit(w);
	start(d, TTL_MS);
	assert_int_equal(n_ended, 0);
	assert_int_equal(w->n_calls, 3);
}

static void expect_secret(const struct delivery *d, size_t i, const char *value)
{
	assert_true(i < d->n_secrets);
	if (!str_eq(d->secrets[i], str_of(value)))
		fail_msg("secret %zu is not %s", i, value);
}

static void the_secrets_of_a_hook_are_copied_in_its_order(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);

	put_buildconfig(w, "u", "", INLINE("inline") "," REFERENCE("hook"));
	fetch(w, d, "", KEY_ABC);
	lookup_collect(d);
	assert_int_equal(d->n_secrets, 2);
	expect_secret(d, 0, "inline");
	expect_secret(d, 1, "abc");
	assert_int_equal(d->previous, 0);
	assert_string_equal(d->uid, "u");
	/* Collected anew they replace the former ones. */
	put_buildconfig(w, "u-2", "", INLINE("new"));
	lookup_collect(d);
	assert_int_equal(d->n_secrets, 1);
	expect_secret(d, 0, "new");
	assert_string_equal(d->uid, "u-2");
	kube_store_remove(w->services.store, "shop/cart");
	lookup_collect(d);
	assert_int_equal(d->n_secrets, 0);
	assert_string_equal(d->uid, "");
}

static void a_value_before_a_rotation_is_known_as_such_until_its_time(void **state)
{
	struct proof_world *w = *state;
	struct delivery *d = new_delivery(w);
	char metadata[200], until[CLOCK_TEXT_BYTES];

	put_buildconfig(w, "u", "", INLINE("inline") "," REFERENCE("hook"));
	clock_format_rfc3339(until, w->base.wall_ms + 2 * TTL_MS, false);
	(void)snprintf(metadata, sizeof(metadata),
		       ",\"labels\":{\"app.kubernetes.io/managed-by\":\"buildhook\"},"
		       "\"annotations\":{\"buildhook.io/previous-until\":\"%s\"}",
		       until);
	fetch(w, d, metadata, KEY_DEF ",\"WebHookSecretKey.previous\":\"YWJj\"");
	pass(w, TTL_MS - 1);
	lookup_collect(d);
	assert_int_equal(d->n_secrets, 3);
	expect_secret(d, 1, "def");
	expect_secret(d, 2, "abc");
	assert_int_equal(d->previous, 1 << 2);
	pass(w, 1);
	lookup_collect(d);
	assert_int_equal(d->n_secrets, 2);
	assert_int_equal(d->previous, 0);
}

static bool is_woken(struct proof_world *w)
{
	const char *key = queue_get(w->services.queue);

	if (key)
		queue_done(w->services.queue, "shop/cart");
	return key != NULL;
}

/* The controller makes the Secret that a delivery found missing, or says what is wrong with it. */
static void a_secret_that_proves_nothing_wakes_the_controller(void **state)
{
	static const struct {
		int status; /* of the API server's answer; 0: there was none */
		const char *metadata, *data;
		bool cannot_ask, is_woken;
		size_t n_secrets;
	} cases[] = {
		{0, NULL, NULL, true, false, 0},
		{404, NULL, NULL, false, true, 0},
		{403, NULL, NULL, false, true, 0},
		{200, "", "", false, true, 0},
		{200, "", "\"WebHookSecretKey\":\"\"", false, true, 0},
		{200, "", KEY_ABC, false, false, 1},
		/* Of a deleted BuildConfig of the same name. */
		{200,
		 ",\"ownerReferences\":[{\"kind\":\"BuildConfig\",\"apiVersion\":"
		 "\"build.openshift.io/v1\",\"name\":\"cart\",\"uid\":\"former\"}]",
		 KEY_ABC, false, false, 0},
	};
	struct proof_world *w = *state;

	put_buildconfig(w, "u", "", REFERENCE("hook"));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct delivery *d = new_delivery(w);

		w->n_calls = 0;
		pass(w, TTL_MS);
		start(d, 1);
		if (cases[i].status == 200)
			answer_secret(w, cases[i].metadata, cases[i].data);
		else if (cases[i].status)
			(void)answer(w, cases[i].status, "{\"kind\":\"Status\"}");
		d->cannot_ask = false;
		(void)is_woken(w);
		lookup_collect(d);
		if (d->cannot_ask != cases[i].cannot_ask || is_woken(w) != cases[i].is_woken ||
		    d->n_secrets != cases[i].n_secrets)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_hook_is_found_where_it_takes_deliveries),
		IN_WORLD(what_is_fresh_is_not_asked_for),
		IN_WORLD(all_secrets_are_there_before_it_goes_on),
		IN_WORLD(where_no_secret_is_needed_one_that_does_not_exist_is_asked_for),
		IN_WORLD(a_late_answer_is_not_waited_for),
		IN_WORLD(a_failed_answer_says_nothing_and_a_404_does),
		IN_WORLD(beyond_the_limit_what_is_known_is_used),
		IN_WORLD(the_secrets_of_a_hook_are_copied_in_its_order),
		IN_WORLD(a_value_before_a_rotation_is_known_as_such_until_its_time),
		IN_WORLD(a_secret_that_proves_nothing_wakes_the_controller),
	};

	return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
