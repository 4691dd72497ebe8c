/*
 * The parts that receiver and controller share: the API client and what is known through it, the
 * journal, the work queue. pkg/app makes them and frees them; the others borrow them.
 */
#pragma once

#include "delivery/activity.h"
#include "delivery/waiters.h"
#include "journal/journal.h"
#include "kube/informer.h"
#include "kube/secrets.h"
#include "metrics/metrics.h"
#include "queue/queue.h"

struct services {
	struct clock *clock;     /* borrowed */
	struct metrics *metrics; /* borrowed */
	struct kube_client *client;
	struct kube_informer *buildconfigs;
	struct kube_store *store; /* of struct buildconfig; the informer's */
	struct kube_secrets *secrets;
	struct journal *journal;
	struct waiters *waiters;
	struct activity *activity;
	struct queue *queue; /* keys of BuildConfigs, "namespace/name" */
};

struct services_options {
	struct clock *clock;
	struct metrics *metrics;
	struct kube_transport transport; /* taken over, also on failure */
	const char *data_dir;
	/* As in struct journal_options. */
	int64_t dedupe_window_ms;
	int64_t journal_size_bytes;
	size_t max_replaced;
	void (*wake)(void *arg);
	void *wake_arg;
	int64_t secret_ttl_ms;
	/* Of the BuildConfigs that are watched. Borrowed. */
	const char *const *namespaces;
	size_t n_namespaces; /* 0: all */
	const char *selector;
	/* As in struct kube_store_type, struct kube_informer_options and queue_new(). */
	void (*on_buildconfig)(void *arg, const char *key, const void *old, const void *new_);
	void (*on_synced)(void *arg);
	void (*on_queue)(void *arg);
	void *arg;
};

/* Errors are the journal's. On failure OUT is as after services_release(). */
int services_init(struct services *out, const struct services_options *options, struct err *err);
/* Everything that borrows them must be gone. */
void services_release(struct services *services);
