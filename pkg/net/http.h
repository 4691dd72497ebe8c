/*
 * An HTTP/1.1 server that refuses what is ambiguous (RFC 9112, strict): the receiver's and the
 * admin port's. It frames requests, enforces sizes and times, and answers what is wrong with a
 * request as such; what a path means is its handler's business (http_request.h).
 *
 * Order of refusals: malformed heads (400, 505) and too large ones (414, 431) never reach the
 * handler. An Expect other than 100-continue (417) and a length over the limit (413) are refused
 * after on_head, where the handler did not answer in it, or within it, when the handler asks for it
 * before it goes on. "100 Continue" is sent when on_head has neither answered nor paused, else on
 * http_resume().
 *
 * HTTP/1.0 is served and closed. HEAD is answered like GET, without the body. A target's bytes over
 * 0x7f reach the handler as they are. One connection's requests are handled one after the other.
 */
#pragma once

#include "base/buf.h"
#include "net/http_request.h"
#include "net/loop.h"

struct http_server;

/* Formats the body of an error that this layer finds itself (400, 408, 413, 431, 503, ...):
 * fills BODY, returns its media type. */
typedef const char *(*http_error_body_fn)(struct buf *body, int status, const char *message);

struct http_limits {
	size_t max_head_bytes;   /* 16 KiB, 32 KiB at most: else 431 */
	size_t max_fields;       /* 100, and no more: else 431 */
	size_t max_target_bytes; /* 8 KiB: else 414 */
	uint64_t max_body_bytes; /* else 413 */
	/*
	 * A connection over this limit is answered 503 (with TLS after its handshake) and
	 * closed; when 32 are being answered so, further ones are closed without an answer.
	 * Lowered to what RLIMIT_NOFILE allows when 128 descriptors are kept free for others.
	 */
	size_t max_connections;
	/* 5 s; of more unfinished handshakes than half of max_connections the oldest is closed. */
	int64_t handshake_ms;
	int64_t head_ms; /* 5 s from its first byte; of a new connection from its acceptance */
	/*
	 * 10 s, and 1 s more per 64 KiB of the body's length (when it is chunked: of what was read
	 * of it); after the first 10 s at least 1 KiB/s on average: else 408.
	 */
	int64_t body_base_ms;
	int64_t idle_ms;  /* 30 s between requests */
	int64_t write_ms; /* 10 s for a client to take its answer */
};

extern const struct http_limits http_default_limits;

struct http_options {
	struct http_limits limits;
	struct http_handler handler;
	/* NULL: one line of text. Retry-After is added to a 503. */
	http_error_body_fn error_body;
	/* Name of a header that carries the message of such an error; NULL: none. */
	const char *error_header;
	/* PEM files; both NULL: plain HTTP. Read again within 10 s of a change (a bad new pair
	 * keeps the old one, and is logged). */
	const char *tls_cert_file;
	const char *tls_key_file;
};

/* "ADDR:PORT", "[V6]:PORT" or ":PORT" (all addresses, both families). Port 0 takes a free one. The
 * loop is borrowed. */
int http_server_new(struct http_server **out, struct loop *loop, const char *address,
		    const struct http_options *options, struct err *err);
/* Closes all connections at once and calls on_abort for the requests in flight. Must not be
 * called from a handler function. */
void http_server_free(struct http_server *server);
/*
 * Accepts no more connections; closes idle ones (after half a second, so that a request that is
 * being sent is answered and not reset); the remaining answers carry Connection: close. Done
 * when http_server_connections() is 0.
 */
void http_server_drain(struct http_server *server);
/* Open connections, including those that linger after their last answer. */
size_t http_server_connections(const struct http_server *server);
/* "127.0.0.1:8080": where it listens. */
const char *http_server_address(const struct http_server *server);
/* notAfter of the certificate in use, wall-clock ms, or 0 without TLS. */
int64_t http_server_certificate_not_after_ms(const struct http_server *server);

const char *http_status_text(int status);
