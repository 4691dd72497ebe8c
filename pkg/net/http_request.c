/* One exchange on a connection, as the handler sees it: header fields, body, and the response. */
#include "net/http_conn.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { REPLY_KEPT_BYTES = 64 << 10 };

static struct http_incoming *incoming_of(struct http_request *request)
{
	return (struct http_incoming *)request;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool has_body(const struct http_incoming *request)
{
	return request->head.is_chunked || request->head.content_length > 0;
}

static void free_request(struct http_conn *conn)
{
	struct http_incoming *request = TAKE(conn->request);
	http_head_release(&request->head);
	free(request);
}

void http_request_abort(struct http_conn *conn)
{
	struct http_incoming *request = conn->request;
	if (!request)
		return;
	struct http_handler *handler = &conn->server->handler;
	if (request->is_handed)
		handler->on_abort(handler->arg, &request->request);
	assert(conn->request == request);
	free_request(conn);
}

static struct str current_date(struct http_server *server)
{
	int64_t now_s = clock_wall_ms(server->clock) / 1000;
	if (now_s != server->date_s) {
		server->date_s = now_s;
		http_format_date(server->date, now_s);
	}
	return str_of(server->date);
}

/*
 * Date belongs in every answer (RFC 9110, 6.6.1) but one: refusals of a proof are the same bytes,
 * whatever the cause and whenever they are sent.
 */
static void format_reply(struct http_server *server, struct http_reply *reply)
{
	if (reply->status != 401)
		reply->date = current_date(server);
	if (server->reply.cap > REPLY_KEPT_BYTES)
		buf_release(&server->reply);
	buf_clear(&server->reply);
	http_format_reply(&server->reply, reply);
}

void http_format_error(struct http_server *server, int status, const char *problem,
		       bool leaves_body_out)
{
	CLEANUP(buf_release) struct buf body = BUF_INIT(4096);
	const char *type = server->error_body(&body, status, problem);
	struct http_header headers[3] = {{STR("Content-Type"), str_of(type)}};
	size_t n = 1;

	if (server->error_header)
		headers[n++] = (struct http_header){str_of(server->error_header), str_of(problem)};
	if (status == 503)
		headers[n++] = (struct http_header){STR("Retry-After"), STR("5")};
	struct http_reply reply = {
		.status = status,
		.headers = headers,
		.n_headers = n,
		.body = buf_str(&body),
		.leaves_body_out = leaves_body_out,
		.ends_connection = true,
	};
	format_reply(server, &reply);
}

static bool is_head_method(const struct http_incoming *request)
{
	return request->head.has_request_line &&
	       str_eq(http_head_method(&request->head), STR("HEAD"));
}

void http_request_refuse(struct http_conn *conn, int status, const char *problem)
{
	bool leaves_body_out = conn->request && is_head_method(conn->request);
	http_request_abort(conn);
	http_format_error(conn->server, status, problem, leaves_body_out);
	conn->has_answered = true;
	conn->needs_linger = true;
	http_conn_send_reply(conn, HTTP_LINGER);
}

/* An answer this short fits into an empty socket buffer: a peer that does not take it is gone. */
static void send_continue(struct http_conn *conn)
{
	const struct str bytes = STR("HTTP/1.1 100 Continue\r\n\r\n");
	conn->request->owes_continue = false;
	if (http_stream_write(&conn->stream, bytes.p, bytes.n) != (ssize_t)bytes.n)
		http_conn_fail(conn);
}

void http_request_go_on(struct http_conn *conn)
{
	struct http_incoming *request = conn->request;
	if (conn->state != HTTP_BODY || request->is_paused)
		return;
	if (request->owes_continue)
		send_continue(conn);
	if (!request->is_whole)
		return;
	http_conn_enter(conn, HTTP_ANSWER);
	conn->server->handler.on_end(conn->server->handler.arg, &request->request);
}

static bool refuse_expectation(struct http_request *r)
{
	struct http_incoming *request = incoming_of(r);
	if (!request->head.expects_other)
		return false;
	http_request_refuse(request->conn, 417, "an expectation other than 100-continue");
	return true;
}

static bool refuse_length(struct http_request *r)
{
	struct http_incoming *request = incoming_of(r);
	if (request->head.content_length <= request->conn->server->limits.max_body_bytes)
		return false;
	http_request_refuse(request->conn, 413, "body too large");
	return true;
}

/* Bytes of the body that are still to come; UINT64_MAX when that is not known. */
static uint64_t unread_bytes(const struct http_incoming *request)
{
	if (request->is_whole)
		return 0;
	return request->head.is_chunked || request->owes_continue ? UINT64_MAX : request->left;
}

static void respond(struct http_request *r, int status, const struct http_header *headers,
		    size_t n_headers, struct str body)
{
	struct http_incoming *request = incoming_of(r);
	struct http_conn *conn = request->conn;
	assert(conn->request == request && request->is_handed);
	uint64_t unread = unread_bytes(request);
	bool peer_ends = request->head.is_http10 || request->head.wants_close;
	bool ends = peer_ends || conn->server->is_draining || unread > HTTP_DROP_MAX_BYTES;
	struct http_reply reply = {
		.status = status,
		.headers = headers,
		.n_headers = n_headers,
		.body = body,
		.leaves_body_out = is_head_method(request),
		.ends_connection = ends,
	};
	format_reply(conn->server, &reply);
	free_request(conn);
	conn->has_answered = true;
	conn->drop_bytes = unread;
	conn->needs_linger = !peer_ends || unread > 0 || conn->input.len > 0;
	http_conn_send_reply(conn, ends ? HTTP_LINGER : unread > 0 ? HTTP_DROP : HTTP_HEAD);
	if (!conn->is_busy && (conn->input.len > 0 || http_stream_has_pending(&conn->stream)))
		http_conn_kick(conn);
	http_conn_settle(conn);
}

static void pause_body(struct http_request *r)
{
	struct http_incoming *request = incoming_of(r);
	if (request->is_paused)
		return;
	request->is_paused = true;
	request->paused_ms = clock_mono_ms(request->conn->server->clock);
	http_conn_settle(request->conn);
}

static void resume_body(struct http_request *r)
{
	struct http_incoming *request = incoming_of(r);
	struct http_conn *conn = request->conn;
	if (!request->is_paused)
		return;
	request->is_paused = false;
	conn->since_ms += clock_mono_ms(conn->server->clock) - request->paused_ms;
	http_conn_kick(conn);
	http_conn_settle(conn);
}

static struct str find_header(const struct http_request *request, const char *name, size_t *n)
{
	return http_head_find(&((const struct http_incoming *)request)->head, name, n);
}

static const struct http_request_ops ops = {find_header,        pause_body,    resume_body,
					    refuse_expectation, refuse_length, respond};

/* The handler may answer first; if it does not, an Expect or a length that is not accepted is
 * refused here. */
static void begin(struct http_conn *conn)
{
	struct http_server *server = conn->server;
	struct http_incoming *request = conn->request;
	const struct http_head *head = &request->head;
	request->request = (struct http_request){
		.ops = &ops,
		.method = http_head_method(head),
		.path = http_head_path(head),
		.query = http_head_query(head),
		.content_length =
			head->is_chunked ? -1 : (int64_t)least(head->content_length, INT64_MAX),
		.connection_bytes = conn->stream.ssl ? HTTP_TLS_BYTES : HTTP_PLAIN_BYTES,
		.is_encoded = head->is_encoded,
	};
	request->left = head->content_length;
	request->chunks.limit = server->limits.max_body_bytes;
	request->is_whole = !has_body(request);
	request->owes_continue = head->expects_continue && has_body(request);
	request->is_handed = true;
	http_conn_enter(conn, HTTP_BODY);
	server->handler.on_head(server->handler.arg, &request->request);
	if (conn->request == request && !refuse_expectation(&request->request) &&
	    !refuse_length(&request->request))
		http_request_go_on(conn);
}

static size_t read_head(struct http_conn *conn, const char *p, size_t n)
{
	if (!conn->request) {
		conn->request = mem_new(1, sizeof(*conn->request));
		conn->request->conn = conn;
		if (!conn->is_new)
			http_conn_enter(conn, HTTP_HEAD);
	}
	struct http_head *head = &conn->request->head;
	size_t used;
	int result = http_head_read(head, &conn->server->head_limits, p, n, &used);
	if (result == HTTP_DONE)
		begin(conn);
	else if (result != HTTP_MORE)
		http_request_refuse(conn, result, head->problem);
	return used;
}

static size_t read_body(struct http_conn *conn, char *p, size_t n)
{
	struct http_incoming *request = conn->request;
	size_t used, n_body;
	if (request->head.is_chunked) {
		int result = http_chunks_read(&request->chunks, p, n, &used, &n_body);
		if (result != HTTP_MORE && result != HTTP_DONE) {
			http_request_refuse(conn, result, request->chunks.problem);
			return used;
		}
		request->is_whole = result == HTTP_DONE;
	} else {
		n_body = used = (size_t)least(n, request->left);
		request->left -= n_body;
		request->is_whole = request->left == 0;
	}
	request->read += n_body;
	if (n_body > 0) {
		struct http_handler *handler = &conn->server->handler;
		handler->on_body(handler->arg, &request->request, str_range(p, n_body));
	}
	if (conn->request == request)
		http_request_go_on(conn);
	return used;
}

static size_t drop(struct http_conn *conn, size_t n)
{
	size_t used = (size_t)least(n, conn->drop_bytes);
	conn->drop_bytes -= used;
	if (conn->state == HTTP_DROP && conn->drop_bytes == 0)
		http_conn_enter(conn, HTTP_HEAD);
	return used;
}

size_t http_request_room(const struct http_conn *conn)
{
	const struct http_incoming *request = conn->request;
	if (conn->state == HTTP_BODY && !request->head.is_chunked)
		return (size_t)least(request->left, HTTP_SCRATCH_BYTES);
	if (conn->state == HTTP_DROP || conn->state == HTTP_LINGER)
		return (size_t)least(conn->drop_bytes, HTTP_SCRATCH_BYTES);
	return HTTP_KEEPABLE_BYTES;
}

size_t http_request_consume(struct http_conn *conn, char *p, size_t n)
{
	size_t used = 0;
	while (used < n && !conn->has_answered && http_conn_takes_input(conn)) {
		if (conn->state == HTTP_HEAD)
			used += read_head(conn, p + used, n - used);
		else if (conn->state == HTTP_BODY)
			used += read_body(conn, p + used, n - used);
		else
			used += drop(conn, n - used);
	}
	return used;
}

/* The limit behind a 408: a base time plus a second for each 64 KiB of the body's length,
 * and at least 1 KiB/s after the base time. */
int64_t http_request_body_ms(const struct http_incoming *request, const struct http_limits *limits)
{
	uint64_t size = request->head.is_chunked ? request->read : request->head.content_length;
	int64_t whole_ms = limits->body_base_ms + (int64_t)(size * 1000 >> 16);
	int64_t rate_ms = (int64_t)(request->read * 1000 >> 10);
	if (rate_ms < limits->body_base_ms)
		rate_ms = limits->body_base_ms;
	return whole_ms < rate_ms ? whole_ms : rate_ms;
}
