/*
 * The API server's address as libcurl wants it: what the URL of a request begins with, whom to
 * connect to, what the certificate has to say, and through which proxy.
 */
#pragma once

#include "kube/config.h"

struct curl_slist;

struct endpoint {
	char *base;                    /* "https://host:6443/prefix", no slash at the end */
	char *host;                    /* "host:6443", for messages and metrics */
	struct curl_slist *connect_to; /* where the URL's host is the certificate's name, or NULL */
	char *host_field;              /* "Host: ..." for the same case, or NULL */
	char *proxy;                   /* "" for none */
	const char *protocol;          /* "https", or "http" where the server's address says so */
	bool insecure;
};

/* ERR_INVALID says what is wrong with the address. */
int endpoint_init(struct endpoint *out, const struct kube_config *config, struct err *err);
void endpoint_release(struct endpoint *endpoint);
