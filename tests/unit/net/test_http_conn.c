#include "net/http_conn.h"

#include "http_world.h"

#include "../faults.h"

/* Of the server's end of a connection alone: SERVER_FD. */
static int server_fd = -1;
static struct fault fault_send, fault_recv;

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	static ssize_t (*real)(int, const void *, size_t, int);

	if (fd == server_fd && fault_hits(&fault_send))
		return -1;
	if (!real)
		fault_find(&real, "send");
	return real(fd, bytes, n, flags);
}

ssize_t recv(int fd, void *out, size_t n, int flags)
{
	static ssize_t (*real)(int, void *, size_t, int);

	if (fd == server_fd && fault_hits(&fault_recv))
		return -1;
	if (!real)
		fault_find(&real, "recv");
	return real(fd, out, n, flags);
}

/* The world's limits are a hundredth of the real ones. */
static int set_up(void **state)
{
	struct world *world = mem_new(1, sizeof(*world));
	world_init(world);
	struct http_options options = world_options(world);
	options.limits.head_ms = 50;
	options.limits.body_base_ms = 100;
	options.limits.idle_ms = 300;
	options.limits.write_ms = 100;
	world_start(world, &options);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	server_fd = -1;
	fault_send = fault_recv = (struct fault){0};
	world_release(*state);
	free(*state);
	return 0;
}

static int64_t closed_after_ms(struct world *world, struct client *client)
{
	int64_t began_ms = clock_mono_ms(world->clock);
	expect_closed(world, client, 3000);
	return clock_mono_ms(world->clock) - began_ms;
}

static void a_new_connection_that_says_nothing_has_the_time_of_a_head(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	int64_t ms = closed_after_ms(world, client);
	assert_true(ms >= 45 && ms < 280);
	assert_int_equal(client->got.len, 0);
}

/* The time before the first byte is part of it: no byte a second keeps a connection. */
static void the_time_of_a_first_head_runs_from_the_connect(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	int64_t began_ms = clock_mono_ms(world->clock);
	run_for(world, 35);
	client_send(client, STR(POST_HEAD));
	expect_answers(world, client, "408!");
	assert_true(clock_mono_ms(world->clock) - began_ms < 84);
}

static void idling_counts_from_the_last_answer(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	run_for(world, 20);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(world, client, "200");
	int64_t ms = closed_after_ms(world, client);
	assert_true(ms >= 280 && ms < 2500);
	assert_false(client->is_reset);
}

struct trickle {
	struct client *client;
	struct timer timer;
	struct world *world;
	int64_t every_ms;
};

static void on_trickle(void *arg)
{
	struct trickle *trickle = arg;
	if (trickle->client->is_closed)
		return;
	client_send(trickle->client, STR("a"));
	timer_start(trickle->world->clock, &trickle->timer, trickle->every_ms, on_trickle, trickle);
}

static void start_trickle(struct trickle *trickle, struct world *world, struct client *client)
{
	*trickle = (struct trickle){.client = client, .world = world, .every_ms = 5};
	timer_start(world->clock, &trickle->timer, 0, on_trickle, trickle);
}

static void a_trickling_head_is_cut_off(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	struct trickle trickle;
	client_send(client, STR(POST_HEAD "X: "));
	start_trickle(&trickle, world, client);
	int64_t ms = closed_after_ms(world, client);
	timer_stop(world->clock, &trickle.timer);
	assert_true(ms >= 45 && ms < 1500);
	expect_answers(world, client, "408!");
	assert_int_equal(world->n_heads, 0);
}

static void a_trickling_body_is_408(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	struct trickle trickle;
	client_send(client, STR(POST_HEAD "Content-Length: 100000\r\n\r\n"));
	start_trickle(&trickle, world, client);
	expect_answers(world, client, "408!");
	timer_stop(world->clock, &trickle.timer);
	assert_int_equal(world->n_aborts, 1);
}

