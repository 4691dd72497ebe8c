/*
 * Formats answers. Whatever a header's value holds, it stays on its line.
 */
#pragma once

#include "base/buf.h"
#include "net/http.h"

struct http_reply {
	int status;
	const struct http_header *headers;
	size_t n_headers;
	struct str date; /* IMF-fixdate; empty: none */
	struct str body;
	bool leaves_body_out; /* the answer to HEAD */
	bool ends_connection;
};

void http_format_reply(struct buf *out, const struct http_reply *reply);

#define HTTP_DATE_BYTES 32
/* RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", NUL-terminated. */
void http_format_date(char *out, int64_t wall_s);
