/* strcasestr(), asprintf() */
#define _GNU_SOURCE

#include "kube/client.h"
#include "kubeconfig/config.h"

#include "peer.h"

#include <stdio.h>
#include <sys/random.h>

struct world {
	struct clock *clock;
	struct loop *loop;
	struct peer peer;
	struct kube_config config;
	struct kube_client *client;
	struct timer deadline;
	bool is_late;
	int n_done;
	int n_heads;
	int stop_after; /* n_done at which the loop stops */
	int status, code;
	bool is_uncertain;
	char text[256];
	char message[256];
	char bytes[4096];
	size_t stop_at_bytes;
	struct kube_call *call;
	bool cancel_in_bytes, start_in_bytes;
};

static void real_random(void *arg, void *out, size_t n)
{
	(void)arg;
	assert_int_equal(getrandom(out, n, 0), n);
}

static int set_up(void **state)
{
	static const struct clock_source source = {clock_real_mono_ms, clock_real_wall_ms,
						   real_random, NULL};
	struct world *w = mem_new(1, sizeof(*w));
	struct err err = {0};

	w->clock = clock_new(&source);
	w->loop = loop_new(w->clock);
	peer_init(&w->peer, w->loop);
	assert_true(asprintf(&w->config.server, "http://127.0.0.1:%d/prefix/", w->peer.port) > 0);
	w->config.token = mem_strdup("t0ken");
	assert_int_equal(kube_client_new(&w->client, w->loop, &w->config, &err), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	timer_stop(w->clock, &w->deadline);
	kube_client_free(w->client);
	peer_release(&w->peer);
	loop_free(w->loop);
	clock_free(w->clock);
	mem_free(&w->config.server);
	mem_free(&w->config.token);
	mem_free(&w->config.token_file);
	mem_free(&w);
	return 0;
}

static void on_late(void *arg)
{
	struct world *w = arg;

	w->is_late = true;
	loop_stop(w->loop);
}

/* Until N answers came. */
static void run(struct world *w, int n)
{
	w->stop_after = n;
	timer_start(w->clock, &w->deadline, 5000, on_late, w);
	loop_run(w->loop);
	assert_false(w->is_late);
}

static void on_response(void *arg, const struct kube_response *response)
{
	struct world *w = arg;

	w->status = response->status;
	w->code = response->err.code;
	w->is_uncertain = response->is_uncertain;
	(void)snprintf(w->text, sizeof(w->text), "%.*s", STR_ARG(response->text));
	(void)snprintf(w->message, sizeof(w->message), "%s", response->err.msg);
	if (++w->n_done >= w->stop_after)
		loop_stop(w->loop);
}

static void on_bytes(void *arg, struct str bytes)
{
	struct world *w = arg;

	assert_true(strlen(w->bytes) + bytes.n < sizeof(w->bytes));
	if (str_empty(bytes)) {
		w->n_heads++;
		return;
	}
	strncat(w->bytes, bytes.p, bytes.n);
	if (w->cancel_in_bytes) {
		kube_cancel(w->call);
		w->call = NULL;
		w->cancel_in_bytes = false;
	}
	if (w->start_in_bytes) {
		w->start_in_bytes = false;
		kube_start(w->client, &(struct kube_request){.path = "/two"}, on_response, w);
	}
	if (w->stop_at_bytes && strlen(w->bytes) >= w->stop_at_bytes)
		loop_stop(w->loop);
}

#define ANSWER(status, fields, length, body)                                                       \
	"HTTP/1.1 " status "\r\n" fields "Content-Length: " length "\r\n\r\n" body
#define OK ANSWER("200 OK", "Content-Type: application/json\r\n", "2", "{}")

static void start(struct world *w, const struct kube_request *request)
{
	w->call = kube_start(w->client, request, on_response, w);
	assert_int_equal(w->n_done, 0);
}

static void a_get_carries_token_accept_and_prefix(void **state)
{
	struct world *w = *state;
	const char *sent = NULL;

	w->peer.script[0] =
		ANSWER("200 OK", "Content-Type: application/json\r\n", "7", "{\"a\":1}");
	start(w, &(struct kube_request){.path = "/api/v1/x?limit=5"});
	run(w, 1);
	assert_int_equal(w->status, 200);
	assert_int_equal(w->code, ERR_OK);
	assert_string_equal(w->text, "{\"a\":1}");
	sent = w->peer.requests[0];
	assert_non_null(strstr(sent, "GET /prefix/api/v1/x?limit=5 HTTP/1.1\r\n"));
	assert_non_null(strstr(sent, "\r\nAuthorization: Bearer t0ken\r\n"));
	assert_non_null(strstr(sent, "\r\nAccept: application/json\r\n"));
	assert_non_null(strstr(sent, "\r\nUser-Agent: buildhook/"));
	assert_null(strstr(sent, "Accept-Encoding"));
}

static void writes_carry_method_type_and_body(void **state)
{
	static const struct {
		enum kube_method method;
		const char *line, *type;
	} cases[] = {
		{KUBE_POST, "POST /", "application/json"},
		{KUBE_PUT, "PUT /", "application/json"},
		{KUBE_DELETE, "DELETE /", "application/json"},
		{KUBE_MERGE_PATCH, "PATCH /", "application/merge-patch+json"},
		{KUBE_STRATEGIC_PATCH, "PATCH /", "application/strategic-merge-patch+json"},
		{KUBE_JSON_PATCH, "PATCH /", "application/json-patch+json"},
		{KUBE_APPLY, "PATCH /", "application/apply-patch+yaml"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *sent = NULL;

		w->peer.script[i] = OK;
		kube_start(w->client,
			   &(struct kube_request){.method = cases[i].method,
						  .path = "/x",
						  .body = STR("{\"b\":2}")},
			   on_response, w);
		run(w, (int)i + 1);
		sent = w->peer.requests[i];
		assert_ptr_equal(strstr(sent, cases[i].line), sent);
		assert_non_null(strstr(sent, cases[i].type));
		assert_non_null(strstr(sent, "\r\n\r\n{\"b\":2}"));
		assert_null(strstr(sent, "Expect:"));
	}
	/* One connection served them all. */
	assert_int_equal(w->peer.n_connections, 1);
}

static void many_requests_share_few_connections(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 12; i++) {
		w->peer.script[i] = OK;
		start(w, &(struct kube_request){.path = "/x"});
	}
	run(w, 12);
	assert_int_equal(w->n_done, 12);
	assert_true(w->peer.n_connections <= 8);
}

static void slow_writes_leave_room_for_reads(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 10; i++) {
		w->peer.script[i] = "";
		start(w, &(struct kube_request){
				 .method = KUBE_POST, .path = "/slow", .body = STR("{}")});
	}
	w->peer.script[6] = OK;
	start(w, &(struct kube_request){.path = "/quick"});
	run(w, 1);
	assert_int_equal(w->status, 200);
	assert_int_equal(w->peer.n_requests, 7);
	assert_non_null(strstr(w->peer.requests[6], "GET /prefix/quick "));
}