static void a_paused_body_has_time(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	world->pauses_at_head = true;
	client_send(client, STR(POST_HEAD "Content-Length: 5\r\n\r\nhell"));
	run_for(world, 250);
	http_resume(world->held);
	run_for(world, 20);
	client_send(client, STR("o"));
	expect_answers(world, client, "200");
}

static void a_handler_has_time(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	world->answers = LATER;
	client_send(client, STR(POST_HEAD "Content-Length: 5\r\n\r\nhello"));
	run_for(world, 500);
	assert_int_equal(world->n_aborts, 0);
	give_answer(world, world->held);
	expect_answers(world, client, "200");
}

static void a_body_may_take_longer_the_larger_it_is(void **state)
{
	(void)state;
	static const struct {
		bool is_chunked;
		uint64_t length, read;
		int64_t ms;
	} cases[] = {
		{false, 100, 0, 10000},
		{false, 64 << 10, 0, 10000},
		{false, 64 << 10, 10 << 10, 10000},
		{false, 64 << 10, 20 << 10, 11000},
		{false, 1 << 20, 20 << 10, 20000},
		{false, 1 << 20, 100 << 10, 26000},
		{true, 0, 0, 10000},
		{true, 0, 64 << 10, 11000},
		{false, 25 << 20, 25 << 20, 410000},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct http_incoming request = {
			.head.is_chunked = cases[i].is_chunked,
			.head.content_length = cases[i].length,
			.read = cases[i].read,
		};
		assert_int_equal(http_request_body_ms(&request, &http_default_limits), cases[i].ms);
	}
}

static bool has_begun(struct world *world, void *arg)
{
	(void)arg;
	return world->n_heads > 0;
}

static void who_never_reads_the_answer_is_cut_off(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *big = mem_new(1, 8 << 20);
	world->answer = str_range(big, 8 << 20);
	struct client *client = client_new(world);
	client->reads = false;
	client_send(client, STR(POST_HEAD "\r\n"));
	int64_t began_ms = clock_mono_ms(world->clock);
	assert_true(run_until(world, has_begun, NULL, 5000));
	assert_true(run_until(world, has_none_open, NULL, 5000));
	assert_true(clock_mono_ms(world->clock) - began_ms >= 90);
}

/* N requests for answers of a kilobyte, none of which is read. */
static struct client *client_that_reads_nothing(struct world *world, size_t n)
{
	static char kilobyte[1024];
	struct client *client = client_new(world);
	int bytes = 65536;
	assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	memset(kilobyte, 'k', sizeof(kilobyte));
	world->answer = str_range(kilobyte, sizeof(kilobyte));
	client->reads = false;
	for (size_t i = 0; i < n; i++)
		client_send(client, STR(POST_HEAD "\r\n"));
	return client;
}

static void small_answers_that_are_not_read_hold_up_the_next_requests(void **state)
{
	struct world *world = *state;
	size_t n = 3000;
	world->server->limits.write_ms = 60000;
	struct client *client = client_that_reads_nothing(world, n);
	run_for(world, 300);
	assert_true(world->n_ends > 0 && world->n_ends < n);
	assert_true(http_stream_unsent(&world->server->conns->stream) < 4 * HTTP_UNSENT_BYTES);
	client->reads = true;
	assert_true(run_until(world, has_ends, &n, 30000));
	assert_false(client->is_closed);
}

static void who_reads_no_small_answers_is_cut_off(void **state)
{
	struct world *world = *state;
	client_that_reads_nothing(world, 3000);
	assert_true(run_until(world, has_begun, NULL, 5000));
	assert_true(run_until(world, has_none_open, NULL, 5000));
}

static void a_large_answer_arrives_whole(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *big = mem_new(1, 8 << 20);
	memset(big, 'b', 8 << 20);
	world->answer = str_range(big, 8 << 20);
	world->server->limits.write_ms = 60000;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n" POST_HEAD "Connection: close\r\n\r\n"));
	expect_closed(world, client, 30000);
	assert_false(client->is_reset);
	assert_true(client->got.len > 16 << 20);
	assert_int_equal(client->got.data[client->got.len - 1], 'b');
}

