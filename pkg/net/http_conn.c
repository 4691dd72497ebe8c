/*
 * One connection: reads and writes bytes, enforces the time limits, and drives the request on it
 * through its states.
 */
#include "net/http_conn.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

enum { NEVER = -1, TRIM_MS = 1000, TRIM_CONNS = 64 };

static bool has_output(const struct http_conn *conn)
{
	return conn->output_sent < conn->output.len;
}

static bool is_paused(const struct http_conn *conn)
{
	return conn->request && conn->request->is_paused;
}

bool http_conn_takes_input(const struct http_conn *conn)
{
	if (conn->is_dead || has_output(conn) || conn->is_stuck || is_paused(conn))
		return false;
	if (conn->state == HTTP_LINGER)
		return conn->drop_bytes > 0;
	return conn->state == HTTP_HEAD || conn->state == HTTP_BODY || conn->state == HTTP_DROP;
}

void http_conn_enter(struct http_conn *conn, enum http_state state)
{
	conn->state = state;
	conn->since_ms = clock_mono_ms(conn->server->clock);
}

static void release_input(struct http_conn *conn)
{
	buf_release(&conn->input);
	conn->input_used = 0;
}

static void release_output(struct http_conn *conn)
{
	buf_release(&conn->output);
	conn->output_sent = 0;
}

static void on_trim(void *arg)
{
	(void)arg;
	mem_trim();
}

/* Gives memory back to the system soon after most connections have been closed. */
static void note_end(struct http_server *server)
{
	size_t n = server->n_conns + server->n_refused;

	if (server->peak_conns < TRIM_CONNS || n > server->peak_conns / 2)
		return;
	server->peak_conns = n;
	timer_start(server->clock, &server->trim, TRIM_MS, on_trim, server);
}

static void unlink_conn(struct http_conn *conn)
{
	if (conn->next)
		conn->next->prev = conn->prev;
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		conn->server->conns = conn->next;
	if (conn->is_refused)
		conn->server->n_refused--;
	else
		conn->server->n_conns--;
	if (conn->state == HTTP_HANDSHAKE)
		conn->server->n_handshakes--;
	note_end(conn->server);
}

void http_conn_free(struct http_conn *conn)
{
	assert(!conn->is_busy);
	conn->is_busy = true;
	http_request_abort(conn);
	timer_stop(conn->server->clock, &conn->timer);
	loop_watch_free(conn->watch);
	http_stream_release(&conn->stream);
	release_input(conn);
	release_output(conn);
	conn->server->held_bytes -= conn->held_bytes;
	unlink_conn(conn);
	free(conn);
}

void http_conn_fail(struct http_conn *conn)
{
	conn->is_dead = true;
}

/* A peer that sends requests and reads no answers must not fill the kernel's memory with them. */
static void check_unsent(struct http_conn *conn)
{
	conn->is_stuck = http_stream_unsent(&conn->stream) >= HTTP_UNSENT_BYTES;
	conn->unchecked_bytes = 0;
}

/* The answer is out. */
static void finish_output(struct http_conn *conn)
{
	release_output(conn);
	http_conn_enter(conn, (enum http_state)conn->state);
	if (conn->state != HTTP_LINGER) {
		if (conn->unchecked_bytes >= HTTP_UNSENT_BYTES)
			check_unsent(conn);
		return;
	}
	http_stream_finish(&conn->stream);
	conn->drop_bytes = HTTP_LINGER_MAX_BYTES;
	if (!conn->needs_linger)
		http_conn_fail(conn);
}

void http_conn_send_reply(struct http_conn *conn, enum http_state state)
{
	struct str bytes = buf_str(&conn->server->reply);
	assert(!has_output(conn) && !conn->server->reply.overflow);
	conn->is_new = false;
	conn->state = state;
	conn->unchecked_bytes += bytes.n;
	ssize_t n = http_stream_write(&conn->stream, bytes.p, bytes.n);
	if (n == (ssize_t)bytes.n) {
		finish_output(conn);
	} else if (n == HTTP_STREAM_FAILED) {
		http_conn_fail(conn);
	} else {
		size_t sent = n > 0 ? (size_t)n : 0;
		http_conn_enter(conn, state);
		conn->output.limit = bytes.n;
		buf_put(&conn->output, bytes.p + sent, bytes.n - sent);
	}
}

static void flush(struct http_conn *conn)
{
	ssize_t n = http_stream_write(&conn->stream, conn->output.data + conn->output_sent,
				      conn->output.len - conn->output_sent);
	if (n == HTTP_STREAM_FAILED) {
		http_conn_fail(conn);
		return;
	}
	conn->output_sent += n > 0 ? (size_t)n : 0;
	if (!has_output(conn))
		finish_output(conn);
}

