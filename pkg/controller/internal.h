/* What the controller's files share. Not for other folders. */
#pragma once

#include "base/hash.h"
#include "base/mem.h"
#include "buildconfig/buildconfig.h"
#include "controller/build_order.h"
#include "controller/controller.h"
#include "controller/event.h"
#include "controller/flood.h"
#include "controller/origin.h"
#include "controller/plan.h"
#include "controller/secret.h"
#include "controller/status.h"

struct work;

/* Refused requests alone are no reason to write more often. */
#define REFUSED_INTERVAL_MS 60000

/* What is remembered of one BuildConfig between two looks at it. Lost at a restart without harm. */
struct object {
	struct controller *controller;
	char *key; /* "namespace/name" */
	UT_hash_handle hh;
	struct work *work; /* under way, or NULL */
	struct flood flood;
	struct timer resync;
	/* status.lastVersion in the store, and since when; monotonic. */
	int64_t seen_version, seen_version_ms;
	unsigned throttled_reads; /* since the last build that was started */
	struct order_memory order;
	struct secret_memory secrets;
	struct status_memory status;
	struct origin_memory origin;
};

struct controller {
	struct controller_options opt;
	struct flood_limit limit;
	struct object *objects;
	size_t n_working;
	char *public_url;
	struct event_log *events;
	/* Status writes of all BuildConfigs: 5/s. */
	struct flood_limit status_limit;
	struct flood status_flood;
	/* Looking at Secrets again: 10/s. */
	struct flood_limit resync_limit;
	struct flood resync_flood;
	struct metrics_series *reconciles[3]; /* by enum reconcile_result */
	struct metrics_series *reconcile_seconds, *reconcile_errors, *active;
};

enum reconcile_result { RECONCILE_SUCCESS, RECONCILE_ERROR, RECONCILE_REQUEUE };

/*
 * One action under way: embedded first in the struct of each kind. It ends exactly once, with
 * work_end().
 */
struct work {
	struct controller *controller;
	struct object *object;
	struct kube_call *call;
	struct kube_secret_lookup *lookup;
	void (*release)(struct work *work); /* frees it */
	int64_t began_ms;
};

void work_begin(struct work *work, struct object *object, void (*release)(struct work *work));
/* Frees WORK; its key can be worked on again, and is, after AGAIN_MS (-1: when something changes).
 */
void work_end(struct work *work, enum reconcile_result result, int64_t again_ms);
/* Starts a request of WORK; its function must clear work->call first: work_take_call(). */
void work_call(struct work *work, const struct kube_request *request, kube_response_fn fn);
/* work_call() for one of them, as a consistent read (no resourceVersion): what was written before
 * is seen. */
void work_get_buildconfig(struct work *work, const char *namespace_, const char *name,
			  kube_response_fn fn);
void work_get_build(struct work *work, const char *namespace_, const char *bc_name, int64_t number,
		    kube_response_fn fn);

/* NULL when there is none. */
const struct buildconfig *object_buildconfig(const struct object *object);
/* "namespace" and "name" of the key; OUT has KUBE_NAME_BYTES each. */
#define KUBE_NAME_BYTES 256
void object_split(const struct object *object, char *namespace_, char *name);

/* Exponential from BASE_MS to MAX_MS, with jitter in its upper half. ATTEMPTS: failures so far, at
 * least 1. */
int64_t backoff_ms(struct clock *clock, unsigned attempts, int64_t base_ms, int64_t max_ms);

/* observe.c */
/* CHANGE lives as long as the call. Secrets are lent. */
struct observation {
	struct observed seen;
	struct status status;
};
void observe(struct observation *out, struct object *object);
void observation_release(struct observation *observation);
/* Tells all who wait for a change of this BuildConfig that it cannot start now. */
void tell_waiting(const struct object *object, const char *why);

/* build.c */
void build_act(struct object *object, int64_t seq);
void build_supersede(struct object *object, int64_t seq);

/* metrics.c */
void controller_metrics_init(struct controller *controller);
void controller_count_reconcile(struct controller *controller, enum reconcile_result result);
void controller_count_build(struct controller *controller, const char *provider, int64_t took_ms);
