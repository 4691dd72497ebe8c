#include "kube/secrets.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
	int64_t now_ms;
	struct clock *clock;
	struct kube_client *client;
	struct kube_secrets *secrets;
	struct kube_call *call; /* the transport's, while it is under way */
	char path[256];
	int n_started;
	int n_done;
	enum kube_secret_state state;
	int code;
	char value[64];
	struct kube_secret_lookup *again; /* started by on_secret */
	bool asks_again;
};

static int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 0, n);
}

/* The client's own request, which stays unanswered here. */
#define PROBE "/readyz"

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;

	if (strcmp(request->path, PROBE) == 0)
		return PROBE;
	w->call = call;
	(void)snprintf(w->path, sizeof(w->path), "%s", request->path);
	w->n_started++;
	assert_true(request->is_secret);
	return "";
}

static void on_cancel(void *ctx, void *handle)
{
	if (strcmp(handle, PROBE) != 0)
		((struct world *)ctx)->call = NULL;
}

static void on_secret(void *arg, const struct kube_secret *secret, const struct err *error);

static struct kube_secret_lookup *fetch(struct world *w, int64_t max_age_ms)
{
	return kube_secrets_fetch(w->secrets, "shop", "cart", max_age_ms, on_secret, w);
}

static void on_secret(void *arg, const struct kube_secret *secret, const struct err *error)
{
	struct world *w = arg;

	w->n_done++;
	w->state = secret->state;
	w->code = error->code;
	(void)snprintf(w->value, sizeof(w->value), "%.*s", STR_ARG(secret->value));
	if (w->asks_again)
		w->again = fetch(w, 0);
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct clock_source source = {now, now, no_random, w};
	struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	w->now_ms = 1000;
	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	w->secrets = kube_secrets_new(&(struct kube_secrets_options){
		.client = w->client, .clock = w->clock, .ttl_ms = 30000});
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	kube_secrets_free(w->secrets);
	kube_client_free(w->client);
	clock_free(w->clock);
	mem_free(&w);
	return 0;
}

static void pass(struct world *w, int64_t ms)
{
	w->now_ms += ms;
	clock_run(w->clock);
}

static void answer(struct world *w, int status, const char *body)
{
	struct kube_call *call = TAKE(w->call);
	struct http_client_answer answer = {.status = status, .body = str_of(body)};

	assert_non_null(call);
	kube_transport_done(call, &answer);
	pass(w, 0);
}

static const struct kube_secret *peek(struct world *w)
{
	return kube_secrets_peek(w->secrets, "shop", "cart");
}

#define SECRET(rest, data)                                                                         \
	"{\"kind\":\"Secret\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\",\"uid\":"     \
	"\"u\","                                                                                   \
	"\"resourceVersion\":\"7\"" rest "},\"data\":{" data "}}"
/* "abc" */
#define KEY       "\"WebHookSecretKey\":\"YWJj\""
#define NOT_FOUND "{\"kind\":\"Status\",\"reason\":\"NotFound\"}"
#define FORBIDDEN "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}"

static void lookups_of_one_secret_share_a_request(void **state)
{
	struct world *w = *state;

	fetch(w, 30000);
	fetch(w, 0);
	assert_int_equal(w->n_started, 1);
	assert_string_equal(w->path, "/api/v1/namespaces/shop/secrets/cart");
	answer(w, 200, SECRET("", KEY));
	assert_int_equal(w->n_done, 2);
	assert_int_equal(w->state, KUBE_SECRET_PRESENT);
	assert_string_equal(w->value, "abc");
}

static void what_is_young_enough_is_not_asked_for(void **state)
{
	struct world *w = *state;

	fetch(w, 30000);
	answer(w, 200, SECRET("", KEY));
	pass(w, 29999);
	fetch(w, 30000);
	assert_int_equal(w->n_done, 1);
	pass(w, 0);
	assert_int_equal(w->n_done, 2);
	assert_int_equal(w->n_started, 1);
	assert_true(peek(w)->is_fresh);
	pass(w, 1);
	assert_false(peek(w)->is_fresh);
	fetch(w, 30000);
	assert_int_equal(w->n_started, 2);
}

