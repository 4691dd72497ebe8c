/*
 * A server on a loopback socket and its clients, all on one loop in one thread: what the tests of
 * pkg/net share. The handler knows POST to /hooks/..., and what a case asks of it besides.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "net/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARED __attribute__((unused)) static

enum when { AT_END, AT_HEAD, AT_FIRST_BYTES, LATER };

struct world {
	struct clock *clock;
	struct loop *loop;
	struct http_server *server;
	enum when answers; /* when the handler gives its answer */
	bool asks_at_head; /* whether the server refuses, before an answer AT_HEAD */
	bool pauses_at_head;
	bool pauses_at_body;
	struct str answer;
	size_t n_heads, n_ends, n_aborts;
	struct http_request *held; /* answered or resumed by the test */
	struct buf body;           /* of all requests */
	size_t n_body_calls;
	struct timer tick;
	bool (*until)(struct world *world, void *arg);
	void *until_arg;
	int64_t give_up_ms;
	struct client *clients;
};

struct client {
	struct client *next;
	int fd;
	SSL *ssl;
	struct buf out;
	size_t sent;
	struct buf got;
	bool finishes; /* shutdown(SHUT_WR) after the last byte */
	bool is_finished;
	bool reads; /* false: lets the answer lie */
	bool is_closed;
	bool is_reset;
};

/* Time that a test does not wait for. */
SHARED int64_t skipped_ms;

/* For a test in which no client has turns. */
SHARED bool is_real_time;

/*
 * At most a few milliseconds pass between two readings, so while the process gets no CPU hardly
 * any time passes: a time limit ends a connection only if the client, which runs on the same loop,
 * had its turns meanwhile.
 */
SHARED int64_t mono_ms(void *arg)
{
	static int64_t read_ms, passed_ms;
	int64_t real_ms = clock_real_mono_ms(arg);
	int64_t between_ms = real_ms - read_ms;
	passed_ms += is_real_time || between_ms < 5 ? between_ms : 5;
	read_ms = real_ms;
	return passed_ms + skipped_ms;
}

SHARED void no_random(void *arg, void *out, size_t n)
{
	(void)arg;
	memset(out, 4, n);
}

SHARED void give_answer(struct world *world, struct http_request *request)
{
	const struct http_header headers[] = {{STR("Content-Type"), STR("text/plain")},
					      {STR("X-Test"), STR("a\r\nb")}};
	world->held = NULL;
	http_respond(request, 200, headers, ARRAY_LEN(headers), world->answer);
}

SHARED void on_head(void *arg, struct http_request *request)
{
	struct world *world = arg;
	const struct http_header allow = {STR("Allow"), STR("POST")};
	world->n_heads++;
	if (!str_starts(request->path, STR("/hooks/"))) {
		http_respond(request, 404, NULL, 0, STR("not found"));
		return;
	}
	if (!str_eq(request->method, STR("POST"))) {
		http_respond(request, 405, &allow, 1, STR("method"));
		return;
	}
	if (world->asks_at_head &&
	    (http_refuse_expectation(request) || http_refuse_length(request)))
		return;
	world->held = request;
	if (world->pauses_at_head)
		http_pause(request);
	if (world->answers == AT_HEAD)
		give_answer(world, request);
}

SHARED void on_body(void *arg, struct http_request *request, struct str bytes)
{
	struct world *world = arg;
	world->n_body_calls++;
	buf_put_str(&world->body, bytes);
	if (world->pauses_at_body)
		http_pause(request);
	if (world->answers == AT_FIRST_BYTES)
		give_answer(world, request);
}

SHARED void on_end(void *arg, struct http_request *request)
{
	struct world *world = arg;
	world->n_ends++;
	if (world->answers == AT_END)
		give_answer(world, request);
}

SHARED void on_abort(void *arg, struct http_request *request)
{
	struct world *world = arg;
	(void)request;
	world->n_aborts++;
	world->held = NULL;
}

SHARED struct http_options world_options(struct world *world)
{
	struct http_options options = {
		.limits = http_default_limits,
		.handler = {on_head, on_body, on_end, on_abort, world},
	};
	options.limits.max_body_bytes = 1 << 20;
	return options;
}

SHARED void world_init(struct world *world)
{
	const struct clock_source source = {mono_ms, clock_real_wall_ms, no_random, NULL};
	*world = (struct world){.answer = STR("ok"), .body = BUF_INIT(64 << 20)};
	world->clock = clock_new(&source);
	world->loop = loop_new(world->clock);
}

SHARED void world_start(struct world *world, const struct http_options *options)
{
	struct err err = {0};
	if (http_server_new(&world->server, world->loop, "127.0.0.1:0", options, &err))
		fail_msg("%s", err.msg);
}

SHARED void client_free(struct world *world, struct client *client)
{
	struct client **at = &world->clients;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	SSL_free(client->ssl);
	if (client->fd >= 0)
		close(client->fd);
	buf_release(&client->out);
	buf_release(&client->got);
	free(client);
}

SHARED void world_release(struct world *world)
{
	while (world->clients)
		client_free(world, world->clients);
	http_server_free(world->server);
	timer_stop(world->clock, &world->tick);
	loop_free(world->loop);
	clock_free(world->clock);
	buf_release(&world->body);
}

SHARED struct client *client_new(struct world *world)
{
	struct client *client = mem_new(1, sizeof(*client));
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *address = http_server_address(world->server);
	to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client->fd >= 0);
	assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	client->out = (struct buf)BUF_INIT(64 << 20);
	client->got = (struct buf)BUF_INIT(64 << 20);
	client->reads = true;
	client->next = world->clients;
	world->clients = client;
	return client;
}

