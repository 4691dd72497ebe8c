/*
 * Keeps a store equal to the API server: list in pages, watch with bookmarks, resume, list again
 * after 410; with client-go's rules for back-off. Dead connections are noticed in 45 s (TCP), or in
 * 150 s behind a proxy that stays up. Neither list nor watch is ever held in memory as a whole: the
 * objects are parsed one by one as their bytes come.
 */
#pragma once

#include "kube/client.h"
#include "kube/store.h"

struct kube_reflector;
struct metrics;

struct kube_reflector_options {
	struct kube_client *client;
	struct clock *clock;
	struct kube_store *store;
	/* "/apis/build.openshift.io/v1/buildconfigs", or with namespaces/NS in it. */
	const char *path;
	const char *scope;       /* the namespace in path, or NULL: for the store's lists */
	const char *selector;    /* label selector, or NULL */
	const char *resource;    /* "buildconfigs", for metrics and logs; outlives the reflector */
	struct metrics *metrics; /* or NULL */
	/* Called when the first list is complete and when the error changes; or NULL. It must not
	 * free the reflector. */
	void (*on_state)(void *arg);
	void *arg;
};

/* Begins to list. All that OPTIONS points at is borrowed, but for path and selector, which are
 * copied. */
struct kube_reflector *kube_reflector_new(const struct kube_reflector_options *options);
/* Not from within a function of the store's type. */
void kube_reflector_free(struct kube_reflector *reflector);
/* Since the last sign of life (list, begun watch, event or bookmark); -1 before the first. */
int64_t kube_reflector_age_ms(const struct kube_reflector *reflector);
/* Why list or watch does not work now; "" while it does. */
const char *kube_reflector_error(const struct kube_reflector *reflector);