/* The client sends 5 MB before it looks for an answer, and finds one. */
static void a_refusal_arrives_before_the_reset(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client->reads = false;
	client_send(client, STR(POST_HEAD "Content-Length: 5000000\r\n\r\n"));
	for (int i = 0; i < 5000000; i++)
		buf_put_char(&client->out, 'x');
	run_for(world, 200);
	client->reads = true;
	expect_answers(world, client, "413!");
}

static void lingering_ends(void **state)
{
	struct world *world = *state;
	struct client *client = client_new(world);
	client_send(client, STR("nonsense\r\n"));
	expect_answers(world, client, "400!");
	expect_closed(world, client, 100);
	client->reads = false;
	assert_true(run_until(world, has_none_open, NULL, 2 * HTTP_LINGER_MS));
}

static size_t conn_bytes(const struct http_conn *conn)
{
	return sizeof(*conn) + conn->input.cap + conn->output.cap + (conn->request ? 1 : 0);
}

static void an_idle_connection_holds_little(void **state)
{
	struct world *world = *state;
	CLEANUP(buf_release) struct buf big = BUF_INIT(1 << 20);
	struct client *client = client_new(world);
	for (int i = 0; i < 10000; i++)
		buf_put_char(&big, 'x');
	buf_printf(&client->out, POST_HEAD "X: %s\r\nContent-Length: 10000\r\n\r\n%s", big.data,
		   big.data);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(world, client, "200 200");
	assert_true(conn_bytes(world->server->conns) < 1024);
	assert_int_equal(world->server->held_bytes, 0);
}

static bool holds_all(struct world *world, void *arg)
{
	size_t n = *(const size_t *)arg;
	return world->n_heads >= n;
}

/*
 * Each of 300 clients sends a request that the handler sits on, and 60 KiB behind it: what the
 * server keeps of that is bounded.
 */
static void what_waits_its_turn_is_bounded(void **state)
{
	struct world *world = *state;
	size_t n = 300;
	world->server->limits.head_ms = 5000;
	world->answers = LATER;
	for (size_t i = 0; i < n; i++) {
		struct client *client = client_new(world);
		client_send(client, STR(POST_HEAD "\r\n"));
		for (int k = 0; k < 60 << 10; k++)
			buf_put_char(&client->out, 'x');
	}
	assert_true(run_until(world, holds_all, &n, 5000));
	run_for(world, 50);
	assert_true(world->server->held_bytes <= n * (18 << 10));
	assert_int_equal(world->n_aborts, 0);
}

static bool has_dropped_some(struct world *world, void *arg)
{
	(void)arg;
	return world->server->held_bytes + (64 << 10) > HTTP_HELD_MAX_BYTES;
}

static void heads_of_all_connections_are_bounded(void **state)
{
	struct world *world = *state;
	world->server->limits.head_ms = 60000;
	world->server->limits.idle_ms = 60000;
	world->server->limits.max_connections = 2000;
	struct client *last = NULL;
	for (size_t i = 0; i < 1100; i++) {
		last = client_new(world);
		client_send(last, STR(POST_HEAD "X: "));
		for (int k = 0; k < 16000; k++)
			buf_put_char(&last->out, 'x');
		if (i % 100 == 0)
			run_for(world, 5);
	}
	assert_true(run_until(world, has_dropped_some, NULL, 30000));
	run_for(world, 100);
	assert_true(world->server->held_bytes <= HTTP_HELD_MAX_BYTES);
	size_t n_refused = 0;
	for (struct client *i = world->clients; i; i = i->next)
		n_refused += str_starts(buf_str(&i->got), STR("HTTP/1.1 503 "));
	assert_true(n_refused > 0);
}

/* Connected, and the server knows it; calls of the server for it can fail from here on. */
static struct client *client_with_faults(struct world *world)
{
	struct client *client = client_new(world);
	run_for(world, 20);
	assert_non_null(world->server->conns);
	server_fd = world->server->conns->stream.fd;
	return client;
}

