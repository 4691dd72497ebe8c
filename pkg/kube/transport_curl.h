/*
 * The transport of production: libcurl's multi handles on the event loop. Short requests share a
 * few connections; each watch has one of its own.
 */
#pragma once

#include "kube/client.h"

/* CONFIG and LOOP are borrowed. ERR_INVALID or ERR_NOTFOUND names the file or setting that is
 * wrong. */
int transport_curl_new(struct kube_transport *out, struct loop *loop,
		       const struct kube_config *config, struct err *err);