static void one_secret_is_asked_for_once_a_second_at_most(void **state)
{
	struct world *w = *state;

	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	for (int i = 0; i < 10; i++) {
		fetch(w, 0);
		pass(w, 99);
	}
	assert_int_equal(w->n_started, 1);
	assert_int_equal(w->n_done, 11);
	pass(w, 10);
	fetch(w, 0);
	assert_int_equal(w->n_started, 2);
}

static void a_function_that_asks_again_does_not_block_the_loop(void **state)
{
	struct world *w = *state;

	w->asks_again = true;
	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	assert_int_equal(w->n_done, 1);
	pass(w, 1);
	assert_int_equal(w->n_done, 2);
	kube_secrets_cancel(w->again);
	pass(w, 1);
	assert_int_equal(w->n_done, 2);
}

static void an_outage_keeps_what_is_known(void **state)
{
	static const struct {
		int status;
		const char *body;
	} cases[] = {{0, ""},
		     {500, "{\"kind\":\"Status\"}"},
		     {401, "{\"kind\":\"Status\"}"},
		     {429, "later"},
		     {503, "<html>"},
		     {404, "<html>no such site</html>"},
		     {403, "<html>blocked</html>"},
		     {200, "<html>log in</html>"}};
	struct world *w = *state;

	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		pass(w, 60000);
		fetch(w, 0);
		answer(w, cases[i].status, cases[i].body);
		if (w->code == ERR_OK || w->state != KUBE_SECRET_PRESENT ||
		    strcmp(w->value, "abc") != 0)
			fail_msg("%d %s", cases[i].status, cases[i].body);
		assert_false(peek(w)->is_fresh);
	}
}

static void a_definite_answer_ends_it(void **state)
{
	struct world *w = *state;

	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	pass(w, 1000);
	fetch(w, 0);
	answer(w, 404, NOT_FOUND);
	assert_int_equal(w->state, KUBE_SECRET_MISSING);
	assert_int_equal(w->code, ERR_OK);
	assert_true(str_empty(peek(w)->value));
	pass(w, 1000);
	fetch(w, 0);
	answer(w, 403, FORBIDDEN);
	assert_int_equal(peek(w)->state, KUBE_SECRET_DENIED);
	assert_true(peek(w)->is_fresh);
}

static void what_was_never_asked_for_is_unknown(void **state)
{
	struct world *w = *state;

	assert_int_equal(peek(w)->state, KUBE_SECRET_UNKNOWN);
	fetch(w, 0);
	answer(w, 0, "");
	assert_int_equal(w->state, KUBE_SECRET_UNKNOWN);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
}