static void an_interrupted_call_is_made_again(void **state)
{
	struct world *world = *state;
	struct client *client = client_with_faults(world);
	fault_arm(&fault_recv, 1, EINTR);
	fault_arm(&fault_send, 1, EINTR);
	client_send(client, STR(POST_HEAD "\r\n"));
	expect_answers(world, client, "200");
	assert_false(fault_is_armed(&fault_recv) || fault_is_armed(&fault_send));
}

static void an_answer_to_who_has_gone_ends_the_connection(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	client_send(client_with_faults(world), STR(POST_HEAD "\r\n"));
	assert_true(run_until(world, has_begun, NULL, 3000));
	client_reset(world, world->clients);
	give_answer(world, world->held);
	assert_true(has_none_open(world, NULL));
	assert_int_equal(world->n_aborts, 0);
}

static void who_goes_within_the_answer_is_forgotten(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *big = mem_new(1, 8 << 20);
	world->answer = str_range(big, 8 << 20);
	world->server->limits.write_ms = 60000;
	struct client *client = client_new(world);
	client->reads = false;
	client_send(client, STR(POST_HEAD "\r\n"));
	assert_true(run_until(world, has_begun, NULL, 3000));
	client_reset(world, client);
	assert_true(run_until(world, has_none_open, NULL, 3000));
	assert_int_equal(world->server->held_bytes, 0);
}

