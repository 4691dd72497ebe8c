/*
 * One HTTP request as its handler sees it. The server (http.h) makes requests from connections;
 * tests make them without sockets, by filling in a struct http_request with functions of their own.
 *
 * A request lives from on_head until its answer has been given with http_respond(), or until
 * on_abort. Each handler function may call http_respond(), also on_head: the rest of the body is
 * then read and dropped, or the connection is closed, whichever is cheaper. Between these calls a
 * handler may take as long as it likes to answer. A client that resets the connection meanwhile
 * causes on_abort; one that has only shut down its sending side still gets its answer.
 */
#pragma once

#include "base/str.h"

struct http_request;

struct http_header {
	struct str name;
	struct str value;
};

/* What the source of a request has to bring; the functions below say what each does. */
struct http_request_ops {
	struct str (*header)(const struct http_request *request, const char *name, size_t *n);
	void (*pause)(struct http_request *request);
	void (*resume)(struct http_request *request);
	bool (*refuse_expectation)(struct http_request *request);
	bool (*refuse_length)(struct http_request *request);
	void (*respond)(struct http_request *request, int status, const struct http_header *headers,
			size_t n_headers, struct str body);
};

/* Filled in before on_head. The texts live as long as the request. */
struct http_request {
	const struct http_request_ops *ops;
	struct str method;
	/* The target's path as it was sent (also of an absolute-form target), without the query:
	 * nothing is decoded or normalised. */
	struct str path;
	struct str query;
	int64_t content_length;  /* -1: chunked; INT64_MAX: that or more */
	size_t connection_bytes; /* of memory that its connection takes by itself, about */
	bool is_encoded;         /* Content-Encoding names a coding other than "identity" */
	void *user;              /* the handler's own */
};

struct http_handler {
	/* Head complete and well-formed. The body follows unless http_respond() or http_pause() is
	 * called. */
	void (*on_head)(void *arg, struct http_request *request);
	/* The next part of the body. BYTES is lent until the function returns. */
	void (*on_body)(void *arg, struct http_request *request, struct str bytes);
	/* The body is complete (also for a request without one). */
	void (*on_end)(void *arg, struct http_request *request);
	/* The request ended without an answer from the handler: client gone, too slow, malformed
	 * body, over a limit, or the server is freed. The request is freed after this;
	 * http_respond() must not be called. */
	void (*on_abort)(void *arg, struct http_request *request);
	void *arg;
};

/* The value of the first field of that NAME, trimmed, and how many there are (N may be NULL). */
static inline struct str http_header(const struct http_request *request, const char *name,
				     size_t *n)
{
	return request->ops->header(request, name, n);
}

/*
 * Stop and continue reading the body; the time limit of the body does not run while paused. May be
 * called from any handler function, and from outside; http_resume() calls none of them before it
 * returns.
 */
static inline void http_pause(struct http_request *request)
{
	request->ops->pause(request);
}

static inline void http_resume(struct http_request *request)
{
	request->ops->resume(request);
}

/* Within on_head: true when the request was refused (417, 413); it has then ended with on_abort. */
static inline bool http_refuse_expectation(struct http_request *request)
{
	return request->ops->refuse_expectation(request);
}

static inline bool http_refuse_length(struct http_request *request)
{
	return request->ops->refuse_length(request);
}

/*
 * The answer: exactly once for each request that was not aborted; the request is gone when this
 * returns. HEADERS hold no Content-Length, Date or Connection; a control character in a value
 * becomes a space. The bytes are copied. A 401 has no Date, so that all refusals are the same
 * bytes.
 */
static inline void http_respond(struct http_request *request, int status,
				const struct http_header *headers, size_t n_headers,
				struct str body)
{
	request->ops->respond(request, status, headers, n_headers, body);
}
