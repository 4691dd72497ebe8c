/*
 * The build controller: runs Builds, one Pod each, where the cluster does not. Its unit of work is
 * a BuildConfig with all its Builds and their Pods (plan.h). Several replicas may run: the Pod's
 * name and the Build's resourceVersion settle who does what, so there is no leader.
 */
#pragma once

#include "builder/pod.h"
#include "kube/client.h"
#include "kube/store.h"
#include "metrics/metrics.h"

struct builder;

struct builder_options {
	struct clock *clock;
	struct kube_client *client;
	struct metrics *metrics; /* or NULL */
	struct builder_pod_options pod;
	uint64_t max_builds; /* of a namespace at once; 0: no limit */
	bool keeps_pods;     /* of Builds that have ended */
	size_t n_scopes;     /* of the stores */
	const char *instance;
};

/* What CONFIG's pointers point at is borrowed. */
struct builder *builder_new(const struct builder_options *options);
/* After the reflectors, before the client. */
void builder_free(struct builder *builder);

/* For the reflectors: Builds, Pods with label openshift.io/build.name, and BuildConfigs. */
struct kube_store *builder_builds(struct builder *builder);
struct kube_store *builder_pods(struct builder *builder);
struct kube_store *builder_configs(struct builder *builder);
bool builder_is_synced(const struct builder *builder);
/* The stores have become complete, or the API server answers again. */
void builder_resume(struct builder *builder);
/* Nothing is under way. */
bool builder_is_idle(const struct builder *builder);
