/*
 * An HTTP/1.1 server that refuses what is ambiguous (RFC 9112, strict): the receiver's and the
 * admin port's. It frames requests, enforces sizes and times, and answers what is wrong with a
 * request as such; what a path means is its handler's business.
 *
 * A request lives from on_head until its answer has been given with http_respond(), or until
 * on_abort. Each handler function may call http_respond(), also on_head: what is left of the body
 * is then read and dropped, or the connection closed, whichever is cheaper. Between its functions a
 * handler may take as long as it likes to answer; a client that is reset meanwhile is an on_abort,
 * one that has merely finished sending still gets its answer.
 *
 * Order of what is told: malformed heads (400, 505) and too large ones (414, 431) never reach the
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
#include "net/loop.h"

struct http_server;
struct http_request;

struct http_header {
	struct str name;
	struct str value;
};

/* How the body of an error that this layer finds itself (400, 408, 413, 431, 503, ...) looks; fills
 * BODY, returns its media type. */
typedef const char *(*http_error_body_fn)(struct buf *body, int status, const char *message);

struct http_handler {
	/* Head complete and well-formed. The body follows unless http_respond() or http_pause() is
	 * called. */
	void (*on_head)(void *arg, struct http_request *request);
	/* The next part of the body. BYTES is lent until the function returns. */
	void (*on_body)(void *arg, struct http_request *request, struct str bytes);
	/* The body is complete (also for a request without one). */
	void (*on_end)(void *arg, struct http_request *request);
	/* The request ended without an answer of the handler's: client gone, too slow, malformed
	 * body, over a limit, or the server is freed. It is freed after this; http_respond() must
	 * not be called. */
	void (*on_abort)(void *arg, struct http_request *request);
	void *arg;
};

struct http_limits {
	size_t max_head_bytes;   /* 16 KiB, 32 KiB at most: else 431 */
	size_t max_fields;       /* 100, and no more: else 431 */
	size_t max_target_bytes; /* 8 KiB: else 414 */
	uint64_t max_body_bytes; /* else 413 */
	/*
	 * What is over is told 503 and closed (with TLS just closed). Cut to what RLIMIT_NOFILE
	 * leaves when 128 descriptors are kept free for others.
	 */
	size_t max_connections;
	int64_t handshake_ms; /* 5 s */
	int64_t head_ms; /* 5 s from its first byte; also from the connect or the handshake to the
			    first byte: idle_ms */
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
	/* PEM files; both NULL: plain HTTP. Read again within 10 s of a change (a bad new pair
	 * keeps the old one, and is logged). */
	const char *tls_cert_file;
	const char *tls_key_file;
};

/* "ADDR:PORT", "[V6]:PORT" or ":PORT" (all addresses, both families). Port 0 takes a free one. The
 * loop is borrowed. */
int http_server_new(struct http_server **out, struct loop *loop, const char *address,
		    const struct http_options *options, struct err *err);
/* Closes everything at once, with on_abort for the requests in flight. Not from within a handler
 * function. */
void http_server_free(struct http_server *server);
/*
 * No new connections any more; idle ones are closed (after half a second, so that a request under
 * way is answered and not reset), and the answers to come carry Connection: close. Done when
 * http_server_connections() is 0.
 */
void http_server_drain(struct http_server *server);
/* Connections open, those that only wait for their goodbye to be read among them. */
size_t http_server_connections(const struct http_server *server);
/* "127.0.0.1:8080": where it listens. */
const char *http_server_address(const struct http_server *server);
/* notAfter of the certificate in use, wall-clock ms, or 0 without TLS. */
int64_t http_server_certificate_not_after_ms(const struct http_server *server);

/* Lent until the request ends. */
struct str http_method(const struct http_request *request);
/* The target's path as it was sent (also of an absolute-form target), without the query: nothing is
 * decoded or normalised. */
struct str http_path(const struct http_request *request);
struct str http_query(const struct http_request *request);
/* The value of the first field of that NAME, trimmed, and how many there are (N may be NULL). */
struct str http_header(const struct http_request *request, const char *name, size_t *n);
/* -1 when the body is chunked, INT64_MAX for all that is more. */
int64_t http_content_length(const struct http_request *request);
/* The address of the peer without its port, for logs. */
struct str http_peer(const struct http_request *request);
void http_set_user(struct http_request *request, void *user);
void *http_user(const struct http_request *request);

/*
 * Stops and goes on with reading the body; the body's time does not run meanwhile. May be called
 * from any handler function, and from outside; http_resume() calls none of them before it returns.
 */
void http_pause(struct http_request *request);
void http_resume(struct http_request *request);

/* Within on_head: true when the request was refused, and is gone (after on_abort). */
bool http_refuse_expectation(struct http_request *request);
bool http_refuse_length(struct http_request *request);

/*
 * The answer: exactly once for each request that was not aborted; the request is gone when this
 * returns. HEADERS hold no Content-Length, Date or Connection; a control character in a value
 * becomes a space. The bytes are copied. A 401 has no Date, so that all refusals are the same
 * bytes.
 */
void http_respond(struct http_request *request, int status, const struct http_header *headers,
		  size_t n_headers, struct str body);
const char *http_status_text(int status);
