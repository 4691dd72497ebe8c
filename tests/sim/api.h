/*
 * An API server in memory: BuildConfigs, Builds, Secrets and Events, with resourceVersions, lists
 * in pages, watches, server-side apply of annotations, merge patches with preconditions, and
 * OpenShift's instantiate. What it is asked is carried out at once; delays and losses are the
 * transport's.
 */
#pragma once

#include "doc/json.h"
#include "kube/client.h"
#include "world.h"

enum api_kind { API_BUILDCONFIG, API_BUILD, API_SECRET, API_EVENT };
#define API_KINDS 4

struct api_object {
	enum api_kind kind;
	char *namespace_, *name, *uid;
	uint64_t version, created_version;
	cJSON *doc;
	/* Annotations of a BuildConfig that server-side apply by us has set. */
	cJSON *applied;
	int64_t status_ms[WORLD_REPLICAS]; /* when each knew its status written last; 0: never */
	unsigned n_rotations;              /* a Secret: how often its value was changed */
	bool is_poison; /* a BuildConfig whose builds the server refuses for good */
	struct api_object *prev, *next;
};

/* One change of a BuildConfig, for its watches. */
struct api_change {
	uint64_t version;
	const char *type; /* "ADDED", ... */
	char *key;        /* "namespace/name" */
	char *text;
};

struct api {
	struct world *world;
	struct api_object *objects[API_KINDS];
	uint64_t version;
	uint64_t oldest; /* versions below are forgotten: 410 */
	struct api_change *changes;
	size_t n_changes, cap_changes;
	size_t n_uids;
	size_t n_writes;  /* carried out or refused */
	size_t n_applies; /* of them */
	size_t quota;     /* Builds that may be made before 403; SIZE_MAX: all */
};

struct api_request {
	enum kube_method method;
	const char *path; /* with query */
	struct str body;
	size_t replica; /* that sent it */
};

struct api_answer {
	int status;
	char *body;
	/* instantiate: lastVersion was raised, and this is the Build to be made; NULL else. */
	cJSON *build;
};

struct api *api_new(struct world *w);
void api_free(struct api *api);
void api_serve(struct api *api, const struct api_request *request, struct api_answer *out);
/* Discovery, and the objects around buildhook itself. False: none of these paths. */
bool api_serve_cluster(const struct world *w, const struct api_request *request,
		       struct api_answer *out);
/* A list of BuildConfigs, also as it was: VERSION as the client sent it, "" for the newest. */
void api_list_buildconfigs(struct api *api, const char *version, const char *from, size_t limit,
			   struct api_answer *out);
void api_instantiate(struct api *api, struct api_object *bc, const cJSON *request,
		     struct api_answer *out);
void api_put_object(struct api_answer *out, int status, const struct api_object *object);
void api_answer_release(struct api_answer *answer);
/* The second half of instantiate. */
void api_create_build(struct api *api, struct api_answer *answer);
void api_put_status(struct api_answer *out, int status, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* With details, as the server gives them where it is about one object: `KIND "NAME" WHAT`. */
void api_put_status_of(struct api_answer *out, int status, const char *reason, const char *kind,
		       const char *name, const char *what);
/* Text of a watch's event. */
void api_put_event(struct buf *out, const char *type, const char *object);

/* Deletes an object on behalf of users or the garbage collector. */
struct api_object *api_find(const struct api *api, enum api_kind kind, const char *namespace_,
			    const char *name);
struct api_object *api_add(struct api *api, enum api_kind kind, cJSON *doc);
/* After its doc was changed. */
void api_touch(struct api *api, struct api_object *object);
void api_remove(struct api *api, struct api_object *object);
/* Forgets all versions but the newest. */
void api_compact(struct api *api);
/* Collects the garbage of deleted BuildConfigs. */
void api_collect_garbage(struct api *api);

/* "" without. */
const char *api_annotation(const struct api_object *object, const char *key);
const char *api_label(const struct api_object *object, const char *key);
/* The value of WebHookSecretKey, decoded; NULL without. The caller's. */
char *api_secret_value(const struct api_object *secret);
/* Of key WebHookSecretKey.previous. */
char *api_secret_previous(const struct api_object *secret);
/* The name of the Secret that a BuildConfig's webhook has. */
void api_secret_name(char *out, size_t size, const struct api_object *bc);

/* transport.c: the way there. */
struct transport;
struct transport *transport_new(struct replica *replica);
void transport_free(struct transport *transport);
struct kube_transport transport_seam(struct transport *transport);
/* New changes for its watches. */
void transport_notify(struct transport *transport);
void transport_cut_watches(struct transport *transport);
/* A request to a path that begins so is on its way. */
bool transport_has(const struct transport *transport, enum kube_method method, const char *path);
