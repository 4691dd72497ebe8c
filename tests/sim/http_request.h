/*
 * A request without sockets, for the receiver's handler. Whoever sends one embeds it first in a
 * struct of its own, and says in on_response what becomes of the answer.
 */
#pragma once

#include "replica.h"

#define HTTP_MAX_HEADERS 32

struct sim_request {
	struct http_request request; /* first: what the receiver sees */
	struct replica *replica;
	struct http_header headers[HTTP_MAX_HEADERS];
	size_t n_headers;
	char path[300];
	struct str body; /* lent by whoever sends it */
	timer_fn feed;   /* gives the receiver the body; ARG is the sim_request */
	/* The answer is lent until this returns. */
	void (*on_response)(struct sim_request *r, int status, struct str body);
	struct timer timer;
	bool is_paused, is_fed, is_answered;
	struct sim_request *prev, *next; /* of the replica's */
};

/* What would be too many is left out. VALUE is lent. */
void http_put_header(struct sim_request *r, struct str name, struct str value);
/* Path and body are set: gives the head to the receiver's handler. */
void http_give_head(struct sim_request *r);
