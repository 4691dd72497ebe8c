/*
 * HTTP requests to one server, on the event loop, over libcurl; the only place that knows libcurl.
 * The API server is one such server; a command's own server or a Git host's API is another.
 *
 * Redirects are never followed, cookies and .netrc are never used. A request's function is called
 * exactly once, never from within the call that started it; cancelling means it is never called.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct loop;
struct http_client;
struct http_client_call;

/* The client's present credentials, and the CAs that it trusts. */
struct http_client_identity {
	uint64_t generation; /* rises with each change */
	struct str ca_pem;   /* empty: the system's CAs */
	struct str cert_pem; /* with key_pem, or empty */
	struct str key_pem;
	const char *authorization; /* "Authorization: ...", or NULL */
};

struct http_client_options {
	const char *what;        /* "the API server", for messages; a constant */
	const char *url;         /* "https://host[:port][/prefix]" */
	const char *server_name; /* the name in the server's certificate; NULL: the URL's host */
	const char *proxy_url;   /* NULL: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment */
	bool is_insecure;        /* accepts any certificate */
	bool allows_http;        /* plain http is allowed for hosts other than loopback, too */
	bool wants_certificate;  /* http_client_peer() describes the server's certificate */
	/*
	 * Asked before each request; with IS_REFUSED after an answer 401 or a failed handshake, so
	 * that a file behind it can be read again. The result is lent until the next call. NULL:
	 * requests carry no identity.
	 */
	const struct http_client_identity *(*identify)(void *arg, int64_t mono_ms, bool is_refused);
	void *identify_arg;
};

struct http_client_request {
	const char *method; /* "GET", "POST", ...; a constant */
	const char *path;   /* with its query, below the URL */
	struct str body;
	const char *content_type; /* Content-Type of the body; NULL without a body */
	const char *accept;       /* NULL: any */
	/* More header fields, "Name: value" each, up to a NULL; or NULL. */
	const char *const *fields;
	int64_t timeout_ms; /* of the whole request; 0: none */
	size_t max_bytes;   /* of an answer that is collected */
	/*
	 * Set: the body of a 200 is not collected but passed on as it comes, and before it, when
	 * the head has come, no bytes. Bodies of errors are collected (at most 64 KiB). May cancel
	 * the call.
	 */
	void (*on_bytes)(void *arg, struct str bytes);
	/* The answer lasts until one side ends it: a connection of its own. */
	bool is_watch;
};

/* How far a request came that got no answer. */
enum http_client_stage {
	HTTP_CLIENT_NAME,    /* the host's or the proxy's name is not known */
	HTTP_CLIENT_CONNECT, /* nothing answers at the address */
	HTTP_CLIENT_TLS,     /* the handshake failed, or the certificate is not valid */
	HTTP_CLIENT_ANSWER,
};

/* Texts are lent for the call of the function. */
struct http_client_answer {
	int status; /* 0: none */
	/* For http_client_field() and http_client_peer(), during the call of the function. */
	const struct http_client_call *call;
	enum http_client_stage stage; /* how far the request came */
	struct str content_type;
	struct str retry_after; /* the header's text */
	struct str body;
	struct err err; /* set when status is 0, or the body broke off */
	bool is_cut;    /* the body broke off */
	bool is_unsent; /* status is 0, and no byte of the request has left */
};

typedef void (*http_client_answer_fn)(void *arg, const struct http_client_answer *answer);

/* ERR_INVALID says what is wrong with the URL. */
int http_client_check_url(const struct http_client_options *options, struct err *err);
/* OPTIONS and its texts (but `what`) are copied; LOOP and what identify() needs are borrowed. */
int http_client_new(struct http_client **out, struct loop *loop,
		    const struct http_client_options *options, struct err *err);
/* Cancels all calls. Not from within a call's function. */
void http_client_free(struct http_client *client);
/* "host:6443", for messages and metrics. */
const char *http_client_host(const struct http_client *client);

/* REQUEST is copied, its texts are borrowed until the answer or http_client_cancel(). */
struct http_client_call *http_client_start(struct http_client *client,
					   const struct http_client_request *request,
					   http_client_answer_fn fn, void *arg);
void http_client_cancel(struct http_client_call *call);
/* True if a byte of the request may have been sent. */
bool http_client_has_sent(const struct http_client_call *call);

/* The value of the first header field of that name, empty without one. */
struct str http_client_field(const struct http_client_answer *answer, const char *name);

/* The other end of a connection. Texts are lent as the answer's, "" where unknown. */
struct http_client_peer {
	const char *address;   /* "192.0.2.1", of the proxy where there is one */
	const char *not_after; /* of the server's certificate: "Dec  1 00:00:00 2026 GMT" */
	const char *issuer;
};
void http_client_peer(struct http_client_peer *out, const struct http_client_answer *answer);

#define HTTP_CLIENT_MAX_RETRY_AFTER_MS ((int64_t)5 * 60 * 1000)

/* Milliseconds that a Retry-After header asks for, clamped to 5 min; -1 without one. */
int64_t http_client_retry_after(struct str text, int64_t now_ms);
