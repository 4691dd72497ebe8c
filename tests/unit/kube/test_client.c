#include "kube/client.h"

#include "base/mem.h"
#include "metrics/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
	int64_t now_ms;
	struct clock *clock;
	struct kube_client *client;
	struct kube_call *sent; /* the transport's last */
	struct kube_call *probe;
	struct kube_request request;
	int n_started, n_cancelled;
	int n_done, n_changes;
	int status, code;
	bool is_uncertain;
	char message[256];
	char reason[64];
	int64_t retry_after_ms;
	bool has_doc;
	char bytes[256];
};

static int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static int64_t wall(void *arg)
{
	(void)arg;
	/* 2026-11-23T20:00:00Z */
	return 1795464000000;
}

static void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 0, n);
}

static void *on_start(void *ctx, struct kube_call *call, const struct kube_request *request)
{
	struct world *w = ctx;

	if (strcmp(request->path, "/readyz") == 0) {
		assert_null(w->probe);
		w->probe = call;
		return w;
	}
	w->sent = call;
	w->request = *request;
	w->n_started++;
	return w;
}

static void on_cancel(void *ctx, void *handle)
{
	assert_ptr_equal(ctx, handle);
	((struct world *)ctx)->n_cancelled++;
}

static void on_change(void *arg)
{
	((struct world *)arg)->n_changes++;
}

static void on_response(void *arg, const struct kube_response *response)
{
	struct world *w = arg;

	w->n_done++;
	w->status = response->status;
	w->code = response->err.code;
	w->is_uncertain = response->is_uncertain;
	w->retry_after_ms = response->retry_after_ms;
	w->has_doc = response->doc != NULL;
	(void)snprintf(w->message, sizeof(w->message), "%s", response->err.msg);
	(void)snprintf(w->reason, sizeof(w->reason), "%s", response->reason);
}

