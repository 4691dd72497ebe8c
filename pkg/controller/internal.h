/* What the controller's files share. Not for other folders. */
#pragma once

#include "base/hash.h"
#include "base/mem.h"
#include "buildconfig/buildconfig.h"
#include "controller/controller.h"
#include "controller/event.h"
#include "controller/origin.h"
#include "controller/plan.h"
#include "controller/redelivery.h"
#include "controller/rest.h"
#include "controller/runner.h"
#include "controller/secret.h"
#include "controller/start.h"
#include "controller/status.h"
#include "controller/token_bucket.h"
#include "controller/work.h"

/* The first refused request after a quiet minute shows at once, the next ones once a minute. */
#define REFUSED_INTERVAL_MS 60000

/*
 * The controller's memory of one BuildConfig between two reconciles. May be lost at a restart. A
 * BuildConfig at rest (rest.h) has none.
 */
struct object {
	struct controller *controller;
	UT_hash_handle hh;
	struct work *work;          /* under way, or NULL */
	struct token_bucket bucket; /* limits how often its builds start */
	/* status.lastVersion in the store, and since when; monotonic. */
	int64_t cached_version, cached_version_ms;
	unsigned
		throttled_reads; /* reads that were answered 429 since the last build was started */
	/* All senders of changes up to this one have been told to wait no longer; each sender waits
	 * once, from the acceptance of its change on. */
	int64_t told_seq;
	struct start_memory order;
	struct start_trouble *trouble; /* why the start waits, or NULL */
	bool has_status_turn;          /* it may write its status now: one of 5/s */
	struct secret_memory secrets;
	struct status_memory status;
	struct origin_memory origin;
	struct redelivery_memory redelivery;
	struct runner_memory runner;
	char key[]; /* "namespace/name" */
};

/* Requests go over two connections; more keys at once would only wait there. */
#define MAX_WORKING 64

struct controller {
	struct controller_options opt;
	struct token_bucket_limit limit;
	struct object *objects;
	/* controller_run(), for files below controller.c: works on the next keys when fewer than
	 * MAX_WORKING are worked on. */
	void (*run)(void *controller);
	size_t n_working;
	char *public_url;
	struct event_log *events;
	/* Status writes of all BuildConfigs: 5/s, for which namespaces take turns. */
	struct token_bucket_limit status_limit;
	struct token_bucket status_bucket;
	struct queue *status_turns; /* keys that want to write their status */
	struct timer status_turn;   /* until the next of them may */
	int64_t run_seen_ms;        /* monotonic: a Build was seen to run; 0: none */
	int64_t run_free_ms;        /* monotonic: runner.c asks nothing before */
	int64_t synced_ms;          /* monotonic: the first list was complete; 0: not yet */
	struct timer look;          /* until the Secrets of the next BuildConfigs are read again */
	struct metrics_series *reconciles[3]; /* by enum reconcile_result */
	struct metrics_series *reconcile_seconds, *reconcile_errors, *active;
};

/* observe.c */
/* The Secrets that seen.secrets point at are lent by kube/secrets.h. */
struct observation {
	struct observed seen;
	struct status status;
};
void observe(struct observation *out, struct object *object);
void observation_release(struct observation *observation);
/* Tells each sender that waits for a change of this BuildConfig, NEWEST_SEQ or an older one, that
 * it cannot start now. */
void tell_waiting(struct object *object, int64_t newest_seq, const char *why);

/* metrics.c */
void controller_metrics_init(struct controller *controller);
void controller_count_reconcile(struct controller *controller, enum reconcile_result result);
void controller_count_build(struct controller *controller, const char *provider, int64_t took_ms);
void controller_count_failure(struct controller *controller, const char *provider);
