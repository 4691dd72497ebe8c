/*
 * Requests to the API server on the event loop, over libcurl. The transport behind it is the second seam of the program: tests
 * put an API server in memory there.
 *
 * A call's function is called exactly once, never from within the call that started it; freeing the call cancels it.
 */
#pragma once

#include "base/clock.h"
#include "doc/json.h"
#include "kube/config.h"

struct loop;
struct kube_call;
struct kube_transport;

enum kube_method { KUBE_GET, KUBE_POST, KUBE_PUT, KUBE_DELETE, KUBE_MERGE_PATCH, KUBE_APPLY };

struct kube_request {
	enum kube_method method;
	/* Path and query below the server's address: "/api/v1/namespaces/x/secrets/y". Copied. */
	const char *path;
	/* KUBE_APPLY sends it as application/apply-patch+yaml (JSON is YAML). Copied. */
	struct str body;
	const char *accept;   /* NULL: application/json */
	int64_t timeout_ms;   /* 0: 30 s. The whole of it; for a watch (on_bytes set) none but the caller's own timers */
	size_t max_bytes;     /* of the answer; 0: 8 MiB. Over it: ERR_LIMIT */
	/*
	 * Set: the body of a 200 is not collected but handed over as it comes (list and watch), on a connection of its own when is_watch. Errors are
	 * collected as ever (at most 64 KiB).
	 */
	void (*on_bytes)(void *arg, struct str bytes);
	bool is_watch;
	const char *metric_resource; /* closed set, for rest_client_*: "buildconfigs", "secrets", ... */
};

struct kube_response {
	/* 0 when no HTTP answer came (then err says why: ERR_UNAVAILABLE), or its status. */
	int status;
	/*
	 * 2xx: ERR_OK. 400, 422: INVALID. 401, 403: DENIED. 404: NOTFOUND. 409: EXISTS for reason AlreadyExists, else CONFLICT. 410:
	 * EXPIRED. 429: LIMIT. 408, 5xx, or no JSON where JSON was to be: UNAVAILABLE. Message: the Status's message.
	 */
	struct err err;
	/* The Status's `reason`, "" without one. */
	char reason[64];
	/* From Retry-After (seconds or a date) or the Status's details; -1 without. Clamped to 0..5 min. */
	int64_t retry_after_ms;
	/* The answer's document, lent; NULL without one (also when on_bytes was set). */
	const cJSON *doc;
	/* The answer's bytes, lent; what is handed on to others is this and not a reprint of doc. Empty when on_bytes was set. */
	struct str text;
	/* No answer at all, or one that leaves open whether a write was carried out (timeout, cut connection, 5xx). */
	bool is_uncertain;
};

typedef void (*kube_response_fn)(void *arg, const struct kube_response *response);

struct kube_client;

/* Production: libcurl. CONFIG is borrowed and must outlive the client. */
int kube_client_new(struct kube_client **out, struct loop *loop, const struct kube_config *config, struct err *err);
/* Over another transport (tests). */
struct kube_client *kube_client_new_over(struct clock *clock, const struct kube_transport *transport);
/* Cancels all calls. */
void kube_client_free(struct kube_client *client);

struct kube_call *kube_start(struct kube_client *client, const struct kube_request *request, kube_response_fn fn, void *arg);
/* Cancels; NULL is fine. Called by the client itself after the call's function has returned: a finished call must not be cancelled. */
void kube_cancel(struct kube_call *call);

/*
 * True while the API server answers: the last request got an HTTP answer other than 401 and 5xx, and none has been waiting for one for over 10 s.
 * False before the first answer.
 */
bool kube_client_is_up(const struct kube_client *client);
/* FN(ARG) whenever kube_client_is_up() changes; at most 4 listeners. */
void kube_client_on_change(struct kube_client *client, void (*fn)(void *arg), void *arg);

struct metrics;
/*
 * The seam. start() sends and later calls exactly one of: kube_transport_done() with what came; cancel() forgets a call.
 */
struct kube_transport_answer {
	int status;              /* 0: none */
	struct str content_type;
	struct str retry_after;  /* the header's text */
	struct str body;
	struct err err;          /* when status is 0, or the body broke off */
	bool is_cut;             /* the body broke off */
};

struct kube_transport {
	void *ctx;
	/* REQUEST (with its texts) lives until done or cancel. Returns the transport's own handle. */
	void *(*start)(void *ctx, struct kube_call *call, const struct kube_request *request);
	void (*cancel)(void *ctx, void *handle);
};

/* Body bytes of a 200 when on_bytes is set. */
void kube_transport_bytes(struct kube_call *call, struct str bytes);
void kube_transport_done(struct kube_call *call, const struct kube_transport_answer *answer);

/* Query and path parts are percent-encoded by this; S is appended to OUT. */
void kube_put_escaped(struct buf *out, struct str s);
