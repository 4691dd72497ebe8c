/*
 * All objects of one resource, in a store that is kept up to date by one reflector, or by one for
 * each of some namespaces (client-go: an informer).
 */
#pragma once

#include "kube/client.h"
#include "kube/store.h"

struct kube_informer;

struct kube_informer_options {
	struct kube_client *client;
	struct clock *clock;
	struct metrics *metrics; /* or NULL */
	const char *group;       /* "/apis/build.openshift.io/v1" */
	const char *resource;    /* "buildconfigs"; a constant */
	const char *const *namespaces;
	size_t n_namespaces;         /* 0: all of them */
	const char *selector;        /* label selector, or NULL */
	struct kube_store_type type; /* n_scopes is ignored */
	/* Called once, when the store holds all objects, with type.arg; or NULL. */
	void (*on_synced)(void *arg);
	/* Called when a first list is complete or kube_informer_error() has changed, with type.arg;
	 * or NULL. */
	void (*on_state)(void *arg);
};

/* Makes an informer that lists nothing yet. What OPTIONS points at is borrowed. */
struct kube_informer *kube_informer_new(const struct kube_informer_options *options);
/* Begins to list and watch; only once. */
void kube_informer_start(struct kube_informer *informer);
/* Not from within a function of the store's type. */
void kube_informer_free(struct kube_informer *informer);
struct kube_store *kube_informer_store(struct kube_informer *informer);
/* Why a list or watch does not work now; "" while all of them do. */
const char *kube_informer_error(const struct kube_informer *informer);
/* Time since the last sign of life of the watch that has been silent longest; 0 before the first.
 */
int64_t kube_informer_age_ms(const struct kube_informer *informer);
