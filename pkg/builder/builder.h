/*
 * The build controller: runs Builds, one Pod each, where the cluster does not. Its unit of work is
 * a BuildConfig with all its Builds and their Pods (plan.h). Several replicas may run: the Pod's
 * name and the Build's resourceVersion settle who does what, so there is no leader.
 */
#pragma once

#include "builder/pod.h"
#include "kube/client.h"
#include "metrics/metrics.h"

struct builder;

struct builder_options {
	struct clock *clock;
	struct kube_client *client;
	struct metrics *metrics; /* or NULL */
	struct builder_pod_options pod;
	uint64_t max_builds; /* of a namespace at once; 0: no limit */
	bool keeps_pods;     /* of Builds that have ended */
	const char *const *namespaces;
	size_t n_namespaces; /* 0: all of them */
	const char *instance;
};

/* The controller keeps the pointers of OPTIONS: their targets must outlive it. */
struct builder *builder_new(const struct builder_options *options);
/* Lists and watches Builds, their Pods and BuildConfigs, and works from then on; only once. */
void builder_start(struct builder *builder);
/* Before the client. */
void builder_free(struct builder *builder);

/* Builds, Pods and BuildConfigs have been read. */
bool builder_is_synced(const struct builder *builder);
/* The API server answers again. */
void builder_resume(struct builder *builder);
/* Nothing is under way. */
bool builder_is_idle(const struct builder *builder);