void http_conn_format_peer(const struct http_conn *conn, char *out)
{
	const void *address = &conn->peer.in.sin_addr;
	int family = conn->peer.any.sa_family;
	if (family == AF_INET6) {
		address = &conn->peer.in6.sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&conn->peer.in6.sin6_addr)) {
			address = &conn->peer.in6.sin6_addr.s6_addr[12];
			family = AF_INET;
		}
	}
	out[0] = '\0';
	(void)inet_ntop(family, address, out, INET6_ADDRSTRLEN);
}

static void shake_hands(struct http_conn *conn)
{
	int result = http_stream_handshake(&conn->stream);
	if (result == 1) {
		conn->state = HTTP_HEAD;
		conn->server->n_handshakes--;
		if (conn->is_refused)
			http_request_refuse(conn, 503, HTTP_TOO_MANY);
	} else if (result == HTTP_STREAM_FAILED) {
		char peer[INET6_ADDRSTRLEN];
		http_conn_format_peer(conn, peer);
		http_tls_note_failure(conn->server->tls, str_of(peer));
		http_conn_fail(conn);
	}
}

/*
 * The peer has closed its side. An incomplete request can no longer be completed. A connection
 * whose request was answered, or waits for its answer, is not read from, so it does not come
 * here.
 */
static void end_input(struct http_conn *conn)
{
	if (conn->request)
		http_request_refuse(conn, 400, "the connection was closed within the request");
	else
		http_conn_fail(conn);
}

static void keep_input(struct http_conn *conn, const char *p, size_t n)
{
	if (n == 0 || conn->is_dead || conn->state == HTTP_LINGER)
		return;
	conn->input.limit = HTTP_SCRATCH_BYTES;
	buf_put(&conn->input, p, n);
	if (http_conn_takes_input(conn))
		http_conn_kick(conn);
}

static void read_socket(struct http_conn *conn)
{
	char *scratch = conn->server->scratch;
	ssize_t n = http_stream_read(&conn->stream, scratch, http_request_room(conn));
	if (n > 0) {
		size_t used = http_request_consume(conn, scratch, (size_t)n);
		keep_input(conn, scratch + used, (size_t)n - used);
		if (http_stream_has_pending(&conn->stream) && http_conn_takes_input(conn))
			http_conn_kick(conn);
	} else if (n == HTTP_STREAM_END) {
		end_input(conn);
	} else if (n == HTTP_STREAM_FAILED) {
		http_conn_fail(conn);
	}
}

/* Handles input that was read while an earlier request was still being answered. */
static void read_kept(struct http_conn *conn)
{
	char *p = conn->input.data + conn->input_used;
	size_t n = conn->input.len - conn->input_used;
	conn->input_used += http_request_consume(conn, p, n);
	if (conn->input_used == conn->input.len)
		release_input(conn);
	bool has_more = conn->input.len > 0 || http_stream_has_pending(&conn->stream);
	if (has_more && http_conn_takes_input(conn))
		http_conn_kick(conn);
}

/* Readable while paused: either there is data to keep for later, or the peer has closed. */
static void park(struct http_conn *conn)
{
	if (http_stream_is_broken(&conn->stream))
		http_conn_fail(conn);
	else
		conn->is_parked = http_stream_is_readable(&conn->stream);
}

/* One turn: handles the readiness of the socket or the timer that fired. */
static void take_turn(struct http_conn *conn, bool is_readable)
{
	conn->has_answered = false;
	if (has_output(conn))
		flush(conn);
	else if (conn->is_stuck)
		check_unsent(conn);
	else if (conn->state == HTTP_HANDSHAKE)
		shake_hands(conn);
	if (conn->is_dead || conn->state == HTTP_HANDSHAKE)
		return;
	http_request_go_on(conn);
	if (!http_conn_takes_input(conn)) {
		if (is_readable)
			park(conn);
	} else if (conn->input.len > 0) {
		read_kept(conn);
	} else {
		read_socket(conn);
	}
}

static int wanted_events(const struct http_conn *conn)
{
	if (has_output(conn) || conn->is_stuck)
		return LOOP_WRITE;
	int write = conn->stream.wants_write ? LOOP_WRITE : 0;
	if (conn->state == HTTP_HANDSHAKE)
		return write ? write : LOOP_READ;
	if (http_conn_takes_input(conn))
		return LOOP_READ | write;
	return conn->is_parked || conn->state == HTTP_LINGER ? 0 : LOOP_READ;
}

/* The time at which the present state has lasted too long, or NEVER. */
static int64_t deadline_ms(const struct http_conn *conn)
{
	const struct http_server *server = conn->server;
	const struct http_limits *limits = &server->limits;
	if (has_output(conn) || conn->is_stuck)
		return conn->since_ms + limits->write_ms;
	switch ((enum http_state)conn->state) {
	case HTTP_HANDSHAKE:
		return conn->since_ms + limits->handshake_ms;
	case HTTP_HEAD:
		if (!conn->request && server->is_draining)
			return conn->since_ms +
			       (conn->is_new ? HTTP_DRAIN_NEW_MS : HTTP_DRAIN_IDLE_MS);
		/* Of a new connection since its acceptance, else since the first byte. */
		if (conn->request || conn->is_new)
			return conn->since_ms + limits->head_ms;
		return conn->since_ms + limits->idle_ms;
	case HTTP_BODY:
		if (!is_paused(conn))
			return conn->since_ms + http_request_body_ms(conn->request, limits);
		return NEVER;
	case HTTP_DROP:
		return conn->since_ms + limits->body_base_ms;
	case HTTP_LINGER:
		return conn->since_ms + HTTP_LINGER_MS;
	case HTTP_ANSWER:
	default:
		return NEVER;
	}
}

