/* What the builder's files share. Not for other folders. */
#pragma once

#include "base/hash.h"
#include "builder/builder.h"
#include "builder/plan.h"
#include "kube/informer.h"
#include "queue/queue.h"

struct build_work;
struct first_build;

/* What is remembered of a Build. Lost at a restart without harm. */
struct entry {
	char *key; /* "namespace/name" */
	struct group *group;
	UT_hash_handle hh;
	struct entry *prev, *next; /* of the group */
	char *trouble, *trouble_message;
	unsigned attempts;   /* failed attempts to make its Pod */
	int64_t retry_ms;    /* monotonic: not before */
	char *gone_version;  /* the Build's, when the API server had no Pod of it; or NULL */
	int64_t expected_ms; /* monotonic: until then the watch should have shown its Pod */
	bool is_pruned;
};

/* A namespace, whose groups together may run at most max_builds Builds at once. */
struct room {
	char *namespace_;
	UT_hash_handle hh;
	struct group *groups; /* never NULL */
};

/* A BuildConfig, or a Build of none. */
struct group {
	struct builder *builder;
	struct room *room;
	struct group *prev, *next; /* of the room */
	char *key;                 /* "namespace/name", or "namespace/ build" */
	UT_hash_handle hh;
	struct entry *entries;
	struct build_work *work;         /* under way, or NULL */
	struct first_build *first_build; /* likewise */
	unsigned failures;               /* failed requests in a row */
	bool is_starting;                /* work is to make a Pod */
	bool waits_for_room;
	bool drops_host_users; /* a policy of the namespace removes hostUsers: false from Pods */
	bool has_no_builder_account; /* Pods take the ServiceAccount "default" */
};

enum user_namespaces { USER_NAMESPACES_UNKNOWN, USER_NAMESPACES_KEPT };

struct event_call;

struct builder {
	struct builder_options opt;
	struct kube_informer *informers[3];
	struct kube_store *builds, *pods, *configs; /* the informers' */
	struct queue *queue;
	struct room *rooms;
	struct group *groups;
	struct entry *entries;
	size_t n_working;
	bool is_full;            /* at MAX_WORKING: keys that wait are not announced again */
	void (*run)(void *self); /* works on the keys that wait */
	enum user_namespaces user_namespaces;
	struct event_call *events;
	size_t n_events;
	struct build_series *series; /* metrics.c */
};

/* entry.c */
struct entry *builder_find_entry(struct builder *builder, const char *key);
/* The API server has the Pod. Only the watch puts it into the store: a Pod that has been deleted
 * meanwhile would stay there. */
void entry_expect_pod(struct entry *entry, int64_t now_ms);
void entry_set_trouble(struct entry *entry, const char *reason, const char *message);

/* A request with body DOC; NULL: without. FN as in kube_start(). */
struct kube_call *builder_send(struct builder *builder, enum kube_method method, const char *path,
			       const cJSON *doc, const char *resource, kube_response_fn fn,
			       void *arg);
/* GROUP's key can be worked on again, and is: at once, or after its back-off. */
void builder_finish(struct group *group, bool has_failed);

/* act.c: one request, or a few; ends with builder_finish(). */
void builder_act(struct group *group, const struct builder_action *next);
void builder_cancel(struct build_work *work);
/* first_build.c: likewise. */
void first_build_start(struct group *group);
void first_build_cancel(struct first_build *first);
/* event.c */
void builder_event(struct builder *builder, const struct build *build, bool is_warning,
		   const char *reason, const char *note);
void builder_events_free(struct builder *builder);

/* metrics.c */
void builder_metrics_init(struct builder *builder);
void builder_metrics_free(struct builder *builder);
