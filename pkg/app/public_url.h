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

/* Pure. OUT is empty when nothing points at one of SERVICES (a list of Services). */
void public_url_of_routes(struct buf *out, const cJSON *routes, const cJSON *services);
void public_url_of_ingresses(struct buf *out, const cJSON *ingresses, const cJSON *services);
/* The first HTTPRoute of ROUTES (a list) that points at one of SERVICES; NULL: none does. */
const cJSON *public_url_find_http_route(const cJSON *routes, const cJSON *services);
/*
 * The route's own hostname, else that of the listener it names in GATEWAY, which is NULL where it
 * may not be read; then the scheme is https. A wildcard is no address: OUT stays empty.
 */
void public_url_of_http_route(struct buf *out, const cJSON *route, const cJSON *gateway);
