#include "kube/discovery.h"

#include "base/mem.h"

#include <string.h>

struct kube_discovery_call {
	struct kube_call *call;
	kube_discovery_fn fn;
	void *arg;
};

static void on_resources(void *arg, const struct kube_response *response)
{
	struct kube_discovery_call *call = arg;
	kube_discovery_fn fn = call->fn;
	void *fn_arg = call->arg;
	const cJSON *resources = json_member(response->doc, "resources");
	const struct kube_discovery discovery = {
		.has_buildconfigs = json_find(resources, "name", "buildconfigs"),
		.has_builds = json_find(resources, "name", "builds"),
		.has_instantiate = json_find(resources, "name", "buildconfigs/instantiate"),
	};
	free(call);
	fn(fn_arg, &discovery, &response->err);
}

struct kube_discovery_call *kube_discover(struct kube_client *client, kube_discovery_fn fn,
					  void *arg)
{
	struct kube_discovery_call *call = mem_new(1, sizeof(*call));

	call->fn = fn;
	call->arg = arg;
	call->call = kube_start(client,
				&(struct kube_request){.method = KUBE_GET,
						       .path = "/apis/build.openshift.io/v1",
						       .metric_resource = "discovery"},
				on_resources, call);
	return call;
}

void kube_discovery_cancel(struct kube_discovery_call *call)
{
	if (!call)
		return;
	kube_cancel(call->call);
	free(call);
}
