/*
 * Answers as they are sent.
 */
#include "test_request.h"

#include "doc/json.h"
#include "receiver/answer.h"

#include <stdio.h>
#include <string.h>

/* What the last answer was; see answered(). */
static struct {
	int status;
	char headers[16384]; /* "Name: value\n" each */
	char body[4096];
} seen;

/* A request to answer; its answer is seen after answered(). */
static struct test_request *asked;

static struct http_request *ask(void)
{
	asked = test_request_new("/hooks/shop/cart/github", 0);
	return &asked->request;
}

static void answered(void)
{
	seen.status = asked->status;
	(void)snprintf(seen.headers, sizeof(seen.headers), "%s", buf_text(&asked->fields));
	(void)snprintf(seen.body, sizeof(seen.body), "%s", buf_text(&asked->answer));
	test_request_free(asked);
}

static void assert_header(const char *line)
{
	if (!strstr(seen.headers, line))
		fail_msg("no \"%s\" in \"%s\"", line, seen.headers);
}

static void assert_status(const char *body, const char *status, const char *message,
			  const char *reason, int code)
{
	CLEANUP(json_freep) cJSON *doc = NULL;

	assert_int_equal(json_parse(&doc, str_of(body), NULL), 0);
	assert_string_equal(json_str_at(doc, "kind"), "Status");
	assert_string_equal(json_str_at(doc, "apiVersion"), "v1");
	assert_string_equal(json_str_at(doc, "status"), status);
	assert_string_equal(json_str_at(doc, "message"), message);
	assert_string_equal(json_str_at(doc, "reason"), reason);
	assert_int_equal(json_int_at(doc, "code", 0), code);
}

static void a_status_is_what_kubernetes_clients_know(void **state)
{
	static const struct {
		int code;
		const char *reason, *message;
		const char *status, *shown;
	} cases[] = {
		{200, "RefMismatch", "pushed x; builds \"y\"", "Success", "RefMismatch"},
		{202, "Queued", "later", "Success", "Queued"},
		{200, "", "build cart-1 was started", "Success", "Started"},
		{400, "Unreadable", "line 1:\n\ttab", "Failure", "Unreadable"},
		{400, "", "no Host", "Failure", "BadRequest"},
		{401, "", "no", "Failure", "Unauthorized"},
		{404, "", "no", "Failure", "NotFound"},
		{405, "", "no", "Failure", "MethodNotAllowed"},
		{408, "", "no", "Failure", "Timeout"},
		{413, "", "no", "Failure", "RequestEntityTooLarge"},
		{414, "", "no", "Failure", "RequestURITooLong"},
		{415, "", "no", "Failure", "UnsupportedMediaType"},
		{417, "", "no", "Failure", "ExpectationFailed"},
		{431, "", "no", "Failure", "RequestHeaderFieldsTooLarge"},
		{503, "", "no", "Failure", "ServiceUnavailable"},
		{505, "", "no", "Failure", "HTTPVersionNotSupported"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf body = BUF_INIT(8 * ANSWER_MAX_BYTES);

		answer_put_status(&body, cases[i].code, cases[i].reason, cases[i].message);
		assert_status(body.data, cases[i].status, cases[i].message, cases[i].shown,
			      cases[i].code);
	}
}

static void a_build_that_failed_to_start_is_no_success(void **state)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(8 * ANSWER_MAX_BYTES);

	(void)state;
	answer_put_status(&body, 200, outcome_name(OUTCOME_FAILED), "quota");
	assert_status(body.data, "Failure", "quota", outcome_name(OUTCOME_FAILED), 200);
}

static void errors_of_the_http_layer_look_the_same(void **state)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(8 * ANSWER_MAX_BYTES);

	(void)state;
	assert_string_equal(answer_error_body(&body, 414, "too long"), "application/json");
	assert_status(body.data, "Failure", "too long", "RequestURITooLong", 414);
}

static void answers_name_the_delivery_once_it_is_proved(void **state)
{
	(void)state;
	answer_status(ask(), 200, "Ping", "works", "d-1");
	answered();
	assert_int_equal(seen.status, 200);
	assert_header("Content-Type: application/json\n");
	assert_header("X-Buildhook-Delivery: d-1\n");
	answer_status(ask(), 404, "", "no such path", "");
	answered();
	assert_null(strstr(seen.headers, "X-Buildhook-Delivery"));
}

static void another_method_is_told_which_one_to_use(void **state)
{
	(void)state;
	answer_status(ask(), 405, "", "POST", "");
	answered();
	assert_header("Allow: POST\n");
}

