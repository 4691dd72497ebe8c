/*
 * Simulated worlds for the build controller: an API server in memory, a kubelet, users, and two
 * replicas of the controller behind bad connections, in virtual time. What must hold is checked at
 * each write.
 */
#pragma once

#include "base/mem.h"
#include "builder/builder.h"

#include <stdio.h>

#define REPLICAS 2
#define LATE_MS  20000

enum kind { BUILDCONFIGS, BUILDS, PODS, KINDS };

struct object {
	enum kind kind;
	char *key; /* "namespace/name" */
	uint64_t version;
	cJSON *doc;
	int64_t made_ms;
	/* A Build. */
	int64_t ended_ms;
	int n_ends;           /* transitions to a phase that is an end */
	bool was_superseded;  /* cancelled by the controller */
	int n_begun;          /* Pods of it that began and that no user deleted */
	enum build_phase due; /* how it must end, where its Pod has finished; BUILD_NEW: open */
	/* A BuildConfig. */
	int n_first_builds; /* made by the controller */
	int64_t raised;     /* lastVersion, where whoever made the Build has not raised it yet */
	/* A Pod. */
	bool is_users_deed; /* a user deleted it */
	int64_t step_ms;    /* when the kubelet takes its next step */
	struct object *prev, *next;
};

struct change {
	enum kind kind;
	uint64_t version;
	const char *type;
	char *text;
};

struct replica {
	struct world *world;
	struct kube_client *client;
	struct builder *builder;
	bool is_up;
};

struct world {
	uint64_t seed, state;
	int64_t now_ms;
	struct clock *clock;
	struct object *objects;
	struct change *changes;
	size_t n_changes, cap_changes;
	uint64_t version;
	size_t n_uids, n_builds;
	struct replica replicas[REPLICAS];
	struct flight *flights;
	bool is_healing; /* connections are good, users do nothing */
	bool keeps_pods;
	uint64_t max_builds;
	bool is_traced;
	size_t n_requests; /* but watches, lists and /readyz */
	char failure[400];
};

uint64_t world_below(struct world *w, uint64_t bound);
bool world_chance(struct world *w, unsigned percent);
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_trace(const struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* api.c */
struct object *api_find(struct world *w, enum kind kind, const char *key);
/* Takes DOC over. */
struct object *api_create(struct world *w, enum kind kind, const char *key, cJSON *doc);
void api_update(struct world *w, struct object *object); /* its doc was changed */
void api_delete(struct world *w, struct object *object);
int api_serve(struct world *w, enum kube_method method, const char *path, struct str body,
	      struct buf *out);
void api_free(struct world *w);

/* transport.c */
struct kube_transport transport_of(struct replica *replica);
void transport_cut(struct world *w, const struct replica *replica, bool only_watches);
void transport_free(struct world *w);

/* cluster.c: the kubelet, users, and what must hold in the end. */
enum build_phase phase_of(const struct object *build);
struct object *pod_of(struct world *w, const struct object *build);
struct object *build_of(struct world *w, const struct object *pod);
bool is_unfinished_pod(const struct object *pod);
void cluster_step(struct world *w);
void cluster_act(struct world *w);
void cluster_check_end(struct world *w);
/* Before and after a controller's write. */
void check_pod_created(struct world *w, const struct object *pod);
void check_build_patched(struct world *w, struct object *build, const cJSON *before);
void check_build_created(struct world *w, const struct object *build);
void check_build_deleted(struct world *w, const struct object *build);
void check_pod_deleted(struct world *w, struct object *pod);