static void on_bytes(void *arg, struct str bytes)
{
	struct world *w = arg;

	strncat(w->bytes, bytes.p, bytes.n);
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct clock_source source = {now, wall, no_random, w};
	struct kube_transport transport = {
		.ctx = w, .host = "api:6443", .start = on_start, .cancel = on_cancel};

	w->now_ms = 1000;
	w->clock = clock_new(&source);
	w->client = kube_client_new_over(w->clock, &transport);
	kube_client_on_change(w->client, on_change, w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	kube_client_free(w->client);
	clock_free(w->clock);
	mem_free(&w);
	return 0;
}

static struct kube_call *start(struct world *w, const struct kube_request *request)
{
	return kube_start(w->client, request, on_response, w);
}

static struct kube_call *get(struct world *w)
{
	return start(w, &(struct kube_request){.path = "/api/v1/namespaces/a/secrets/b"});
}

static void answer(struct world *w, int status, const char *type, const char *retry_after,
		   const char *body)
{
	struct http_client_answer a = {
		.status = status,
		.content_type = str_of(type),
		.retry_after = str_of(retry_after),
		.body = str_of(body),
	};

	kube_transport_done(w->sent, &a);
}

static void answer_probe(struct world *w, int status)
{
	const struct http_client_answer a = {.status = status, .body = STR("ok")};
	struct kube_call *probe = w->probe;

	assert_non_null(probe);
	w->probe = NULL;
	kube_transport_done(probe, &a);
}

static void pass(struct world *w, int64_t ms)
{
	w->now_ms += ms;
	clock_run(w->clock);
}

#define STATUS(reason, message)                                                                    \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"" reason   \
	"\",\"message\":\"" message "\"}"

static void each_answer_has_the_code_that_says_what_to_do(void **state)
{
	static const struct {
		int status;
		const char *type, *body;
		int code;
		bool is_uncertain;
	} cases[] = {
		{200, "application/json", "{\"kind\":\"Secret\"}", ERR_OK, false},
		{201, "application/json", "{}", ERR_OK, false},
		{200, "text/html", "<html>log in</html>", ERR_UNAVAILABLE, true},
		{200, "application/json", "{\"kind\":", ERR_UNAVAILABLE, true},
		{200, "application/json", "", ERR_UNAVAILABLE, true},
		{302, "text/html", "", ERR_UNAVAILABLE, false},
		{400, "application/json", STATUS("BadRequest", "paused"), ERR_INVALID, false},
		{401, "application/json", STATUS("Unauthorized", "no"), ERR_DENIED, false},
		{401, "text/plain", "Unauthorized", ERR_DENIED, false},
		{403, "application/json", STATUS("Forbidden", "no"), ERR_DENIED, false},
		{403, "text/html", "<h1>blocked</h1>", ERR_UNAVAILABLE, false},
		{404, "application/json", STATUS("NotFound", "no"), ERR_NOTFOUND, false},
		{404, "text/plain", "404 page not found\n", ERR_NOTFOUND, false},
		{404, "text/html", "<h1>no such site</h1>", ERR_UNAVAILABLE, false},
		{408, "application/json", STATUS("Timeout", "slow"), ERR_UNAVAILABLE, true},
		{409, "application/json", STATUS("AlreadyExists", "is there"), ERR_EXISTS, false},
		{409, "application/json", STATUS("Conflict", "changed"), ERR_CONFLICT, false},
		{410, "application/json", STATUS("Expired", "old"), ERR_EXPIRED, false},
		{413, "application/json", STATUS("RequestEntityTooLarge", "x"), ERR_INVALID, false},
		{422, "application/json", STATUS("Invalid", "bad"), ERR_INVALID, false},
		{429, "text/plain", "Too many requests", ERR_LIMIT, false},
		{500, "application/json", STATUS("InternalError", "oh"), ERR_UNAVAILABLE, true},
		{503, "text/html", "<h1>router</h1>", ERR_UNAVAILABLE, true},
		{504, "application/json", STATUS("Timeout", "x"), ERR_UNAVAILABLE, true},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		get(w);
		answer(w, cases[i].status, cases[i].type, NULL, cases[i].body);
		if (w->code != cases[i].code || w->is_uncertain != cases[i].is_uncertain)
			fail_msg("%d %s: code %d uncertain %d (%s)", cases[i].status, cases[i].body,
				 w->code, w->is_uncertain, w->message);
		assert_int_equal(w->status, cases[i].status);
		assert_int_equal(w->n_done, i + 1);
		if (w->code != ERR_OK)
			assert_int_not_equal(w->message[0], '\0');
	}
}

static void the_message_is_the_servers_cleaned_and_cut(void **state)
{
	struct world *w = *state;

	get(w);
	answer(w, 400, "application/json", NULL, STATUS("BadRequest", "two\\nlines\\u001b[31m"));
	assert_null(strchr(w->message, '\n'));
	assert_null(strchr(w->message, 033));
	assert_non_null(strstr(w->message, "two"));
	assert_string_equal(w->reason, "BadRequest");
	assert_true(w->has_doc);
}

static void retry_after_is_read_in_seconds_and_as_a_date(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"1", 1000},
		{" 17 ", 17000},
		{"0", 0},
		{"300", 300000},
		{"3600", 300000},
		{"99999999999999999999999", 300000},
		{"-1", -1},
		{"", -1},
		{"soon", -1},
		{"1.5", -1},
		{"Mon, 23 Nov 2026 20:00:30 GMT", 30000},
		{"Mon, 23 Nov 2026 19:00:00 GMT", 0},
		{"Tue, 24 Nov 2026 20:00:00 GMT", 300000},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		get(w);
		answer(w, 429, "text/plain", cases[i].text, "");
		if (w->retry_after_ms != cases[i].ms)
			fail_msg("\"%s\": %lld", cases[i].text, (long long)w->retry_after_ms);
	}
	get(w);
	answer(w, 429, "application/json", NULL,
	       "{\"kind\":\"Status\",\"message\":\"x\",\"details\":{\"retryAfterSeconds\":7}}");
	assert_int_equal(w->retry_after_ms, 7000);
}

