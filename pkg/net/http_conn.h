/*
 * What the files of the HTTP server share: the server, its connections, and the one request that a
 * connection can have. http_conn.c moves bytes and watches the time, http_request.c is the exchange
 * itself, http_server.c listens.
 */
#pragma once

#include "base/buf.h"
#include "net/http.h"
#include "net/http_parse.h"
#include "net/http_reply.h"
#include "net/http_stream.h"
#include "net/http_tls.h"

#include <netinet/in.h>

enum {
	HTTP_SCRATCH_BYTES = 64 << 10,
	/* Bytes read at once where some of them may have to be kept: a head, chunks. */
	HTTP_KEEPABLE_BYTES = 16 << 10,
	/* Kept in all connections together (heads, and input that waits its turn); above it those
	   that hold much are ended. */
	HTTP_HELD_MAX_BYTES = 16 << 20,
	HTTP_HELD_SMALL_BYTES = 4 << 10,
	/* A body that nobody wants is read to its end up to this size; above it a new connection is
	   cheaper. */
	HTTP_DROP_MAX_BYTES = 64 << 10,
	HTTP_LINGER_MAX_BYTES = 256 << 10,
	HTTP_LINGER_MS = 1000,
	HTTP_DRAIN_IDLE_MS = 500,
	/* Of a connection that was just made: its first byte may have a long way. */
	HTTP_DRAIN_NEW_MS = 2000,
	HTTP_PEER_CHECK_MS = 1000,
	/* Memory of a connection while a request is read; with TLS measured, including an
	 * incomplete record. */
	HTTP_PLAIN_BYTES = 4 << 10,
	HTTP_TLS_BYTES = 48 << 10,
	/* Unsent bytes of answers above which no further request of the peer is read. */
	HTTP_UNSENT_BYTES = 16 << 10,
};

#define HTTP_TOO_MANY "too many connections"

struct http_server {
	struct loop *loop;
	struct clock *clock;
	struct http_limits limits;
	struct http_head_limits head_limits;
	struct http_handler handler;
	http_error_body_fn error_body;
	const char *error_header;
	struct http_tls *tls; /* NULL: plain */
	char *address;
	int listener; /* -1 while draining */
	struct loop_watch *listen_watch;
	struct timer accept_again;
	struct http_conn *conns;
	size_t n_conns;      /* without N_REFUSED */
	size_t n_refused;    /* over the limit: answered 503, then closed */
	size_t n_handshakes; /* of TLS, under way */
	size_t held_bytes;
	size_t peak_conns; /* since memory was last given back */
	struct timer trim;
	bool is_draining;
	char *scratch;    /* HTTP_SCRATCH_BYTES: every read goes here first */
	struct buf reply; /* every answer is formatted here */
	int64_t date_s;
	char date[HTTP_DATE_BYTES];
};

enum http_state {
	HTTP_HANDSHAKE,
	HTTP_HEAD, /* between requests, or within a head */
	HTTP_BODY,
	HTTP_ANSWER, /* the request is complete, its answer is the handler's to give */
	HTTP_DROP,   /* answered; the rest of the body is read and dropped */
	HTTP_LINGER, /* answered for the last time; what still comes is read so that no RST
			overtakes the answer */
};

/* STATE is what follows when OUTPUT is written; nothing is read before. */
struct http_conn {
	struct http_server *server;
	struct http_conn *prev;
	struct http_conn *next;
	struct http_stream stream;
	struct loop_watch *watch;
	struct timer timer;
	struct http_incoming *request; /* from its first byte to its answer */
	struct buf input;              /* read, but to be handled later */
	size_t input_used;
	struct buf output; /* what the socket has not taken yet */
	size_t output_sent;
	size_t unchecked_bytes; /* written since the unsent bytes were last asked for */
	size_t held_bytes;      /* this connection's share of the server's */
	uint64_t drop_bytes;    /* HTTP_DROP: to come; HTTP_LINGER: to be read at most */
	/* When the present state began; within a head its first byte; of a new connection until its
	 * first answer its acceptance. */
	int64_t since_ms;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} peer;
	uint8_t state; /* enum http_state */
	bool is_new;   /* nothing has been answered yet */
	bool is_refused;
	bool is_busy; /* its own code is on the stack: is_dead instead of freeing */
	bool is_dead;
	bool is_kicked;    /* TIMER is set to go on at once */
	bool is_parked;    /* the socket is readable, but must not be read yet */
	bool is_stuck;     /* more than HTTP_UNSENT_BYTES are not sent */
	bool has_answered; /* in this turn: one request a turn, so that no client keeps the loop */
	bool needs_linger;
};

struct http_incoming {
	struct http_request request; /* first: what the handler is given */
	struct http_conn *conn;
	struct http_head head;
	struct http_chunks chunks;
	uint64_t left; /* of a body with a length */
	uint64_t read; /* of any body */
	int64_t paused_ms;
	bool is_handed; /* on_head was called */
	bool is_paused;
	bool is_whole; /* the body is read to its end */
	bool owes_continue;
};

/* Takes STREAM. Nothing happens before it is settled. */
struct http_conn *http_conn_new(struct http_server *server, const struct http_stream *stream,
				const struct sockaddr_storage *peer);
/* Closes the connection at once, with on_abort. Must not be called from one of its own
 * callbacks. */
void http_conn_free(struct http_conn *conn);
/* Closes the connection as soon as none of its functions is on the stack. */
void http_conn_fail(struct http_conn *conn);
/* Schedules another turn of the connection, whether or not its socket is ready. Calls nothing
 * itself. */
void http_conn_kick(struct http_conn *conn);
/* Sends the server's REPLY buffer; STATE follows once it is written. */
void http_conn_send_reply(struct http_conn *conn, enum http_state state);
/* Ends a callback of the connection, or a call from outside: frees the connection, or watches
 * for what it waits for. */
void http_conn_settle(struct http_conn *conn);
void http_conn_enter(struct http_conn *conn, enum http_state state);
/* Without the port. OUT has INET6_ADDRSTRLEN bytes. */
void http_conn_format_peer(const struct http_conn *conn, char *out);
bool http_conn_takes_input(const struct http_conn *conn);

/* The number of bytes that may be read at once. */
size_t http_request_room(const struct http_conn *conn);
/* Handles as much of the N bytes at P (which may be changed) as it can. Returns how many were
 * used; begins at most one request. */
size_t http_request_consume(struct http_conn *conn, char *p, size_t n);
/* Continues to read a body after a pause. */
void http_request_go_on(struct http_conn *conn);
/* Answers with an error of this layer's own, and closes. */
void http_request_refuse(struct http_conn *conn, int status, const char *problem);
/* Formats such an error into the server's REPLY buffer. */
void http_format_error(struct http_server *server, int status, const char *problem,
		       bool leaves_body_out);
/* Aborts the request, if there is one. */
void http_request_abort(struct http_conn *conn);
/* Milliseconds after the body began at which it is too slow. */
int64_t http_request_body_ms(const struct http_incoming *request, const struct http_limits *limits);

/* A listening socket; *OUT_TEXT (owned) is where it listens. */
int http_listen(int *out_fd, char **out_text, const char *address, struct err *err);