static void a_value_is_usable_or_the_problem_is_told(void **state)
{
	static const struct {
		const char *data, *value, *problem;
	} cases[] = {
		{KEY, "abc", ""},
		/* "abc\n", "abc\n\n", "a\r\n", "\n" */
		{"\"WebHookSecretKey\":\"YWJjCg==\"", "abc", ""},
		{"\"WebHookSecretKey\":\"YWJjCgo=\"", "abc\n", ""},
		{"\"WebHookSecretKey\":\"YQ0K\"", "a\r", ""},
		{"\"WebHookSecretKey\":\"Cg==\"", "", "is empty: put"},
		{"\"WebHookSecretKey\":\"\"", "", "is empty: put"},
		{"\"WebHookSecretKey\":5", "", "is empty: put"},
		/* "a\0b" */
		{"\"WebHookSecretKey\":\"YQBi\"", "", "NUL"},
		{"\"WebHookSecretKey\":\"?\"", "", "longer than 4096"},
		{"\"token\":\"YWJj\"", "", "has no key WebHookSecretKey: put"},
		{"\"webhooksecretkey\":\"YWJj\"", "", "has no key WebHookSecretKey: put"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char body[512];

		(void)snprintf(body, sizeof(body), SECRET("", "%s"), cases[i].data);
		pass(w, 1000);
		fetch(w, 0);
		answer(w, 200, body);
		if (!str_eq(peek(w)->value, str_of(cases[i].value)) ||
		    !strstr(peek(w)->problem, cases[i].problem) ||
		    !peek(w)->problem[0] != !cases[i].problem[0])
			fail_msg("%s: %s", cases[i].data, peek(w)->problem);
		assert_int_equal(peek(w)->has_key,
				 strstr(cases[i].data, "WebHookSecretKey") != NULL);
	}
}

static void a_value_over_4096_bytes_is_not_usable(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf body = BUF_INIT(65536);

	buf_put_str(&body, STR("{\"metadata\":{},\"data\":{\"WebHookSecretKey\":\""));
	for (int i = 0; i < 1366; i++)
		buf_put_str(&body, STR("YWJj"));
	buf_put_str(&body, STR("\"}}"));
	fetch(w, 0);
	answer(w, 200, body.data);
	assert_true(str_empty(peek(w)->value));
	assert_non_null(strstr(peek(w)->problem, "longer than 4096"));
}

static void marks_of_ours_are_read(void **state)
{
	struct world *w = *state;
	const struct kube_secret *secret = NULL;

	fetch(w, 0);
	answer(w, 200,
	       SECRET(",\"labels\":{\"app.kubernetes.io/"
		      "managed-by\":\"buildhook\"},\"annotations\":{"
		      "\"buildhook.io/previous-until\":\"2026-11-23T20:00:00Z\","
		      "\"buildhook.io/"
		      "rotated\":\"r1\"},\"ownerReferences\":[{\"kind\":\"Pod\",\"uid\":"
		      "\"p\",\"name\":\"p\"},{\"kind\":\"BuildConfig\",\"uid\":\"b1\",\"name\":"
		      "\"cart\"},"
		      "{\"kind\":\"BuildConfig\",\"uid\":5}]",
		      KEY ",\"WebHookSecretKey.previous\":\"b2xk\""));
	secret = peek(w);
	assert_true(secret->is_ours);
	assert_true(str_eq(secret->previous, STR("old")));
	assert_int_equal(secret->previous_until_ms, 1795464000000);
	assert_string_equal(secret->rotated_for, "r1");
	assert_string_equal(secret->uid, "u");
	assert_string_equal(secret->resource_version, "7");
	assert_int_equal(secret->n_owners, 1);
	assert_string_equal(secret->owners[0].uid, "b1");
	assert_string_equal(secret->owners[0].name, "cart");
}

static void what_others_can_write_into_a_secret_is_bounded(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_release) struct buf body = BUF_INIT((size_t)1024 * 1024);

	buf_put_str(&body, STR("{\"metadata\":{\"annotations\":{\"buildhook.io/rotated\":\""));
	for (size_t i = 0; i <= KUBE_SECRET_MAX_RECORD; i++)
		buf_put_char(&body, 'x');
	buf_put_str(&body, STR("\"},\"ownerReferences\":["));
	for (size_t i = 0; i <= KUBE_SECRET_MAX_OWNERS; i++)
		buf_printf(&body, "%s{\"kind\":\"BuildConfig\",\"uid\":\"u%zu\",\"name\":\"n\"}",
			   i ? "," : "", i);
	buf_put_str(&body, STR("]},\"data\":{}}"));
	fetch(w, 0);
	answer(w, 200, body.data);
	assert_true(peek(w)->has_long_record);
	assert_string_equal(peek(w)->rotated_for, "");
	assert_int_equal(peek(w)->n_owners, KUBE_SECRET_MAX_OWNERS);
	assert_true(peek(w)->has_more_owners);
}

