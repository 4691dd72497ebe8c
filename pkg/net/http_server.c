/*
 * The listening part of the HTTP server: accepts connections up to a limit, and ends them for a
 * drain.
 */
#define _GNU_SOURCE /* accept4 */
#include "base/mem.h"
#include "net/http_conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_A_ROUND = 64,
	ACCEPT_PAUSE_MS = 100,
	REFUSED_MAX = 32,
	REPLY_MAX_BYTES = 16 << 20,
	/* Descriptors kept free: for the journal, the API server, and connections that are
	 * answered 503. */
	RESERVED_FDS = 128,
};

const struct http_limits http_default_limits = {
	.max_head_bytes = 16 << 10,
	.max_fields = HTTP_FIELDS_MAX,
	.max_target_bytes = 8 << 10,
	.max_body_bytes = 25 << 20,
	.max_connections = 1000,
	.handshake_ms = 5000,
	.head_ms = 5000,
	.body_base_ms = 10000,
	.idle_ms = 30000,
	.write_ms = 10000,
};

static const char *plain_error_body(struct buf *body, int status, const char *message)
{
	buf_printf(body, "%d %s: %s\n", status, http_status_text(status), message);
	return "text/plain; charset=utf-8";
}

/* Answers and closes with as little work as possible, since this is done for each connection of
 * a flood. */
static void refuse_in_passing(struct http_server *server, int fd)
{
	if (!server->tls) {
		http_format_error(server, 503, HTTP_TOO_MANY, false);
		(void)send(fd, server->reply.data, server->reply.len, MSG_NOSIGNAL);
		(void)shutdown(fd, SHUT_WR);
		(void)recv(fd, server->scratch, HTTP_SCRATCH_BYTES, 0);
	}
	close(fd);
}

/* With TLS: makes the state for it. False when that failed. */
static bool open_stream(struct http_server *server, struct http_stream *stream)
{
	if (server->tls)
		stream->ssl = http_tls_accept(server->tls, stream->fd);
	return !server->tls || stream->ssl;
}

static void refuse_connection(struct http_server *server, int fd,
			      const struct sockaddr_storage *peer)
{
	struct http_stream stream = {.fd = fd};
	if (server->n_refused >= REFUSED_MAX || !open_stream(server, &stream)) {
		refuse_in_passing(server, fd);
		return;
	}
	struct http_conn *conn = http_conn_new(server, &stream, peer);
	conn->is_refused = true;
	server->n_conns--;
	server->n_refused++;
	/* With TLS it is told after the handshake. */
	if (!stream.ssl)
		http_request_refuse(conn, 503, HTTP_TOO_MANY);
	http_conn_settle(conn);
}

/* Leaves half of the connections to clients that complete their handshake, however many begin
 * one and never complete it. New connections are at the head of the list. */
static void drop_oldest_handshake(struct http_server *server)
{
	struct http_conn *oldest = NULL;
	if (server->n_handshakes <= server->limits.max_connections / 2)
		return;
	for (struct http_conn *conn = server->conns; conn; conn = conn->next)
		if (conn->state == HTTP_HANDSHAKE)
			oldest = conn;
	http_conn_free(oldest);
}

static void take_connection(struct http_server *server, int fd, const struct sockaddr_storage *peer)
{
	int yes = 1, unsent = HTTP_UNSENT_BYTES;
	/* An answer must not wait for the acknowledgement of the one before (it took 45 ms over
	 * TLS). */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (server->n_conns >= server->limits.max_connections) {
		refuse_connection(server, fd, peer);
		return;
	}
	struct http_stream stream = {.fd = fd};
	if (!open_stream(server, &stream)) {
		close(fd);
		return;
	}
	if (stream.ssl)
		drop_oldest_handshake(server);
	http_conn_settle(http_conn_new(server, &stream, peer));
}

static void on_accept_again(void *arg)
{
	struct http_server *server = arg;
	loop_watch_change(server->listen_watch, LOOP_READ);
}

/* When file descriptors or memory have run out, the listener stays readable: without a pause the
 * loop would spin. */
