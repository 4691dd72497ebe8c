#include "http_world.h"

#include "framing_cases.h"

static void each_framing_has_one_reading(void **state)
{
	(void)state;
	struct world world;
	world_init(&world);
	struct http_options options = world_options(&world);
	world_start(&world, &options);
	size_t n_bad = 0;
	for (size_t i = 0; i < ARRAY_LEN(framing_cases); i++) {
		const struct framing_case *c = &framing_cases[i];
		struct client *client = client_new(&world);
		CLEANUP(buf_release) struct buf got = BUF_INIT(4096);
		client_send(client, str_range(c->bytes, c->n));
		client->finishes = true;
		bool closes = run_until(&world, is_closed, client, 3000);
		read_statuses(&got, buf_str(&client->got));
		if (!closes || client->is_reset || strcmp(got.data, c->statuses) != 0) {
			print_error("%s %s: expected %s, got %s%s\n", c->family, c->name,
				    c->statuses, got.data, closes ? "" : ", and it stayed open");
			n_bad++;
		}
		client_free(&world, client);
	}
	world_release(&world);
	assert_int_equal(n_bad, 0);
}

/* The handler hears of each request that it hears of exactly one end. */
static void each_request_ends_once(void **state)
{
	(void)state;
	struct world world;
	world_init(&world);
	struct http_options options = world_options(&world);
	world_start(&world, &options);
	for (size_t i = 0; i < ARRAY_LEN(framing_cases); i++) {
		const struct framing_case *c = &framing_cases[i];
		struct client *client = client_new(&world);
		client_send(client, str_range(c->bytes, c->n));
		client->finishes = true;
		expect_closed(&world, client, 3000);
		size_t n_answered = 0;
		CLEANUP(buf_release) struct buf got = BUF_INIT(4096);
		read_statuses(&got, buf_str(&client->got));
		for (const char *p = got.data; (p = strpbrk(p, "24")); p += 3)
			n_answered += strncmp(p, "200", 3) == 0 || strncmp(p, "404", 3) == 0 ||
				      strncmp(p, "405", 3) == 0;
		if (world.n_heads != n_answered + world.n_aborts)
			fail_msg("%s %s: %zu heads, %zu answers, %zu aborts", c->family, c->name,
				 world.n_heads, n_answered, world.n_aborts);
		world.n_heads = world.n_aborts = 0;
		client_free(&world, client);
	}
	world_release(&world);
}

static int set_up(void **state)
{
	struct world *world = mem_new(1, sizeof(*world));
	world_init(world);
	struct http_options options = world_options(world);
	world_start(world, &options);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	world_release(*state);
	free(*state);
	return 0;
}

static void a_body_arrives_as_it_was_sent(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 300000\r\n\r\n"));
	for (int i = 0; i < 300000; i++)
		buf_put_char(&client->out, (char)(i % 251));
	expect_answers(world, client, "200");
	assert_int_equal(world->body.len, 300000);
	for (int i = 0; i < 300000; i++)
		assert_int_equal((uint8_t)world->body.data[i], i % 251);
}

static void fine_chunks_arrive_in_few_pieces(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 20000; i++)
		buf_printf(&client->out, "1\r\n%c\r\n", 'a' + i % 26);
	client_send(client, STR("0\r\n\r\n"));
	expect_answers(world, client, "200");
	assert_int_equal(world->body.len, 20000);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(world->body.data[i], 'a' + i % 26);
	assert_true(world->n_body_calls < 200);
}

static void chunks_over_the_limit_are_413_at_the_limit(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 300; i++) {
		client_send(client, STR("1000\r\n"));
		for (int k = 0; k < 4096; k++)
			buf_put_char(&client->out, 'x');
		client_send(client, STR("\r\n"));
	}
	expect_answers(world, client, "413!");
	assert_true(world->body.len <= 1 << 20);
	assert_int_equal(world->n_aborts, 1);
	assert_int_equal(world->n_ends, 0);
}

static void an_answer_in_the_head_leaves_a_small_body_unread(void **state)
{
	struct world *world = *state;
	world->answers = AT_HEAD;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 5\r\n\r\nhello"));
	client_send(client, STR(POST_HEAD "Content-Length: 2\r\n\r\n"));
	expect_answers(world, client, "200 200");
	client_send(client, STR("yo" POST_HEAD "\r\n"));
	expect_answers(world, client, "200 200 200");
	assert_int_equal(world->n_body_calls, 0);
	assert_int_equal(world->n_ends, 0);
}