SHARED void client_send(struct client *client, struct str bytes)
{
	buf_put_str(&client->out, bytes);
}

/* Negative with errno, as send() and recv(). */
SHARED ssize_t client_io(struct client *client, bool is_write, char *p, size_t n)
{
	if (!client->ssl)
		return is_write ? send(client->fd, p, n, MSG_NOSIGNAL) : recv(client->fd, p, n, 0);
	int result =
		is_write ? SSL_write(client->ssl, p, (int)n) : SSL_read(client->ssl, p, (int)n);
	if (result > 0)
		return result;
	int why = SSL_get_error(client->ssl, result);
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return -1;
}

SHARED void client_pump(struct client *client)
{
	while (client->sent < client->out.len) {
		ssize_t n = client_io(client, true, client->out.data + client->sent,
				      client->out.len - client->sent);
		if (n <= 0)
			break;
		client->sent += (size_t)n;
	}
	if (client->finishes && !client->is_finished && client->sent == client->out.len) {
		shutdown(client->fd, SHUT_WR);
		client->is_finished = true;
	}
	char bytes[16384];
	while (client->reads && !client->is_closed) {
		ssize_t n = client_io(client, false, bytes, sizeof(bytes));
		if (n > 0) {
			buf_put(&client->got, bytes, (size_t)n);
		} else if (n == 0 || errno != EAGAIN) {
			client->is_closed = true;
			client->is_reset = n != 0;
		} else {
			break;
		}
	}
}

SHARED void on_tick(void *arg)
{
	struct world *world = arg;
	for (struct client *i = world->clients; i; i = i->next)
		client_pump(i);
	if (world->until(world, world->until_arg) ||
	    clock_mono_ms(world->clock) >= world->give_up_ms)
		loop_stop(world->loop);
	else
		timer_start(world->clock, &world->tick, 1, on_tick, world);
}

/* True when it came to that in time. */
SHARED bool run_until(struct world *world, bool (*until)(struct world *, void *), void *arg,
		      int64_t ms)
{
	world->until = until;
	world->until_arg = arg;
	world->give_up_ms = clock_mono_ms(world->clock) + ms;
	timer_start(world->clock, &world->tick, 0, on_tick, world);
	loop_run(world->loop);
	return until(world, arg);
}

SHARED bool never(struct world *world, void *arg)
{
	(void)world;
	(void)arg;
	return false;
}

SHARED bool has_ends(struct world *world, void *arg)
{
	return world->n_ends == *(size_t *)arg;
}

/* N whole requests have come, the last of which the test has to answer. */
SHARED void expect_held(struct world *world, size_t n)
{
	if (!run_until(world, has_ends, &n, 3000))
		fail_msg("expected %zu whole requests, got %zu", n, world->n_ends);
	assert_non_null(world->held);
}

SHARED void run_for(struct world *world, int64_t ms)
{
	run_until(world, never, NULL, ms);
}

SHARED bool is_closed(struct world *world, void *arg)
{
	(void)world;
	return ((struct client *)arg)->is_closed;
}

/*
 * "200 100 400": the statuses of the answers in GOT, "?" where it is not whole answers. Those that
 * end the connection have "!" behind them.
 */
SHARED void read_statuses(struct buf *out, struct str got)
{
	buf_clear(out);
	buf_put_str(out, STR(""));
	while (got.n > 0) {
		char *text = str_dup(got);
		char *end = strstr(text, "\r\n\r\n");
		if (!end || got.n < 13 || strncmp(text, "HTTP/1.1 ", 9) != 0) {
			buf_put_str(out, STR("?"));
			free(text);
			return;
		}
		end[2] = '\0';
		size_t used = (size_t)(end - text) + 4;
		const char *length = strstr(text, "\r\nContent-Length: ");
		if (length)
			used += strtoul(length + 18, NULL, 10);
		buf_printf(out, "%s%.3s%s", out->len ? " " : "", text + 9,
			   strstr(text, "\r\nConnection: close") ? "!" : "");
		free(text);
		got = used > got.n ? (struct str){0} : str_range(got.p + used, got.n - used);
	}
}

struct wanted_answers {
	struct client *client;
	const char *statuses;
};

SHARED bool has_answers(struct world *world, void *arg)
{
	(void)world;
	struct wanted_answers *wanted = arg;
	CLEANUP(buf_release) struct buf statuses = BUF_INIT(4096);
	read_statuses(&statuses, buf_str(&wanted->client->got));
	return strcmp(statuses.data, wanted->statuses) == 0;
}

SHARED void expect_answers(struct world *world, struct client *client, const char *statuses)
{
	struct wanted_answers wanted = {client, statuses};
	if (run_until(world, has_answers, &wanted, 3000))
		return;
	CLEANUP(buf_release) struct buf got = BUF_INIT(4096);
	read_statuses(&got, buf_str(&client->got));
	fail_msg("expected answers \"%s\", got \"%s\"", statuses, got.data);
}

/* The client is gone without a goodbye. */
SHARED void client_reset(struct world *world, struct client *client)
{
	struct linger now = {.l_onoff = 1};
	assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	client_free(world, client);
}

SHARED bool has_none_open(struct world *world, void *arg)
{
	(void)arg;
	return http_server_connections(world->server) == 0;
}

SHARED void expect_closed(struct world *world, struct client *client, int64_t within_ms)
{
	if (!run_until(world, is_closed, client, within_ms))
		fail_msg("not closed within %d ms", (int)within_ms);
}

#define POST_HEAD "POST /hooks/a HTTP/1.1\r\nHost: h\r\n"
