/*
 * Finds the public address of the receiver where --public-url does not give it: by the Route,
 * Ingress or Gateway API HTTPRoute in buildhook's own namespace that points at a Service which
 * selects app.kubernetes.io/name=buildhook.
 */
#pragma once

#include "kube/client.h"

struct public_url;

/*
 * FN(ARG, URL) once when it is known ("": there is none, or we may not look), and after every
 * change; never from within this call. It is looked up again every few minutes.
 */
struct public_url *public_url_new(struct kube_client *client, struct clock *clock,
				  const char *namespace_, void (*fn)(void *arg, const char *url),
				  void *arg);
void public_url_free(struct public_url *lookup);