static void an_answer_in_the_head_closes_before_a_large_body(void **state)
{
	struct world *world = *state;
	world->answers = AT_HEAD;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 200000\r\n\r\n"));
	expect_answers(world, client, "200!");
	for (int i = 0; i < 200000; i++)
		buf_put_char(&client->out, 'x');
	client->finishes = true;
	expect_closed(world, client, 3000);
	assert_false(client->is_reset);
}

static void a_handler_may_have_the_server_refuse_before_it_answers(void **state)
{
	static const struct {
		const char *fields, *answered, *asked;
	} cases[] = {
		{"Expect: other\r\n", "200", "417!"},
		{"Content-Length: 2000000\r\n", "200!", "413!"},
		{"Expect: other\r\nContent-Length: 2000000\r\n", "200!", "417!"},
		{"Content-Length: 0\r\n", "200", "200"},
	};
	struct world *world = *state;
	world->answers = AT_HEAD;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		struct client *client = client_new(world);
		world->asks_at_head = i % 2;
		client_send(client, STR(POST_HEAD));
		client_send(client, str_of(cases[i / 2].fields));
		client_send(client, STR("\r\n"));
		expect_answers(world, client, i % 2 ? cases[i / 2].asked : cases[i / 2].answered);
	}
	assert_int_equal(world->n_aborts, 3);
}

static void an_answer_within_the_body_leaves_the_rest(void **state)
{
	struct world *world = *state;
	world->answers = AT_FIRST_BYTES;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 10\r\n\r\nhello"));
	expect_answers(world, client, "200");
	client_send(client, STR("world" POST_HEAD "Content-Length: 1\r\n\r\n!"));
	expect_answers(world, client, "200 200");
	assert_string_equal(world->body.data, "hello!");
}

static bool has_ended(struct world *world, void *arg)
{
	(void)arg;
	return world->n_ends > 0;
}

static bool has_aborted(struct world *world, void *arg)
{
	(void)arg;
	return world->n_aborts > 0;
}

static void a_late_answer_comes_before_the_next_request(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 1\r\n\r\na" POST_HEAD
					  "Content-Length: 1\r\n\r\nb"));
	assert_true(run_until(world, has_ended, NULL, 1000));
	run_for(world, 30);
	assert_int_equal(world->n_heads, 1);
	give_answer(world, world->held);
	world->answers = AT_END;
	expect_answers(world, client, "200 200");
	assert_string_equal(world->body.data, "ab");
}

static void half_a_close_after_a_request_still_gets_the_answer(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 1\r\n\r\na"));
	client->finishes = true;
	assert_true(run_until(world, has_ended, NULL, 1000));
	run_for(world, 30);
	assert_int_equal(world->n_aborts, 0);
	give_answer(world, world->held);
	expect_closed(world, client, 1000);
	expect_answers(world, client, "200");
}

static void a_reset_while_the_handler_thinks_is_an_abort(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n"));
	assert_true(run_until(world, has_ended, NULL, 1000));
	client_reset(world, client);
	assert_true(run_until(world, has_aborted, NULL, 2000));
	assert_int_equal(http_server_connections(world->server), 0);
}

static void a_reset_behind_a_next_request_is_an_abort(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n"));
	assert_true(run_until(world, has_ended, NULL, 1000));
	client_send(client, STR(POST_HEAD "\r\n"));
	run_for(world, 30);
	client_reset(world, client);
	assert_true(run_until(world, has_aborted, NULL, 3000));
}

static void a_reset_within_the_body_is_an_abort(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 10\r\n\r\nhello"));
	run_for(world, 30);
	client_reset(world, client);
	assert_true(run_until(world, has_aborted, NULL, 2000));
	assert_int_equal(world->n_ends, 0);
}