static void a_previous_value_of_others_does_not_count(void **state)
{
	struct world *w = *state;

	fetch(w, 0);
	answer(w, 200, SECRET("", KEY ",\"WebHookSecretKey.previous\":\"b2xk\""));
	assert_false(peek(w)->is_ours);
	assert_true(str_empty(peek(w)->previous));
	assert_int_equal(peek(w)->previous_until_ms, 0);
}

static void put_written(struct world *w, const char *text)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, str_of(text), NULL), 0);
	kube_secrets_put_written(w->secrets, doc);
}

static void what_we_wrote_counts_at_once(void **state)
{
	struct world *w = *state;

	fetch(w, 0);
	put_written(w, SECRET("", KEY));
	assert_null(w->call);
	assert_int_equal(w->n_done, 0);
	pass(w, 0);
	assert_int_equal(w->n_done, 1);
	assert_string_equal(w->value, "abc");
	assert_int_equal(w->code, ERR_OK);
}

static void what_is_forgotten_is_asked_for_anew(void **state)
{
	struct world *w = *state;

	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	kube_secrets_forget(w->secrets, "shop", "cart");
	assert_int_equal(peek(w)->state, KUBE_SECRET_UNKNOWN);
	fetch(w, 30000);
	assert_int_equal(w->n_started, 2);
	/* The answer to a fetch that began before kube_secrets_forget() is not used. */
	kube_secrets_forget(w->secrets, "shop", "cart");
	assert_int_equal(w->n_started, 3);
	answer(w, 404, NOT_FOUND);
	assert_int_equal(w->n_done, 2);
}

static void a_name_cannot_lead_elsewhere(void **state)
{
	struct world *w = *state;

	kube_secrets_cancel(
		kube_secrets_fetch(w->secrets, "shop", "../../other/secrets/x?y", 0, on_secret, w));
	assert_string_equal(w->path,
			    "/api/v1/namespaces/shop/secrets/..%2F..%2Fother%2Fsecrets%2Fx%3Fy");
}

static void a_cancelled_lookup_is_not_answered(void **state)
{
	struct world *w = *state;
	struct kube_secret_lookup *one = fetch(w, 0);

	fetch(w, 0);
	kube_secrets_cancel(one);
	answer(w, 200, SECRET("", KEY));
	assert_int_equal(w->n_done, 1);
	one = fetch(w, 30000);
	kube_secrets_cancel(one);
	pass(w, 1);
	assert_int_equal(w->n_done, 1);
	fetch(w, 30000);
	kube_secrets_free(w->secrets);
	w->secrets = NULL;
	pass(w, 1);
	assert_int_equal(w->n_done, 1);
}

static void what_nobody_uses_goes_after_ten_minutes(void **state)
{
	struct world *w = *state;

	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	for (int i = 0; i < 11; i++)
		pass(w, 60000);
	assert_int_equal(peek(w)->state, KUBE_SECRET_UNKNOWN);
	fetch(w, 0);
	answer(w, 200, SECRET("", KEY));
	for (int i = 0; i < 30; i++) {
		pass(w, 60000);
		assert_int_equal(peek(w)->state, KUBE_SECRET_PRESENT);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lookups_of_one_secret_share_a_request),
		TEST(what_is_young_enough_is_not_asked_for),
		TEST(one_secret_is_asked_for_once_a_second_at_most),
		TEST(a_function_that_asks_again_does_not_block_the_loop),
		TEST(an_outage_keeps_what_is_known),
		TEST(a_definite_answer_ends_it),
		TEST(what_was_never_asked_for_is_unknown),
		TEST(a_value_is_usable_or_the_problem_is_told),
		TEST(a_value_over_4096_bytes_is_not_usable),
		TEST(marks_of_ours_are_read),
		TEST(what_others_can_write_into_a_secret_is_bounded),
		TEST(a_previous_value_of_others_does_not_count),
		TEST(what_we_wrote_counts_at_once),
		TEST(what_is_forgotten_is_asked_for_anew),
		TEST(a_name_cannot_lead_elsewhere),
		TEST(a_cancelled_lookup_is_not_answered),
		TEST(what_nobody_uses_goes_after_ten_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
