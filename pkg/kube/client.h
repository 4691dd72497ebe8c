/*
 * Requests to the API server on the event loop, over libcurl. The transport behind it is the second
 * seam of the program: tests put an API server in memory there.
 *
 * A call's function is called exactly once, never from within the call that started it; freeing the
 * call cancels it.
 */
#pragma once

#include "base/clock.h"
#include "doc/json.h"
#include "http_client/http_client.h"

struct kube_config;
struct loop;
struct metrics;
struct kube_call;
struct kube_client;
struct kube_transport;

enum kube_method {
	KUBE_GET,
	KUBE_POST,
	KUBE_PUT,
	KUBE_DELETE,
	KUBE_MERGE_PATCH,
	KUBE_JSON_PATCH,
	/* Only for built-in types; some lists are merged, such as ownerReferences by uid. */
	KUBE_STRATEGIC_PATCH,
	KUBE_APPLY,
};

struct kube_request {
	enum kube_method method;
	/* Path and query below the server's address: "/api/v1/namespaces/x/secrets/y". Copied. */
	const char *path;
	/* KUBE_APPLY sends it as application/apply-patch+yaml (JSON is YAML). Copied, and wiped
	 * after use. */
	struct str body;
	/* A text that outlives the call, or NULL: application/json. */
	const char *accept;
	/* Limit of the whole request; 0: 30 s. A watch has no limit but the caller's own timers. */
	int64_t timeout_ms;
	/* The most bytes of an answer that is collected; 0: 8 MiB. A longer one is ERR_LIMIT. */
	size_t max_bytes;
	/* Set (list and watch): the body of a 200 is not collected but handed over as it comes.
	 * Bodies of errors are collected (at most 64 KiB). */
	void (*on_bytes)(void *arg, struct str bytes);
	/* The answer lasts until one side ends it: a connection of its own, no timeout. */
	bool is_watch;
	/* The answer holds a secret: its document is wiped when the call's function has returned.
	 */
	bool is_secret;
	/* The label of rest_client_*, from a closed set: "buildconfigs", "secrets", ... Outlives
	 * the call. */
	const char *metric_resource;
};

struct kube_response {
	/* 0 when no HTTP answer came (then err says why: ERR_UNAVAILABLE), or its status. */
	int status;
	/*
	 * 2xx: ERR_OK. 400, 422 and the like: INVALID. 401, 403: DENIED. 404: NOTFOUND. 409: EXISTS
	 * for reason AlreadyExists, else CONFLICT. 410: EXPIRED. 429: LIMIT. 408, 5xx, a 2xx or 4xx
	 * that the API server cannot have written (HTML of a router), and a body that broke off:
	 * UNAVAILABLE. Message: the Status's.
	 */
	struct err err;
	/* The Status's `reason`, "" without one. */
	char reason[64];
	/* From Retry-After (seconds or a date) or the Status's details; -1 without. Clamped to 0..5
	 * min. */
	int64_t retry_after_ms;
	/* The answer's document, lent; NULL without one (also when on_bytes took it). */
	const cJSON *doc;
	/* The answer's bytes, lent. They are what is passed on to others: doc is never printed
	 * again. Empty when on_bytes took them. */
	struct str text;
	/* It is not known whether a write was carried out: timeout, cut connection, 5xx. False if
	 * the request was certainly not sent (connection refused, TLS failed). */
	bool is_uncertain;
};

typedef void (*kube_response_fn)(void *arg, const struct kube_response *response);

/* Production: libcurl. CONFIG is borrowed and must outlive the client. */
int kube_client_new(struct kube_client **out, struct loop *loop, const struct kube_config *config,
		    struct err *err);
/* Over another transport (tests). TRANSPORT is copied, its ctx borrowed. */
struct kube_client *kube_client_new_over(struct clock *clock,
					 const struct kube_transport *transport);
/* Cancels all calls. Not from within a call's function. */
void kube_client_free(struct kube_client *client);
/* From here on requests are counted as rest_client_*. METRICS is borrowed. */
void kube_client_set_metrics(struct kube_client *client, struct metrics *metrics);

struct kube_call *kube_start(struct kube_client *client, const struct kube_request *request,
			     kube_response_fn fn, void *arg);
/* Cancels CALL, which may be NULL. After the call's function was called, CALL is freed and must not
 * be cancelled. May be called from within on_bytes. */
void kube_cancel(struct kube_call *call);

/*
 * True while the API server answers. A request that fails (no answer, 401, 5xx), or that has waited
 * for 10 s while no other was answered, makes the client ask /readyz; when that fails too, it is
 * down until something is answered, and /readyz is asked every second. False before the first
 * answer.
 */
bool kube_client_is_up(const struct kube_client *client);
/* Why the API server is not up, for people: "the API server does not answer", or "... answered
 * 401". */
const char *kube_client_trouble(const struct kube_client *client);
/* FN(ARG) whenever kube_client_is_up() changes; at most 4 listeners. */
void kube_client_on_change(struct kube_client *client, void (*fn)(void *arg), void *arg);

/* The seam. start() sends a request; later, never from within start(), the transport calls
 * kube_transport_done() once with the answer. cancel() drops a call. */
struct kube_transport {
	void *ctx;
	/* "host:6443", for the metrics' label, as long as ctx; may be NULL. */
	const char *host;
	/*
	 * REQUEST (with its texts, its defaults filled in) lives until done or cancel. Returns the
	 * transport's own handle.
	 */
	void *(*start)(void *ctx, struct kube_call *call, const struct kube_request *request);
	void (*cancel)(void *ctx, void *handle);
	/* True if a byte of the request may have been sent; NULL: always. */
	bool (*has_sent)(void *ctx, void *handle);
	/* Called by kube_client_free() after all calls are cancelled; may be NULL. */
	void (*free)(void *ctx);
};

/* The transport of production, over pkg/http_client. CONFIG is borrowed and must outlive it. */
int kube_transport_new(struct kube_transport *out, struct loop *loop,
		       const struct kube_config *config, struct err *err);

/*
 * Body bytes of a 200 when on_bytes is set, and none when its head has come. The call may be
 * cancelled by this.
 */
void kube_transport_bytes(struct kube_call *call, struct str bytes);
/* CALL is freed when this returns. */
void kube_transport_done(struct kube_call *call, const struct http_client_answer *answer);

/* Appends S to OUT, percent-encoded for a path or query. */
void kube_put_escaped(struct buf *out, struct str s);
