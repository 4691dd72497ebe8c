/*
 * The answers: a Build, or a metav1.Status that says what became of the delivery. The Git host
 * shows them to its user. Header X-Buildhook-Message says the same in one line, for hosts that show
 * headers only, or cut long bodies.
 */
#pragma once

#include "base/buf.h"
#include "delivery/outcome.h"
#include "net/http_request.h"

#define ANSWER_MAX_BYTES      2048
#define ANSWER_MESSAGE_BYTES  512
#define ANSWER_MESSAGE_HEADER "X-Buildhook-Message"
#define ANSWER_MAX_WARNINGS   10
#define RETRY_AFTER_SECONDS   "10"

/* A metav1.Status; CODE is the HTTP status. REASON "": the one that goes with CODE. */
void answer_put_status(struct buf *out, int code, const char *reason, const char *message);
/* For http_options.error_body. */
const char *answer_error_body(struct buf *body, int status, const char *message);
/* TEXT as a header carries it: printable ASCII, all other bytes and "%" percent-encoded, cut at
 * ANSWER_MESSAGE_BYTES between two characters. */
void answer_put_message(struct buf *out, struct str text);

/* Answers with a Status. DELIVERY: X-Buildhook-Delivery, "" before a proof has held. A 503 comes
 * with Retry-After. */
void answer_status(struct http_request *request, int code, const char *reason, const char *message,
		   const char *delivery);
/* The answer to every delivery that was not proved: always the same bytes for the same path. */
void answer_refused(struct http_request *request, const char *type, struct str name);

struct answer_build {
	struct str json;     /* the Build as the API server sent it; empty: answered as a Status */
	const char *message; /* "started cart-7 for a push of main 3f2a1b0" */
	const char *warnings[ANSWER_MAX_WARNINGS];
	size_t n_warnings;
};

/* 200. */
void answer_build(struct http_request *request, const struct answer_build *build,
		  const char *delivery);