static size_t position(const struct peer *peer, const char *path)
{
	size_t i = 0;

	while (i < peer->n_requests && !strstr(peer->requests[i], path))
		i++;
	assert_true(i < peer->n_requests);
	return i;
}

static void what_waits_is_sent_in_its_order(void **state)
{
	struct world *w = *state;
	char path[16];

	for (int i = 0; i < 32; i++) {
		w->peer.script[i] = OK;
		(void)snprintf(path, sizeof(path), "/%d", i);
		start(w, &(struct kube_request){.path = path});
	}
	run(w, 32);
	assert_true(position(&w->peer, "/8 ") < position(&w->peer, "/16 "));
	assert_true(position(&w->peer, "/16 ") < position(&w->peer, "/24 "));
	assert_true(position(&w->peer, "/24 ") < position(&w->peer, "/31 "));
}

static void a_watch_is_streamed_on_its_own_connection(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = OK;
	w->peer.script[1] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab\n\r\n";
	start(w, &(struct kube_request){.path = "/x"});
	run(w, 1);
	w->n_done = 0;
	w->stop_at_bytes = 3;
	start(w, &(struct kube_request){.path = "/w", .on_bytes = on_bytes, .is_watch = true});
	run(w, 1);
	assert_string_equal(w->bytes, "ab\n");
	assert_int_equal(w->n_heads, 1);
	assert_int_equal(w->peer.n_connections, 2);
	w->stop_at_bytes = 6;
	send_text(&w->peer.connections[1], "3\r\ncd\n\r\n");
	run(w, 1);
	assert_string_equal(w->bytes, "ab\ncd\n");
	send_text(&w->peer.connections[1], "0\r\n\r\n");
	w->stop_at_bytes = 0;
	run(w, 1);
	assert_int_equal(w->code, ERR_OK);
}

