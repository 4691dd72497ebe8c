/* The reconciler's rules: from what is seen of one BuildConfig to the one thing to do next. Pure:
 * struct observed holds all that the rules read, times included. */
#pragma once

#include "buildconfig/buildconfig.h"
#include "journal/journal.h"
#include "kube/secrets.h"

/* How often a Secret of a deleted BuildConfig of the same name is looked at. */
#define FORMER_INTERVAL_MS 2000
/* The longest wait between two attempts of an action that failed. */
#define MAX_BACKOFF_MS       (5 * 60 * 1000)
#define OBSERVED_MAX_SECRETS (HOOK_TYPES * BUILDCONFIG_MAX_SECRETS)

struct observed_secret {
	const char *name;
	int type; /* index of the first hook that uses it */
	const struct kube_secret *secret;
	bool is_owned;       /* carries an ownerReference to this BuildConfig */
	bool wants_rotation; /* a rotation is asked for and not done yet */
	bool is_former; /* of a deleted BuildConfig of this name: the garbage collector is about to
			   take it */
};

/* The oldest change that has not ended. */
struct observed_change {
	int64_t seq;
	int64_t next_attempt_ms; /* wall clock */
	bool has_successor;      /* a newer change of the same ref waits */
	bool is_uncertain;       /* a start was sent, and what came of it is not known */
};

struct observed {
	const struct buildconfig *bc; /* NULL: there is none (any more) */
	int64_t wall_ms;
	bool is_api_up;
	const char *api_trouble; /* why the API server is not up */
	bool is_provisioning;
	struct observed_secret secrets[OBSERVED_MAX_SECRETS];
	size_t n_secrets;
	int64_t secret_wait_ms; /* until Secrets may be written: after a failure, or until another
				   replica's turn is over. 0: now */
	int64_t recheck_ms;     /* monotonic: Secrets fetched before this are fetched again */
	size_t n_changes;
	struct observed_change change;
	int64_t newest_seq;    /* seq of the newest change that has not ended */
	int64_t start_wait_ms; /* until the next step of the oldest one's start; 0: now */
	const char *waits_for; /* why that start, or its next attempt, waits; "": not known */
	int64_t token_wait_ms; /* until the flood limit lets a build start; 0: now */
	bool wants_redelivery; /* annotation redeliver asks for a delivery that this journal may
				  hold */
	int64_t redelivery_wait_ms; /* until the next step of the redelivery; 0: now */
	bool wants_run_look;    /* it is to be found out whether anything runs Builds (runner.c) */
	int64_t run_wait_ms;    /* until that look; 0: now */
	bool is_status_stale;   /* the object's annotations differ from those that it should have */
	bool is_status_overdue; /* and have differed for MAX_STATUS_DELAY_MS */
	int64_t status_wait_ms; /* until status may be written; 0: now */
	int64_t others_wait_ms; /* for how long another replica's trouble still stays on the object;
				   0: none */
	bool has_unknown_build; /* there is a Build of a number that was not raised here (origin.c)
				 */
	int64_t look_wait_ms;   /* until that Build is looked at; not positive: now */
};

enum action_kind {
	ACTION_NONE,
	ACTION_FETCH_SECRET,
	ACTION_CREATE_SECRET,
	ACTION_COMPLETE_SECRET, /* a Secret of ours without the key */
	ACTION_ROTATE_SECRET,
	ACTION_END_PREVIOUS, /* the old value of a rotated secret is no longer accepted */
	ACTION_OWN_SECRET,   /* a Secret of ours that has no ownerReference to this BuildConfig */
	ACTION_START_BUILD,
	ACTION_SUPERSEDE, /* ends the change */
	ACTION_LOOK_FOR_RUNNER,
	ACTION_REDELIVER,
	ACTION_WRITE_STATUS,
	ACTION_LOOK_AT_BUILD, /* to learn which endpoint started it */
};

struct action {
	enum action_kind kind;
	const struct observed_secret *secret;
	int64_t seq; /* seq of the change */
	/* Why changes have to wait, for their Git hosts; "" where none has to. */
	const char *waiting;
	/* ACTION_NONE: when to look again; -1: when something changes. */
	int64_t wait_ms;
};

void plan(const struct observed *seen, struct action *next);
