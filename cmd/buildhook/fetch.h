/* One HTTP request to a server other than the API server; waits for the answer. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "http_client/http_client.h"

struct loop;

struct fetch_request {
	const char *method;
	const char *url; /* http or https */
	struct str body;
	const char *content_type;  /* NULL without a body */
	const char *const *fields; /* "Name: value" up to a NULL, or NULL */
	int64_t timeout_ms;
	size_t max_bytes;
};

struct fetch_answer {
	int status; /* 0: none came; stage says how far it got, err why */
	enum http_client_stage stage;
	struct err err;
	struct buf body;
	char address[64];   /* address of the other end; "": unknown */
	char not_after[64]; /* when its certificate ends; "" without TLS */
	char message[700];  /* X-Buildhook-Message */
	char warning[700];  /* the first Warning */
	char content_type[100];
};

/* ERR_INVALID where the URL is not an address; every other failure is in OUT. */
int fetch(struct fetch_answer *out, struct loop *loop, const struct fetch_request *request,
	  struct err *err);
/* For CLEANUP. */
void fetch_release(struct fetch_answer *answer);