static void a_watch_that_breaks_off_is_unavailable(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab\n";
	w->peer.closes[0] = true;
	start(w, &(struct kube_request){.path = "/w", .on_bytes = on_bytes, .is_watch = true});
	run(w, 1);
	assert_int_equal(w->status, 200);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
}

static void an_error_answer_to_a_watch_is_collected(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = ANSWER("410 Gone", "Content-Type: application/json\r\n", "36",
				   "{\"kind\":\"Status\",\"reason\":\"Expired\"}");
	start(w, &(struct kube_request){.path = "/w", .on_bytes = on_bytes, .is_watch = true});
	run(w, 1);
	assert_int_equal(w->code, ERR_EXPIRED);
	assert_string_equal(w->bytes, "");
}

static void a_call_may_be_cancelled_by_its_own_bytes(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab\n\r\n";
	w->peer.script[1] = OK;
	w->cancel_in_bytes = true;
	w->stop_at_bytes = 1;
	start(w, &(struct kube_request){.path = "/w", .on_bytes = on_bytes, .is_watch = true});
	run(w, 1);
	assert_int_equal(w->n_done, 0);
	start(w, &(struct kube_request){.path = "/x"});
	run(w, 1);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(w->status, 200);
}

static void a_call_may_be_started_by_anothers_bytes(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = ANSWER("200 OK", "", "2", "{}");
	w->peer.script[1] = OK;
	w->start_in_bytes = true;
	start(w, &(struct kube_request){.path = "/one", .on_bytes = on_bytes});
	run(w, 2);
	assert_int_equal(w->n_done, 2);
	assert_non_null(strstr(w->peer.requests[1], "GET /prefix/two "));
}

static void a_post_is_never_sent_twice_when_a_reused_connection_dies(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = OK;
	w->peer.script[1] = NULL;
	w->peer.script[2] = OK;
	w->peer.script[3] = OK;
	start(w, &(struct kube_request){.path = "/x"});
	run(w, 1);
	w->n_done = 0;
	start(w, &(struct kube_request){.method = KUBE_POST, .path = "/p", .body = STR("{}")});
	run(w, 1);
	assert_int_equal(w->peer.n_requests, 2);
	assert_int_equal(w->status, 0);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_true(w->is_uncertain);
	/* Nor is the next request harmed. */
	w->n_done = 0;
	start(w, &(struct kube_request){.method = KUBE_POST, .path = "/p", .body = STR("{}")});
	run(w, 1);
	assert_int_equal(w->status, 200);
}

static void a_refused_connection_has_sent_nothing(void **state)
{
	struct world *w = *state;

	loop_watch_free(w->peer.accepting);
	w->peer.accepting = NULL;
	close(w->peer.listener);
	w->peer.listener = -1;
	start(w, &(struct kube_request){.method = KUBE_POST, .path = "/p", .body = STR("{}")});
	run(w, 1);
	assert_int_equal(w->status, 0);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_false(w->is_uncertain);
	assert_non_null(strstr(w->message, "127.0.0.1"));
	assert_null(strstr(w->message, "t0ken"));
}

static void a_redirect_is_not_followed(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = ANSWER("302 Found", "Location: /elsewhere\r\n", "0", "");
	w->peer.script[1] = OK;
	start(w, &(struct kube_request){.path = "/x"});
	run(w, 1);
	assert_int_equal(w->status, 302);
	assert_int_equal(w->code, ERR_UNAVAILABLE);
	assert_int_equal(w->peer.n_requests, 1);
}

