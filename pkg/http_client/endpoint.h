/*
 * The server's address as libcurl wants it: how the URL of a request begins, where to connect,
 * which name the certificate must have, and which proxy to use.
 */
#pragma once

#include "http_client/http_client.h"

struct curl_slist;

struct endpoint {
	char *base;                    /* "https://host:6443/prefix", no slash at the end */
	char *host;                    /* "host:6443", for messages and metrics */
	struct curl_slist *connect_to; /* where to connect if the URL's host is the certificate's
					  name, or NULL */
	char *host_field;              /* "Host: ..." for that case, or NULL */
	char *proxy;                   /* "" for none */
	const char *protocol;          /* "https", or "http" where the server's address says so */
	const char *what;              /* "the API server", for messages */
	bool is_insecure;
	bool wants_certificate;
};

/* ERR_INVALID says what is wrong with the address. */
int endpoint_init(struct endpoint *out, const struct http_client_options *options, struct err *err);
void endpoint_release(struct endpoint *endpoint);
