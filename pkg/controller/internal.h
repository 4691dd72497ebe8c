/* What the controller's files share. Not for other folders. */
#pragma once

#include "base/hash.h"
#include "base/mem.h"
#include "buildconfig/buildconfig.h"
#include "buildconfig/status.h"
#include "controller/controller.h"
#include "controller/flood.h"
#include "controller/plan.h"

struct work;
struct event_log;

/* Refused requests alone are no reason to write more often. */
#define REFUSED_INTERVAL_MS 60000

/* The newest Build of another's webhook endpoint: origin.c. Zeroed: none was seen. */
struct origin {
	size_t type;     /* its hook */
	int64_t hint_ms; /* wall clock of its creation */
	char hint[200];
};

/*
 * How far the look at earlier Builds has come for one change: a request that fails must not have it
 * begin anew, or a bad network would never let it end.
 */
struct look_back {
	int64_t seq;     /* of the change; 0: none */
	int64_t version; /* where it began */
	int64_t at;      /* the next one */
	bool is_settled;
};

/* What is remembered of one BuildConfig between two looks at it. Lost at a restart without harm. */
struct object {
	struct controller *controller;
	char *key; /* "namespace/name" */
	UT_hash_handle hh;
	struct work *work; /* under way, or NULL */
	struct flood flood;
	struct timer resync;
	/* All of these monotonic, 0: never. */
	int64_t recheck_ms;          /* Secrets fetched before this are looked at again */
	int64_t secret_retry_ms;     /* not before */
	int64_t status_ms;           /* the last status write */
	int64_t status_due_ms;       /* since when a write is wanted */
	int64_t status_retry_ms;     /* not before */
	uint64_t status_fingerprint; /* of the last status write */
	/* Wall clock; the newest push that another's Build up to known_version is of. */
	int64_t known_accepted_ms;
	int64_t gap_number, gap_ms; /* since when the Build of that number is missing; monotonic */
	int64_t seen_version, seen_version_ms; /* the store's lastVersion, and since when; monotonic
						*/
	int64_t known_version;  /* Builds up to this number were started here or looked at; -1: none
				 */
	int64_t looked_version; /* newer Builds have not been asked who started them */
	bool has_looked_version;
	struct look_back look_back;
	struct origin origin;
	unsigned secret_failures, status_failures;
	unsigned throttled_reads; /* since the last build that was started */
	uint32_t ignored_told[BUILDCONFIG_HOOKS], refused_told[BUILDCONFIG_HOOKS];
	char *trouble;        /* why a Secret could not be made or read, or NULL */
	char *trouble_secret; /* and which */
	bool is_not_ready_told;
	/* The cluster lets nobody set owners of what he may not delete; asked again at the resync.
	 */
	bool is_owning_denied;
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
void object_set_trouble(struct object *object, const char *secret, const char *text);

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

/* secret.c */
void secret_act(struct object *object, const struct action *action);

/* build.c */
void build_act(struct object *object, int64_t seq);
void build_supersede(struct object *object, int64_t seq);

/* origin.c */
void origin_observe(struct observed *seen, struct object *object);
/* A Build of this BuildConfig, whoever started it. */
void origin_note(struct object *object, const cJSON *build);
void origin_act(struct object *object);

/* status.c */
void status_observe(struct status *out, const struct object *object, const struct buildconfig *bc,
		    const struct observed *seen);
/* The object shows what is to be shown: what is added from here on is news again. */
void status_settle(struct object *object, const struct buildconfig *bc);
void status_act(struct object *object, const struct buildconfig *bc, const struct status *status);
/* event.c */
struct event_log *event_log_new(struct controller *controller);
void event_log_free(struct event_log *log);
enum event_type { EVENT_NORMAL, EVENT_WARNING };
/* Sends an Event, or counts a repeat of one of the last minutes. Failure is logged and otherwise
 * ignored. */
void event_send(struct controller *controller, const struct buildconfig *bc, enum event_type type,
		const char *reason, const char *note);

/* metrics.c */
void controller_metrics_init(struct controller *controller);
void controller_count_reconcile(struct controller *controller, enum reconcile_result result);
void controller_count_build(struct controller *controller, const char *provider, int64_t took_ms);
