/* What the API server serves of build.openshift.io/v1. */
#pragma once

#include "kube/client.h"

struct kube_discovery {
	bool has_buildconfigs;
	bool has_builds;
	bool has_instantiate; /* OpenShift's own API: buildconfigs/instantiate */
};

/* ERROR: ERR_OK with what is served, else why discovery failed. ERR_NOTFOUND: the group is not
 * served. */
typedef void (*kube_discovery_fn)(void *arg, const struct kube_discovery *discovery,
				  const struct err *error);

struct kube_discovery_call;
/* FN is called once, never from within this call, and not after kube_discovery_cancel(). */
struct kube_discovery_call *kube_discover(struct kube_client *client, kube_discovery_fn fn,
					  void *arg);
/* CALL may be NULL. */
void kube_discovery_cancel(struct kube_discovery_call *call);
