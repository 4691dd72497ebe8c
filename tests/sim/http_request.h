/*
 * A request without sockets: what the receiver asks of pkg/net (http_request.c). Who sends one
 * embeds it first in a struct of its own, and brings http_respond(): what becomes of the answer.
 */
#pragma once

#include "replica.h"

#define HTTP_MAX_HEADERS 32

struct http_request {
	struct replica *replica;
	struct http_header headers[HTTP_MAX_HEADERS];
	size_t n_headers;
	char path[300];
	struct str body; /* lent by whoever sends it */
	timer_fn feed;   /* gives the receiver the body; ARG is the request */
	struct timer timer;
	void *user;
	bool is_paused, is_fed, is_answered;
	struct http_request *prev, *next; /* of the replica's */
};

/* What would be too many is left out. VALUE is lent. */
void http_put_header(struct http_request *r, struct str name, struct str value);
