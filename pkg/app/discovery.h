/*
 * Which of the two APIs starts builds: OpenShift's instantiate, or Builds that are created. Asked
 * again every few minutes, since a cluster may change.
 */
#pragma once

#include "controller/controller.h"

struct discovery;

/*
 * CHOSEN is the flag --backend: "auto", "openshift" or "kubernetes". FN(ARG, backend) when the
 * backend is known, and again should it become another one; never from within this call.
 */
struct discovery *discovery_new(struct kube_client *client, struct clock *clock, const char *chosen,
				void (*fn)(void *arg, enum controller_backend backend), void *arg);
void discovery_free(struct discovery *discovery);
/* Why there is no backend yet. DISCOVERY may be NULL. */
const char *discovery_error(const struct discovery *discovery);
