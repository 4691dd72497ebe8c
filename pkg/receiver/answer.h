/*
 * The answers: a Build, or a metav1.Status that says what became of the delivery. The Git host
 * shows them to its user.
 */
#pragma once

#include "buildconfig/verdict.h"
#include "net/http.h"

#define ANSWER_MAX_BYTES    2048
#define RETRY_AFTER_SECONDS "10"

/* A metav1.Status; CODE is the HTTP status. REASON "": the one that goes with CODE. */
void answer_put_status(struct buf *out, int code, const char *reason, const char *message);
/* For http_options.error_body. */
const char *answer_error_body(struct buf *body, int status, const char *message);

/* Answers with a Status. DELIVERY: X-Buildhook-Delivery, "" before a proof has held. A 503 comes
 * with Retry-After. */
void answer_status(struct http_request *request, int code, const char *reason, const char *message,
		   const char *delivery);
/* The one answer to whatever was not proved: always the same bytes for the same path. */
void answer_refused(struct http_request *request, const char *type, struct str name);
/* A Build as JSON, 200. WARNING: for the Warning header, "" without. */
void answer_build(struct http_request *request, struct str json, const char *warning,
		  const char *delivery);