static void a_paused_body_waits(void **state)
{
	struct world *world = *state;
	world->pauses_at_head = world->pauses_at_body = true;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 5\r\n\r\nhello"));
	run_for(world, 30);
	assert_int_equal(world->n_heads, 1);
	assert_int_equal(world->n_body_calls, 0);
	http_resume(world->held);
	assert_int_equal(world->n_body_calls, 0);
	run_for(world, 30);
	assert_string_equal(world->body.data, "hello");
	assert_int_equal(world->n_ends, 0);
	http_resume(world->held);
	expect_answers(world, client, "200");
}

static void a_paused_request_can_be_answered(void **state)
{
	struct world *world = *state;
	world->pauses_at_head = true;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 5\r\n\r\nhello"));
	run_for(world, 30);
	world->pauses_at_head = false;
	give_answer(world, world->held);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(world, client, "200 200");
	assert_int_equal(world->body.len, 0);
}

static void continue_waits_for_the_pause(void **state)
{
	struct world *world = *state;
	world->pauses_at_head = true;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	run_for(world, 30);
	assert_int_equal(client->got.len, 0);
	http_resume(world->held);
	expect_answers(world, client, "100");
	client_send(client, STR("hello"));
	expect_answers(world, client, "100 200");
}

/* Whether the client then sends the body or not, nobody knows: so the connection ends. */
static void an_answer_in_place_of_continue_closes(void **state)
{
	struct world *world = *state;
	world->answers = AT_HEAD;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	expect_answers(world, client, "200!");
	client->finishes = true;
	expect_closed(world, client, 500);
}

static void the_answer_to_head_has_no_body(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR("HEAD /hooks/a HTTP/1.1\r\nHost: h\r\n\r\n"));
	run_for(world, 30);
	assert_true(str_starts(buf_str(&client->got), STR("HTTP/1.1 405 ")));
	assert_true(str_contains(buf_str(&client->got), STR("\r\nContent-Length: 6\r\n")));
	assert_true(str_ends(buf_str(&client->got), STR("\r\n\r\n")));
}

static void on_head_sees_the_parts(void *arg, struct http_request *request)
{
	struct world *world = arg;
	size_t n;
	buf_printf(&world->body, "%.*s|%.*s|%.*s|%.*s|", STR_ARG(request->method),
		   STR_ARG(request->path), STR_ARG(request->query),
		   STR_ARG(http_header(request, "x-a", &n)));
	buf_printf(&world->body, "%zu|%d", n, (int)request->content_length);
	give_answer(world, request);
}

static void the_handler_sees_the_parts_of_the_head(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	options.handler.on_head = on_head_sees_the_parts;
	http_server_free(world->server);
	world_start(world, &options);
	static const struct {
		const char *request;
		const char *parts;
	} cases[] = {
		{"POST /a?b=c?d HTTP/1.1\r\nHost: h\r\nX-A:  one \t\r\nx-a: two\r\n\r\n",
		 "POST|/a|b=c?d|one|2|0"},
		{"get http://i:1/a%2f?? HTTP/1.1\r\nHost: h\r\n\r\n", "get|/a%2f|?||0|0"},
		{"GET http://i?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET|/|q||0|0"},
		{"X / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		 "X|/|||0|-1"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client *client = client_new(world);
		client_send(client, str_of(cases[i].request));
		client->finishes = true;
		expect_closed(world, client, 1000);
		assert_string_equal(world->body.data, cases[i].parts);
		buf_clear(&world->body);
		client_free(world, client);
	}
}

/* The fixture's handler tries to put a line end into a header. */
static void a_header_value_stays_on_its_line(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(world, client, "200");
	assert_true(str_contains(buf_str(&client->got), STR("\r\nX-Test: a  b\r\n")));
	assert_true(str_contains(buf_str(&client->got), STR("\r\nDate: ")));
}

static void pausing_and_going_on_twice_is_once(void **state)
{
	struct world *world = *state;
	world->pauses_at_head = true;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 5\r\n\r\nhello"));
	run_for(world, 30);
	http_pause(world->held);
	run_for(world, 30);
	assert_int_equal(world->n_body_calls, 0);
	http_resume(world->held);
	http_resume(world->held);
	expect_answers(world, client, "200");
	assert_string_equal(world->body.data, "hello");
}

static void the_refusal_of_a_malformed_head_method_has_no_body(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR("HEAD /hooks/a HTTP/1.1\r\nHost: h\r\nBad\r\n\r\n"));
	expect_closed(world, client, 3000);
	assert_true(str_starts(buf_str(&client->got), STR("HTTP/1.1 400 ")));
	assert_true(str_ends(buf_str(&client->got), STR("\r\n\r\n")));
}

