/*
 * The reconciler. For one BuildConfig at a time it looks at what is (store, Secrets, journal),
 * finds the single next thing that is needed (plan.h), does it, and comes back. It provisions
 * Secrets, starts builds, writes status annotations and Events; it takes no HTTP requests.
 */
#pragma once

#include "services/services.h"

enum controller_backend { CONTROLLER_KUBERNETES, CONTROLLER_OPENSHIFT };

/* Everything is borrowed and must outlive the controller. */
struct controller_options {
	const struct services *services;
	enum controller_backend backend;
	const char *public_url; /* copied; "": not known */
	const char *instance;   /* for Events: the Pod's or host's name */
	bool provision;
	int64_t give_up_ms;
	int64_t status_interval_ms;
	int64_t resync_ms;
	int64_t secret_ttl_ms;
	int64_t rotation_grace_ms;
	unsigned build_burst;
	double builds_per_minute; /* 0: no limit */
};

struct controller;

struct controller *controller_new(const struct controller_options *options);
/* Cancels actions under way; the journal still holds their changes. */
void controller_free(struct controller *controller);

/* Works on the keys that wait in the queue, as many as may be worked on at once. For the queue's
 * on_ready. */
void controller_run(void *arg);
/* From the store. OLD and NEW_ are struct buildconfig or NULL. */
void controller_on_change(struct controller *controller, const char *key, const void *old,
			  const void *new_);
/* The base of the URLs that annotations show. */
void controller_set_public_url(struct controller *controller, const char *url);
/* The store is synced, or the API server answers again: all keys that waited for that are added to
 * the queue. */
void controller_resume(struct controller *controller);
/* No action is under way, and none is possible now: the process can end without losing time. */
bool controller_is_idle(const struct controller *controller);