static void who_goes_before_continue_is_an_abort(void **state)
{
	struct world *world = *state;
	world->pauses_at_head = true;
	client_send(client_with_faults(world),
		    STR(POST_HEAD "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	assert_true(run_until(world, has_begun, NULL, 3000));
	fault_arm(&fault_send, 1, EPIPE);
	http_resume(world->held);
	assert_true(run_until(world, has_none_open, NULL, 3000));
	assert_int_equal(world->n_aborts, 1);
	assert_int_equal(world->n_body_calls, 0);
}

static void a_late_408_arrives_when_the_socket_takes_it(void **state)
{
	struct world *world = *state;
	struct client *client = client_with_faults(world);
	fault_arm(&fault_send, 1, EAGAIN);
	client_send(client, STR(POST_HEAD "X: "));
	expect_answers(world, client, "408!");
	expect_closed(world, client, 1000);
	assert_false(client->is_reset || fault_is_armed(&fault_send));
}

/* As if other connections held all that there is. */
static void where_all_is_held_what_is_not_complete_is_refused(void **state)
{
	struct world *world = *state;
	CLEANUP(buf_release) struct buf head = BUF_INIT(16 << 10);
	buf_put_str(&head, STR(POST_HEAD "X: "));
	for (int i = 0; i < 10000; i++)
		buf_put_char(&head, 'x');
	struct client *small = client_new(world), *body = client_new(world);
	struct client *complete = client_new(world);
	client_send(small, STR(POST_HEAD "Content-Length: 5\r\n\r\n"));
	client_send(body, buf_str(&head));
	client_send(body, STR("\r\nContent-Length: 5\r\n\r\n"));
	run_for(world, 20);
	assert_int_equal(world->n_heads, 2);
	world->server->held_bytes += HTTP_HELD_MAX_BYTES;
	world->answers = LATER;
	client_send(body, STR("hel"));
	expect_answers(world, body, "503!");
	client_send(complete, buf_str(&head));
	client_send(complete, STR("\r\n\r\n"));
	assert_true(run_until(world, has_begun, NULL, 1000));
	run_for(world, 20);
	assert_int_equal(world->n_heads, 3);
	give_answer(world, world->held);
	expect_answers(world, complete, "200");
	world->answers = AT_END;
	client_send(small, STR("hello"));
	expect_answers(world, small, "200");
	world->server->held_bytes -= HTTP_HELD_MAX_BYTES;
}

static bool answers_are_given(struct world *world, void *arg)
{
	return world->n_ends >= *(const size_t *)arg;
}

static void answers_that_nobody_takes_are_bounded(void **state)
{
	struct world *world = *state;
	CLEANUP(mem_free) char *big = mem_new(1, 12 << 20);
	world->answer = str_range(big, 12 << 20);
	world->server->limits.write_ms = 60000;
	size_t n = 4;
	for (size_t i = 0; i < n; i++) {
		struct client *client = client_new(world);
		client->reads = false;
		client_send(client, STR(POST_HEAD "\r\n"));
	}
	assert_true(run_until(world, answers_are_given, &n, 10000));
	assert_true(world->server->held_bytes <= HTTP_HELD_MAX_BYTES);
	assert_true(http_server_connections(world->server) < n);
	assert_true(http_server_connections(world->server) > 0);
}

static void a_next_request_waits_as_long_as_the_handler_thinks(void **state)
{
	struct world *world = *state;
	world->answers = LATER;
	struct client *client = client_new(world);
	client_send(client, STR(POST_HEAD "\r\n"));
	assert_true(run_until(world, has_begun, NULL, 3000));
	client_send(client, STR(POST_HEAD "\r\n"));
	run_for(world, 20);
	for (int i = 0; i < 3; i++) {
		skipped_ms += HTTP_PEER_CHECK_MS + 1;
		run_for(world, 20);
	}
	assert_int_equal(world->n_aborts, 0);
	world->answers = AT_END;
	give_answer(world, world->held);
	expect_answers(world, client, "200 200");
}

static void a_peer_is_shown_without_its_port(void **state)
{
	(void)state;
	static const struct {
		int family;
		const char *address, *shown;
	} cases[] = {
		{AF_INET, "192.0.2.1", "192.0.2.1"},         {AF_INET6, "::1", "::1"},
		{AF_INET6, "2001:db8::1", "2001:db8::1"},    {AF_INET6, "0:0:1::1", "0:0:1::1"},
		{AF_INET6, "::ffff:192.0.2.1", "192.0.2.1"}, {AF_UNSPEC, NULL, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_conn conn = {.peer.any.sa_family = (sa_family_t)cases[i].family};
		char shown[INET6_ADDRSTRLEN];
		void *to = cases[i].family == AF_INET ? (void *)&conn.peer.in.sin_addr
						      : (void *)&conn.peer.in6.sin6_addr;
		if (cases[i].address)
			assert_int_equal(inet_pton(cases[i].family, cases[i].address, to), 1);
		http_conn_format_peer(&conn, shown);
		assert_string_equal(shown, cases[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		IN_WORLD(a_new_connection_that_says_nothing_has_the_time_of_a_head),
		IN_WORLD(the_time_of_a_first_head_runs_from_the_connect),
		IN_WORLD(idling_counts_from_the_last_answer),
		IN_WORLD(a_trickling_head_is_cut_off),
		IN_WORLD(a_trickling_body_is_408),
		IN_WORLD(a_paused_body_has_time),
		IN_WORLD(a_handler_has_time),
		cmocka_unit_test(a_body_may_take_longer_the_larger_it_is),
		IN_WORLD(who_never_reads_the_answer_is_cut_off),
		IN_WORLD(small_answers_that_are_not_read_hold_up_the_next_requests),
		IN_WORLD(who_reads_no_small_answers_is_cut_off),
		IN_WORLD(a_large_answer_arrives_whole),
		IN_WORLD(a_refusal_arrives_before_the_reset),
		IN_WORLD(lingering_ends),
		IN_WORLD(an_idle_connection_holds_little),
		IN_WORLD(what_waits_its_turn_is_bounded),
		IN_WORLD(heads_of_all_connections_are_bounded),
		IN_WORLD(an_interrupted_call_is_made_again),
		IN_WORLD(an_answer_to_who_has_gone_ends_the_connection),
		IN_WORLD(who_goes_within_the_answer_is_forgotten),
		IN_WORLD(who_goes_before_continue_is_an_abort),
		IN_WORLD(a_late_408_arrives_when_the_socket_takes_it),
		IN_WORLD(where_all_is_held_what_is_not_complete_is_refused),
		IN_WORLD(answers_that_nobody_takes_are_bounded),
		IN_WORLD(a_next_request_waits_as_long_as_the_handler_thinks),
		cmocka_unit_test(a_peer_is_shown_without_its_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
