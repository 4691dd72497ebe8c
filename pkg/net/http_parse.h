/*
 * The strict reader of requests (RFC 9112): bytes in, in pieces of any size; a head, or the bytes
 * of a chunked body, out. Pure: no I/O, no clock. What two readers could understand differently is
 * refused, even where the RFC allows a guess, because such a guess is how one request becomes two
 * behind a proxy.
 */
#pragma once

#include "base/str.h"

/* What the readers return; anything else is the status to refuse the request with. */
enum { HTTP_MORE = 0, HTTP_DONE = 1 };

enum {
	HTTP_FIELDS_MAX = 100,
	HTTP_HEAD_MAX = 32 << 10, /* offsets into it have 16 bits */
	HTTP_CHUNK_LINE_MAX = 128,
};

/* Offsets into http_head.bytes; the value is trimmed. */
struct http_field {
	uint16_t name;
	uint16_t name_len;
	uint16_t value;
	uint16_t value_len;
};

struct http_head {
	char *bytes; /* as they came, line ends included */
	uint32_t len;
	uint32_t cap;
	uint32_t line; /* where the line begins that is being read */
	uint16_t n_fields;
	uint16_t n_hosts;
	uint64_t content_length; /* UINT64_MAX also stands for what does not fit */
	const char *problem;     /* static text for a person, after a refusal */
	uint16_t method_len;     /* the method begins the head, but for one empty line */
	uint16_t method;
	uint16_t path;
	uint16_t path_len; /* 0: absolute-form without a path, which means "/" */
	uint16_t query;
	uint16_t query_len;
	bool has_request_line;
	bool has_length;
	bool is_chunked;
	bool is_http10;
	bool wants_close;
	bool expects_continue;
	bool expects_other; /* an expectation that cannot be met: 417 */
	bool is_encoded;    /* Content-Encoding names a coding other than "identity" */
	struct http_field fields[HTTP_FIELDS_MAX];
};

struct http_head_limits {
	size_t head_bytes; /* at most HTTP_HEAD_MAX */
	size_t target_bytes;
	size_t fields; /* at most HTTP_FIELDS_MAX */
};

/* HEAD begins zeroed. *USED says how many of the N bytes at P belong to it; after HTTP_DONE the
 * body follows them. */
int http_head_read(struct http_head *head, const struct http_head_limits *limits, const char *p,
		   size_t n, size_t *used);
void http_head_release(struct http_head *head);
struct str http_head_method(const struct http_head *head);
struct str http_head_path(const struct http_head *head);
struct str http_head_query(const struct http_head *head);
/* The first field of that name; N (may be NULL): how many there are. */
struct str http_head_find(const struct http_head *head, const char *name, size_t *n);

/* "host" or "host:port" as RFC 9110 has it in Host and in a target: no userinfo, no path, not
 * empty. */
bool http_authority_is_valid(struct str authority);
/* A token of RFC 9110: methods and field names. */
size_t http_token_length(const char *p, size_t n);

/* A body in chunks; begins zeroed but for LIMIT. */
struct http_chunks {
	uint64_t limit; /* of the decoded body; more is 413 */
	uint64_t total; /* announced by chunks so far */
	uint64_t left;  /* of the chunk that is being read */
	const char *problem;
	uint8_t state;
	uint8_t n_digits;
	uint8_t line_len;
};

/*
 * Decodes in place, so that one piece of a body stays one piece however finely it is chunked: *USED
 * bytes were taken and the first *N_BODY bytes at P are the body's. HTTP_DONE after the last chunk;
 * trailers are refused.
 */
int http_chunks_read(struct http_chunks *chunks, char *p, size_t n, size_t *used, size_t *n_body);