/* What is unread when a socket closes resets it, and the answer with it. */
static void an_old_client_gets_an_answer_before_its_body_is_read(void **state)
{
	struct world *world = *state;
	world->answers = AT_HEAD;
	struct client *client = client_new(world);
	client_send(client, STR("POST /hooks/a HTTP/1.0\r\nContent-Length: 60000\r\n\r\n"));
	client->reads = false;
	for (int round = 0; round < 3; round++) {
		run_for(world, 30);
		for (int i = 0; i < 20000; i++)
			buf_put_char(&client->out, 'x');
	}
	run_for(world, 30);
	assert_int_equal(client->sent, client->out.len);
	client->finishes = client->reads = true;
	expect_closed(world, client, 3000);
	assert_false(client->is_reset);
	expect_answers(world, client, "200!");
}

static void an_unwanted_body_may_come_in_pieces(void **state)
{
	struct world *world = *state;
	world->answers = AT_HEAD;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "Content-Length: 9\r\n\r\nabc"));
	expect_answers(world, client, "200");
	client_send(client, STR("def"));
	run_for(world, 30);
	client_send(client, STR("ghi" POST_HEAD "\r\n"));
	expect_answers(world, client, "200 200");
	assert_int_equal(world->n_body_calls, 0);
}

/* Three at once, each answered later: the next begins with the answer to the one before. */
static void late_answers_come_one_after_the_other(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n" POST_HEAD "\r\n" POST_HEAD "\r\n"));
	for (size_t i = 1; i <= 3; i++) {
		run_for(world, 30);
		assert_int_equal(world->n_heads, i);
		give_answer(world, world->held);
	}
	expect_answers(world, client, "200 200 200");
}

static void on_head_that_refuses(void *arg, struct http_request *request)
{
	(void)arg;
	http_respond(request, 401, NULL, 0, STR("no"));
}

static void refusals_of_a_proof_are_the_same_bytes_at_any_time(void **state)
{
	struct world *world = *state;
	struct http_options options = world_options(world);
	options.handler.on_head = on_head_that_refuses;
	http_server_free(world->server);
	world_start(world, &options);
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(world, client, "401");
	assert_string_equal(client->got.data,
			    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_framing_has_one_reading),
		cmocka_unit_test(each_request_ends_once),
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_body_arrives_as_it_was_sent),
		IN_WORLD(fine_chunks_arrive_in_few_pieces),
		IN_WORLD(chunks_over_the_limit_are_413_at_the_limit),
		IN_WORLD(an_answer_in_the_head_leaves_a_small_body_unread),
		IN_WORLD(an_answer_in_the_head_closes_before_a_large_body),
		IN_WORLD(a_handler_may_have_the_server_refuse_before_it_answers),
		IN_WORLD(an_answer_within_the_body_leaves_the_rest),
		IN_WORLD(a_late_answer_comes_before_the_next_request),
		IN_WORLD(half_a_close_after_a_request_still_gets_the_answer),
		IN_WORLD(a_reset_while_the_handler_thinks_is_an_abort),
		IN_WORLD(a_reset_behind_a_next_request_is_an_abort),
		IN_WORLD(a_reset_within_the_body_is_an_abort),
		IN_WORLD(a_paused_body_waits),
		IN_WORLD(a_paused_request_can_be_answered),
		IN_WORLD(continue_waits_for_the_pause),
		IN_WORLD(an_answer_in_place_of_continue_closes),
		IN_WORLD(the_answer_to_head_has_no_body),
		IN_WORLD(the_handler_sees_the_parts_of_the_head),
		IN_WORLD(a_header_value_stays_on_its_line),
		IN_WORLD(pausing_and_going_on_twice_is_once),
		IN_WORLD(the_refusal_of_a_malformed_head_method_has_no_body),
		IN_WORLD(an_old_client_gets_an_answer_before_its_body_is_read),
		IN_WORLD(an_unwanted_body_may_come_in_pieces),
		IN_WORLD(late_answers_come_one_after_the_other),
		IN_WORLD(refusals_of_a_proof_are_the_same_bytes_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