/* A head that trickles in leaves nothing unread that could reset the answer: its connection need
 * not linger. */
static void expire(struct http_conn *conn)
{
	bool is_head = conn->state == HTTP_HEAD;
	if (has_output(conn) || !conn->request) {
		if (is_head)
			http_stream_finish(&conn->stream);
		http_conn_fail(conn);
		return;
	}
	http_request_refuse(conn, 408, "the request took too long");
	if (is_head && !has_output(conn))
		http_conn_fail(conn);
}

/* Updates this connection's share of the server's buffered bytes. */
static void count_held(struct http_conn *conn)
{
	size_t head = conn->request ? conn->request->head.cap : 0;
	size_t held = head + conn->input.cap + conn->output.cap;
	conn->server->held_bytes += held - conn->held_bytes;
	conn->held_bytes = held;
}

/* Over the global buffer limit: close a connection that holds a large share. A complete request
 * is never given up. */
static void give_up(struct http_conn *conn)
{
	conn->is_busy = true;
	if (has_output(conn))
		http_conn_fail(conn);
	else if (conn->state == HTTP_HEAD || conn->state == HTTP_BODY)
		http_request_refuse(conn, 503, "too many requests at once");
	conn->is_busy = false;
	count_held(conn);
}

static void on_timer(void *arg);

/* A timer that fires too early costs one wake-up; setting it again for each request would cost
 * more. */
static void set_timer(struct http_conn *conn)
{
	if (conn->is_kicked)
		return;
	struct clock *clock = conn->server->clock;
	int64_t due_ms = deadline_ms(conn);
	if (due_ms == NEVER && conn->is_parked)
		due_ms = clock_mono_ms(clock) + HTTP_PEER_CHECK_MS;
	if (due_ms == NEVER || (timer_running(&conn->timer) && conn->timer.due_ms <= due_ms))
		return;
	int64_t delay_ms = due_ms - clock_mono_ms(clock);
	timer_start(clock, &conn->timer, delay_ms > 0 ? delay_ms : 0, on_timer, conn);
}

void http_conn_settle(struct http_conn *conn)
{
	if (conn->is_busy)
		return;
	count_held(conn);
	if (!conn->is_dead && conn->server->held_bytes > HTTP_HELD_MAX_BYTES &&
	    conn->held_bytes > HTTP_HELD_SMALL_BYTES)
		give_up(conn);
	if (conn->is_dead) {
		http_conn_free(conn);
		return;
	}
	if (http_conn_takes_input(conn))
		conn->is_parked = false;
	loop_watch_change(conn->watch, wanted_events(conn));
	set_timer(conn);
}

static void on_timer(void *arg)
{
	struct http_conn *conn = arg;
	int64_t due_ms = deadline_ms(conn);
	conn->is_busy = true;
	if (conn->is_kicked) {
		conn->is_kicked = false;
		take_turn(conn, false);
	} else if (due_ms == NEVER) {
		if (conn->is_parked && http_stream_is_broken(&conn->stream))
			http_conn_fail(conn);
	} else if (due_ms <= clock_mono_ms(conn->server->clock)) {
		expire(conn);
	}
	conn->is_busy = false;
	http_conn_settle(conn);
}

static void on_ready(void *arg, int what)
{
	struct http_conn *conn = arg;
	conn->is_busy = true;
	take_turn(conn, what & LOOP_READ);
	conn->is_busy = false;
	http_conn_settle(conn);
}

void http_conn_kick(struct http_conn *conn)
{
	conn->is_kicked = true;
	timer_start(conn->server->clock, &conn->timer, 0, on_timer, conn);
}

struct http_conn *http_conn_new(struct http_server *server, const struct http_stream *stream,
				const struct sockaddr_storage *peer)
{
	struct http_conn *conn = mem_new(1, sizeof(*conn));
	conn->server = server;
	conn->stream = *stream;
	memcpy(&conn->peer, peer, sizeof(conn->peer));
	conn->watch = loop_watch_fd(server->loop, stream->fd, 0, on_ready, conn);
	conn->next = server->conns;
	if (conn->next)
		conn->next->prev = conn;
	server->conns = conn;
	server->n_conns++;
	if (server->n_conns > server->peak_conns)
		server->peak_conns = server->n_conns;
	conn->is_new = true;
	http_conn_enter(conn, stream->ssl ? HTTP_HANDSHAKE : HTTP_HEAD);
	server->n_handshakes += stream->ssl != NULL;
	return conn;
}