static void unavailable_says_when_to_come_back(void **state)
{
	(void)state;
	answer_status(ask(), 503, "", "wait", "d-1");
	answered();
	assert_int_equal(seen.status, 503);
	assert_header("Retry-After: 10\n");
	assert_header("X-Buildhook-Delivery: d-1\n");
	assert_status(seen.body, "Failure", "wait", "ServiceUnavailable", 503);
}

static void a_refusal_says_what_openshift_says(void **state)
{
	static const char *const names[] = {"cart", "caf"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char message[100];

		answer_refused(ask(), "github", str_of(names[i]));
		answered();
		assert_int_equal(seen.status, 401);
		assert_string_equal(
			seen.headers,
			"Content-Type: application/json\n"
			"X-Buildhook-Message: the webhook did not accept your secret\n");
		(void)snprintf(message, sizeof(message),
			       "the webhook \"github\" for \"%s\" did not accept your secret",
			       names[i]);
		assert_status(seen.body, "Failure", message, "Unauthorized", 401);
	}
}

static void a_build_is_answered_without_its_managed_fields(void **state)
{
	const struct answer_build build = {
		.json = STR(
			"{\"kind\":\"Build\",\"metadata\":{\"name\":\"cart-7\",\"managedFields\":"
			"[{\"manager\":\"oc\"}],\"uid\":\"u\"},\"spec\":{\"n\":9007199254740993}}"),
		.message = "started cart-7 for a push of main 3f2a1b0"};

	(void)state;
	answer_build(ask(), &build, "d-1");
	answered();
	assert_int_equal(seen.status, 200);
	assert_string_equal(seen.body,
			    "{\"kind\":\"Build\",\"metadata\":{\"name\":\"cart-7\",\"uid\":\"u\"},"
			    "\"spec\":{\"n\":9007199254740993}}");
	assert_string_equal(seen.headers,
			    "Content-Type: application/json\n"
			    "X-Buildhook-Message: started cart-7 for a push of main 3f2a1b0\n"
			    "X-Buildhook-Delivery: d-1\n");
}

static void a_build_that_could_not_be_read_is_a_status(void **state)
{
	const struct answer_build build = {.message = "started cart-7"};

	(void)state;
	answer_build(ask(), &build, "d-1");
	answered();
	assert_status(seen.body, "Success", "started cart-7", "Started", 200);
}

static void each_warning_is_one_quoted_string(void **state)
{
	const struct answer_build build = {.json = STR("{}"),
					   .message = "",
					   .warnings = {"also started: cart-2",
							"say \"no\" \\ \r\nSet-Cookie: x",
							"caf\xc3\xa9\x7f"},
					   .n_warnings = 3};

	(void)state;
	answer_build(ask(), &build, "d-1");
	answered();
	assert_header("Warning: 299 - \"also started: cart-2\"\n"
		      "Warning: 299 - \"say \\\"no\\\" \\\\   Set-Cookie: x\"\n"
		      "Warning: 299 - \"caf\xc3\xa9 \"\n");
}

static void a_message_in_a_header_is_ascii(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ""},
		{"pushed refs/heads/main; builds \"x\"", "pushed refs/heads/main; builds \"x\""},
		{"caf\xc3\xa9", "caf%C3%A9"},
		{"100%", "100%25"},
		{"a\r\nb\x7f\x01", "a%0D%0Ab%7F%01"},
		{"\xff\xc3", "%FF%C3"},
	};
	CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
	CLEANUP(buf_release) struct buf out = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&out);
		answer_put_message(&out, str_of(cases[i].text));
		assert_string_equal(buf_text(&out), cases[i].expected);
	}
	/* Never cut within a character. */
	for (size_t n = 505; n <= 513; n++) {
		buf_clear(&out);
		buf_clear(&text);
		for (size_t i = 0; i < n; i++)
			buf_put_char(&text, 'x');
		buf_put_str(&text, STR("\xc3\xa9zz"));
		answer_put_message(&out, buf_str(&text));
		assert_int_equal(out.len, n > 506 && n < 512 ? n : 512);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_is_what_kubernetes_clients_know),
		cmocka_unit_test(a_build_that_failed_to_start_is_no_success),
		cmocka_unit_test(errors_of_the_http_layer_look_the_same),
		cmocka_unit_test(answers_name_the_delivery_once_it_is_proved),
		cmocka_unit_test(another_method_is_told_which_one_to_use),
		cmocka_unit_test(unavailable_says_when_to_come_back),
		cmocka_unit_test(a_refusal_says_what_openshift_says),
		cmocka_unit_test(a_build_is_answered_without_its_managed_fields),
		cmocka_unit_test(a_build_that_could_not_be_read_is_a_status),
		cmocka_unit_test(each_warning_is_one_quoted_string),
		cmocka_unit_test(a_message_in_a_header_is_ascii),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