static void pause_accepting(struct http_server *server)
{
	loop_watch_change(server->listen_watch, 0);
	timer_start(server->clock, &server->accept_again, ACCEPT_PAUSE_MS, on_accept_again, server);
}

/* False when no more can be accepted now. */
static bool accept_one(struct http_server *server)
{
	struct sockaddr_storage peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(server->listener, (struct sockaddr *)&peer, &size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		take_connection(server, fd, &peer);
		return true;
	}
	/* Any other error concerns one connection only (accept(2)). */
	if (errno == EAGAIN)
		return false;
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return true;
	pause_accepting(server);
	return false;
}

static void on_connections(void *arg, int what)
{
	(void)what;
	struct http_server *server = arg;
	for (int i = 0; i < ACCEPTS_A_ROUND && accept_one(server); i++)
		;
}

static size_t connection_limit(size_t wanted)
{
	struct rlimit fds = {0};
	if (getrlimit(RLIMIT_NOFILE, &fds))
		return wanted;
	size_t reserved = RESERVED_FDS;
	size_t most = fds.rlim_cur > 2 * reserved ? fds.rlim_cur - reserved : fds.rlim_cur / 2;
	return wanted < most ? wanted : most;
}

int http_server_new(struct http_server **out, struct loop *loop, const char *address,
		    const struct http_options *options, struct err *err)
{
	const struct http_limits *limits = &options->limits;
	assert(limits->max_head_bytes <= HTTP_HEAD_MAX && limits->max_fields <= HTTP_FIELDS_MAX);
	struct http_tls *tls = NULL;
	if (options->tls_cert_file && http_tls_new(&tls, loop_clock(loop), options->tls_cert_file,
						   options->tls_key_file, err))
		return err->code;
	int listener;
	CLEANUP(mem_free) char *text = NULL;
	int result = http_listen(&listener, &text, address, err);
	if (result) {
		http_tls_free(tls);
		return result;
	}

	struct http_server *server = mem_new(1, sizeof(*server));
	server->loop = loop;
	server->clock = loop_clock(loop);
	server->limits = *limits;
	server->limits.max_connections = connection_limit(limits->max_connections);
	server->head_limits = (struct http_head_limits){
		.head_bytes = limits->max_head_bytes,
		.target_bytes = limits->max_target_bytes,
		.fields = limits->max_fields,
	};
	server->handler = options->handler;
	server->error_body = options->error_body ? options->error_body : plain_error_body;
	server->error_header = options->error_header;
	server->tls = tls;
	server->address = TAKE(text);
	server->listener = listener;
	server->scratch = mem_new(1, HTTP_SCRATCH_BYTES);
	server->reply = (struct buf)BUF_INIT(REPLY_MAX_BYTES);
	server->date_s = -1;
	server->listen_watch = loop_watch_fd(loop, listener, LOOP_READ, on_connections, server);
	*out = server;
	return 0;
}

static void stop_listening(struct http_server *server)
{
	if (server->listener < 0)
		return;
	timer_stop(server->clock, &server->accept_again);
	loop_watch_free(TAKE(server->listen_watch));
	close(server->listener);
	server->listener = -1;
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	stop_listening(server);
	while (server->conns)
		http_conn_free(server->conns);
	timer_stop(server->clock, &server->trim);
	http_tls_free(server->tls);
	buf_release(&server->reply);
	free(server->scratch);
	free(server->address);
	free(server);
}

/* Connections in the accept queue would be reset when the listener closes: accept and serve them
 * first. */
void http_server_drain(struct http_server *server)
{
	if (server->is_draining)
		return;
	server->is_draining = true;
	for (int i = 0; i < SOMAXCONN && accept_one(server); i++)
		;
	stop_listening(server);
	struct http_conn *next;
	for (struct http_conn *conn = server->conns; conn; conn = next) {
		next = conn->next;
		http_conn_settle(conn);
	}
}

size_t http_server_connections(const struct http_server *server)
{
	return server->n_conns + server->n_refused;
}

const char *http_server_address(const struct http_server *server)
{
	return server->address;
}

int64_t http_server_certificate_not_after_ms(const struct http_server *server)
{
	return server->tls ? http_tls_not_after_ms(server->tls) : 0;
}
