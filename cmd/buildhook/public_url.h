/*
 * Where Git hosts reach us, when --public-url does not say it: the Route or Ingress, in our own
 * namespace, that points at buildhook's Service, which is the one that selects
 * app.kubernetes.io/name=buildhook.
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