static void a_request_without_an_answer_ends_at_its_timeout(void **state)
{
	struct world *w = *state;

	start(w, &(struct kube_request){.path = "/a", .timeout_ms = 700});
	pass(w, 699);
	assert_int_equal(w->n_done, 0);
	pass(w, 1);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(w->n_cancelled, 1);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_true(w->is_uncertain);
	get(w);
	pass(w, 29999);
	assert_int_equal(w->n_done, 1);
	pass(w, 1);
	assert_int_equal(w->n_done, 2);
}

static void a_watch_has_no_timeout(void **state)
{
	struct world *w = *state;
	struct kube_request watch = {.path = "/w", .on_bytes = on_bytes, .is_watch = true};
	struct kube_call *call = start(w, &watch);

	pass(w, 24L * 3600 * 1000);
	assert_int_equal(w->n_done, 0);
	kube_cancel(call);
	assert_int_equal(w->n_cancelled, 1);
	assert_int_equal(w->n_done, 0);
}

static void bytes_of_a_stream_are_handed_over_as_they_come(void **state)
{
	struct world *w = *state;
	struct kube_request list = {.path = "/l", .on_bytes = on_bytes};

	start(w, &list);
	kube_transport_bytes(w->sent, STR("{\"items\""));
	assert_true(kube_client_is_up(w->client));
	kube_transport_bytes(w->sent, STR(":[]}"));
	answer(w, 200, "application/json", NULL, "");
	assert_string_equal(w->bytes, "{\"items\":[]}");
	assert_int_equal(w->code, ERR_OK);
	assert_false(w->has_doc);
}

static void a_cut_answer_is_unavailable_whatever_its_status(void **state)
{
	struct world *w = *state;
	struct http_client_answer cut = {
		.status = 200, .body = STR("{\"kind\":\"Secret\"}"), .is_cut = true};

	get(w);
	err_set(&cut.err, ERR_UNAVAILABLE, "gone");
	kube_transport_done(w->sent, &cut);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_true(w->is_uncertain);
	assert_false(w->has_doc);
	assert_false(kube_client_is_up(w->client));
}

static void what_never_left_is_not_uncertain(void **state)
{
	struct world *w = *state;
	struct http_client_answer refused = {.is_unsent = true};

	err_set(&refused.err, ERR_UNAVAILABLE, "connection refused");
	get(w);
	kube_transport_done(w->sent, &refused);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_false(w->is_uncertain);
	assert_int_equal(w->status, 0);
}

static void an_answer_says_that_the_server_is_up_or_makes_it_doubtful(void **state)
{
	static const struct {
		int status;
		bool is_good;
	} cases[] = {{200, true}, {404, true}, {500, false}, {409, true}, {401, false},
		     {403, true}, {0, false},  {429, true},  {503, false}};
	struct world *w = *state;

	assert_false(kube_client_is_up(w->client));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		get(w);
		answer(w, cases[i].status, "", NULL, "");
		if (!kube_client_is_up(w->client) || !w->probe != cases[i].is_good)
			fail_msg("after %d", cases[i].status);
		if (w->probe)
			answer_probe(w, 200);
	}
	assert_int_equal(w->n_changes, 1);
}

static void a_doubt_that_is_confirmed_is_down_until_something_is_answered(void **state)
{
	static const int failures[] = {0, 401, 500, 503};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		pass(w, 1000);
		if (w->probe)
			answer_probe(w, 200);
		get(w);
		answer(w, 200, "", NULL, "{}");
		assert_true(kube_client_is_up(w->client));
		get(w);
		answer(w, failures[i], "", NULL, "");
		answer_probe(w, failures[i]);
		assert_false(kube_client_is_up(w->client));
	}
	pass(w, 2000);
	answer_probe(w, 403);
	assert_true(kube_client_is_up(w->client));
	pass(w, 24L * 3600 * 1000);
	assert_null(w->probe);
}