/* As curl's command would, with --netrc. */
static void a_netrc_is_not_read(void **state)
{
	struct world *w = *state;
	char home[] = "/tmp/buildhook-netrc-XXXXXX";
	char path[64];
	struct err err = {0};
	FILE *file;

	assert_non_null(mkdtemp(home));
	(void)snprintf(path, sizeof(path), "%s/.netrc", home);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("machine 127.0.0.1 login eve password hunter2\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(setenv("HOME", home, 1), 0);
	kube_client_free(w->client);
	mem_free(&w->config.token);
	assert_int_equal(kube_client_new(&w->client, w->loop, &w->config, &err), 0);
	w->peer.script[0] = OK;
	start(w, &(struct kube_request){.path = "/x"});
	run(w, 1);
	assert_int_equal(w->status, 200);
	assert_null(strcasestr(w->peer.requests[0], "Authorization"));
	unlink(path);
	rmdir(home);
}

static void an_answer_over_its_limit_is_an_error(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = ANSWER("200 OK", "", "11", "{\"abc\":123}");
	start(w, &(struct kube_request){.path = "/x", .max_bytes = 10});
	run(w, 1);
	assert_int_equal(w->code, ERR_LIMIT);
}

static void a_cancelled_request_is_never_called_back(void **state)
{
	struct world *w = *state;

	w->peer.script[0] = OK;
	start(w, &(struct kube_request){.path = "/x"});
	kube_cancel(w->call);
	start(w, &(struct kube_request){.path = "/y"});
	run(w, 1);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(w->peer.n_requests, 1);
}

static void write_token(struct world *w, const char *token)
{
	FILE *f = fopen(w->config.token_file, "w");

	assert_non_null(f);
	assert_true(fputs(token, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void use_token_file(struct world *w, const char *token)
{
	struct err err = {0};
	int fd = -1;

	w->config.token_file = mem_strdup("/tmp/buildhook-token-XXXXXX");
	fd = mkstemp(w->config.token_file);
	assert_true(fd >= 0);
	close(fd);
	write_token(w, token);
	kube_client_free(w->client);
	assert_int_equal(kube_client_new(&w->client, w->loop, &w->config, &err), 0);
}

#define DENIED                                                                                     \
	ANSWER("401 Unauthorized", "Content-Type: application/json\r\n", "41",                     \
	       "{\"kind\":\"Status\",\"reason\":\"Unauthorized\"}")

static void after_a_401_a_new_token_is_tried_once(void **state)
{
	struct world *w = *state;

	use_token_file(w, "old\n");
	w->peer.script[0] = DENIED;
	w->peer.script[1] = OK;
	write_token(w, "new\n");
	start(w, &(struct kube_request){.method = KUBE_POST, .path = "/x", .body = STR("{}")});
	run(w, 1);
	assert_int_equal(w->status, 200);
	assert_int_equal(w->peer.n_requests, 2);
	assert_non_null(strstr(w->peer.requests[0], "Bearer old\r\n"));
	assert_non_null(strstr(w->peer.requests[1], "Bearer new\r\n"));
	assert_non_null(strstr(w->peer.requests[1], "\r\n\r\n{}"));
	unlink(w->config.token_file);
}

static void a_401_with_the_same_token_is_the_answer(void **state)
{
	struct world *w = *state;

	use_token_file(w, "old");
	w->peer.script[0] = DENIED;
	w->peer.script[1] = OK;
	start(w, &(struct kube_request){.path = "/x"});
	run(w, 1);
	assert_int_equal(w->code, ERR_DENIED);
	assert_int_equal(w->peer.n_requests, 1);
	unlink(w->config.token_file);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_get_carries_token_accept_and_prefix),
		TEST(writes_carry_method_type_and_body),
		TEST(many_requests_share_few_connections),
		TEST(slow_writes_leave_room_for_reads),
		TEST(what_waits_is_sent_in_its_order),
		TEST(a_watch_is_streamed_on_its_own_connection),
		TEST(a_watch_that_breaks_off_is_unavailable),
		TEST(an_error_answer_to_a_watch_is_collected),
		TEST(a_call_may_be_cancelled_by_its_own_bytes),
		TEST(a_call_may_be_started_by_anothers_bytes),
		TEST(a_post_is_never_sent_twice_when_a_reused_connection_dies),
		TEST(a_refused_connection_has_sent_nothing),
		TEST(a_redirect_is_not_followed),
		TEST(a_netrc_is_not_read),
		TEST(an_answer_over_its_limit_is_an_error),
		TEST(a_cancelled_request_is_never_called_back),
		TEST(after_a_401_a_new_token_is_tried_once),
		TEST(a_401_with_the_same_token_is_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