static void many_doubts_ask_once(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 100; i++) {
		get(w);
		answer(w, 500, "", NULL, "");
	}
	answer_probe(w, 500);
	get(w);
	answer(w, 500, "", NULL, "");
	assert_null(w->probe);
	pass(w, 999);
	assert_null(w->probe);
	pass(w, 1001);
	assert_non_null(w->probe);
}

/*
 * 50 clients of an API server that returns, or that refuses, probe it at most ten times a second.
 */
static void a_long_outage_is_probed_every_quarter_to_half_a_minute(void **state)
{
	struct world *w = *state;
	int n_probes = 1;

	get(w);
	answer(w, 503, "", NULL, "");
	answer_probe(w, 503);
	for (int second = 0; second < 300; second++) {
		pass(w, 1000);
		if (!w->probe)
			continue;
		n_probes++;
		answer_probe(w, 503);
	}
	if (n_probes < 300 / 30 || n_probes > 300 / 15 + 4)
		fail_msg("%d probes in 300 s", n_probes);
}

static void a_doubt_after_a_long_outage_is_probed_within_a_second(void **state)
{
	struct world *w = *state;

	get(w);
	answer(w, 503, "", NULL, "");
	for (int i = 0; i < 5; i++) {
		answer_probe(w, 503);
		if (i < 4)
			pass(w, 30000);
	}
	get(w);
	answer(w, 200, "", NULL, "{}");
	assert_true(kube_client_is_up(w->client));
	get(w);
	answer(w, 503, "", NULL, "");
	assert_null(w->probe);
	pass(w, 1000);
	assert_non_null(w->probe);
}

static void ten_seconds_without_any_answer_are_a_doubt(void **state)
{
	struct world *w = *state;
	struct kube_call *slow = NULL;

	get(w);
	answer(w, 200, "", NULL, "{}");
	slow = get(w);
	pass(w, 9999);
	assert_null(w->probe);
	pass(w, 1);
	assert_non_null(w->probe);
	assert_true(kube_client_is_up(w->client));
	w->probe = NULL;
	pass(w, 5000);
	assert_false(kube_client_is_up(w->client));
	kube_cancel(slow);
	assert_false(kube_client_is_up(w->client));
	get(w);
	answer(w, 200, "", NULL, "{}");
	assert_true(kube_client_is_up(w->client));
}

static void one_slow_request_among_quick_ones_is_not_down(void **state)
{
	struct world *w = *state;
	struct kube_call *slow = get(w);

	pass(w, 5000);
	get(w);
	answer(w, 200, "", NULL, "{}");
	pass(w, 5000);
	assert_true(kube_client_is_up(w->client));
	kube_cancel(slow);
}

static void a_timeout_among_answers_is_not_down(void **state)
{
	struct world *w = *state;

	get(w);
	for (int i = 0; i < 31; i++) {
		get(w);
		answer(w, 200, "", NULL, "{}");
		pass(w, 1000);
	}
	assert_int_equal(w->n_done, 32);
	assert_int_equal(w->code, ERR_OK);
	assert_true(kube_client_is_up(w->client));
	assert_int_equal(w->n_changes, 1);
}

static bool has_sent(void *ctx, void *handle)
{
	(void)ctx;
	(void)handle;
	return false;
}

static void a_request_that_timed_out_in_the_queue_is_not_uncertain(void **state)
{
	struct world *w = *state;
	struct kube_transport transport = {
		.ctx = w, .start = on_start, .cancel = on_cancel, .has_sent = has_sent};

	kube_client_free(w->client);
	w->client = kube_client_new_over(w->clock, &transport);
	get(w);
	pass(w, 10000);
	pass(w, 20000);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_false(w->is_uncertain);
}

static void defaults_are_filled_in_for_the_transport(void **state)
{
	struct world *w = *state;
	char path[] = "/x";

	start(w, &(struct kube_request){.path = path, .body = STR("{}")});
	path[1] = 'y';
	assert_string_equal(w->request.path, "/x");
	assert_string_equal(w->request.accept, "application/json");
	assert_int_equal(w->request.timeout_ms, 30000);
	assert_int_equal(w->request.max_bytes, 8 << 20);
	assert_true(str_eq(w->request.body, STR("{}")));
}

static void freeing_the_client_cancels_without_calling_back(void **state)
{
	struct world *w = *state;
	struct kube_transport transport = {.ctx = w, .start = on_start, .cancel = on_cancel};

	get(w);
	get(w);
	kube_client_free(w->client);
	assert_int_equal(w->n_cancelled, 2);
	assert_int_equal(w->n_done, 0);
	pass(w, 60000);
	w->client = kube_client_new_over(w->clock, &transport);
}

static void requests_are_counted_by_code_method_and_resource(void **state)
{
	struct world *w = *state;
	struct metrics *metrics = metrics_new();
	struct kube_request request = {
		.method = KUBE_APPLY, .path = "/x", .metric_resource = "things"};
	CLEANUP(buf_release) struct buf text = BUF_INIT(65536);

	kube_client_set_metrics(w->client, metrics);
	start(w, &request);
	answer(w, 409, "", NULL, "");
	start(w, &request);
	answer(w, 0, "", NULL, "");
	metrics_format(metrics, &text);
	assert_non_null(strstr(text.data,
			       "rest_client_requests_total{code=\"409\",method=\"PATCH\","
			       "host=\"api:6443\",resource=\"things\"} 1"));
	assert_non_null(strstr(text.data, "{code=\"<error>\",method=\"PATCH\""));
	assert_non_null(strstr(text.data,
			       "rest_client_request_duration_seconds_count{verb=\"PATCH\","
			       "host=\"api:6443\",resource=\"things\"} 2"));
	kube_client_set_metrics(w->client, NULL);
	metrics_free(metrics);
}

static void path_parts_are_percent_encoded(void **state)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT(256);

	(void)state;
	kube_put_escaped(&out, STR("a-Z_0.9~/ &=%\xc3\xa4\n"));
	assert_string_equal(out.data, "a-Z_0.9~%2F%20%26%3D%25%C3%A4%0A");
	buf_clear(&out);
	kube_put_escaped(&out, str_range("a\0b", 3));
	assert_string_equal(out.data, "a%00b");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_answer_has_the_code_that_says_what_to_do),
		TEST(the_message_is_the_servers_cleaned_and_cut),
		TEST(retry_after_is_read_in_seconds_and_as_a_date),
		TEST(a_request_without_an_answer_ends_at_its_timeout),
		TEST(a_watch_has_no_timeout),
		TEST(bytes_of_a_stream_are_handed_over_as_they_come),
		TEST(a_cut_answer_is_unavailable_whatever_its_status),
		TEST(what_never_left_is_not_uncertain),
		TEST(an_answer_says_that_the_server_is_up_or_makes_it_doubtful),
		TEST(a_doubt_that_is_confirmed_is_down_until_something_is_answered),
		TEST(many_doubts_ask_once),
		TEST(a_long_outage_is_probed_every_quarter_to_half_a_minute),
		TEST(a_doubt_after_a_long_outage_is_probed_within_a_second),
		TEST(ten_seconds_without_any_answer_are_a_doubt),
		TEST(one_slow_request_among_quick_ones_is_not_down),
		TEST(a_timeout_among_answers_is_not_down),
		TEST(a_request_that_timed_out_in_the_queue_is_not_uncertain),
		TEST(defaults_are_filled_in_for_the_transport),
		TEST(freeing_the_client_cancels_without_calling_back),
		TEST(requests_are_counted_by_code_method_and_resource),
		TEST(path_parts_are_percent_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
