/*
 * Starting a build exactly once, as a function: from what is seen (the row, the BuildConfig, the
 * Builds looked at, the time) to the next step. docs/architecture.md, "Exactly one build", is the
 * rule; each part of it stands at the line that obeys it. Pure: start.c carries the steps out, and
 * tells this file what came of them by start_learn_*().
 *
 * A start begins at its first step whenever the row is taken up again. Of an earlier attempt only
 * struct start_memory is used.
 */
#pragma once

#include "controller/build_body.h"
#include "delivery/outcome.h"
#include "kube/client.h"

/* openshift-apiserver gives a request up after 60 s: a Build that it has not made 5 s later never
 * comes. */
#define START_SETTLED_MS 65000
/* How many Builds below status.lastVersion are looked at, one by one. */
#define START_MAX_LOOKS 64

/* How far the look at earlier Builds has come for one change: it does not begin again after a
 * failed request, or it would never end on a bad network. */
struct look_back {
	int64_t seq;     /* seq of the change; 0: none */
	int64_t version; /* status.lastVersion at which it began */
	int64_t at;      /* the next number to look at */
	bool is_settled; /* no number up to `at` can still get its Build */
};

/* What is remembered of the Builds of one BuildConfig. May be lost at a restart. */
struct start_memory {
	/* Up to this number it is known which Build each number has, if any: it was made here,
	 * looked at, or can get none (start_learn_refused). -1: nothing is known. */
	int64_t known_version;
	/* lastVersion when the Builds up to known_version became known. */
	int64_t last_version;
	/*
	 * A resourceVersion at which all Builds up to known_version existed, or "". A list that is
	 * not older than that has every one of them.
	 */
	char fresh[32];
	/* Wall clock: the newest time at which a change of one of those Builds was accepted. */
	int64_t known_accepted_ms;
	int64_t gap_number, gap_ms; /* since when the Build of that number is missing; monotonic */
	struct look_back look_back;
};

enum start_look {
	LOOK_NONE,    /* not looked at yet */
	LOOK_MISSING, /* there is no Build of that number */
	LOOK_OWN,     /* it carries this change's label */
	LOOK_NEWER,   /* it is of a newer push of the same ref */
	LOOK_OTHER,   /* neither */
	LOOK_OLD,     /* neither, and it was made more than START_SETTLED_MS ago */
};

struct start_seen {
	/* Given by the caller. */
	const struct journal_change *change;
	char label[BUILD_DELIVERY_LABEL_CHARS +
		   1];     /* the change's label, of build_delivery_label() */
	bool is_repeat;    /* a request of unknown outcome was sent before */
	bool is_openshift; /* the backend is openshift; else kubernetes */
	int64_t wall_ms, mono_ms;
	/* status.lastVersion in the cache, and since when it is known (monotonic); 0: never. */
	int64_t cached_version, cached_version_ms;
	struct start_memory memory; /* the caller keeps it for the next start */

	/* Learned from answers. */
	bool is_read, is_gone, is_paused; /* the BuildConfig */
	int64_t version;                  /* its status.lastVersion */
	/* Builds with our label were asked for, after the BuildConfig was read, or beside its read:
	 * that holds for the Builds up to known_version only. */
	bool is_listed, is_listed_beside;
	int64_t look_from;     /* the highest number that had to be looked at */
	bool is_settled_above; /* no number up to look_from can still get its Build */
	enum start_look looks[START_MAX_LOOKS]; /* of look_from, look_from - 1, ... */
	size_t n_looks;
	int64_t tried;                /* kubernetes: a number that was taken; 0: none */
	enum start_look at_tried;     /* what Build has that number */
	bool is_stale;                /* openshift: lastVersion is not what was sent */
	char build[BUILD_NAME_BYTES]; /* name of the change's Build; "" as long as there is none */
	int64_t number;               /* its number; 0: not known */
	bool is_shown;                /* its document was read */
	bool is_told;                 /* the start has succeeded and was reported */
	bool is_raise_over;           /* kubernetes: lastVersion was raised or need not be */
};

enum start_step_kind {
	START_READ_BC,     /* consistent: no resourceVersion */
	START_LIST_OWN,    /* Builds with our label; not older than `fresh`, "": consistent */
	START_READ_BOTH,   /* the two side by side; `fresh` is not "" */
	START_GET_BUILD,   /* consistent, of `number` */
	START_RECORD,      /* the row says that there may be a request before there is one */
	START_INSTANTIATE, /* openshift: `number` is the lastVersion sent as compare-and-set */
	START_CREATE,      /* kubernetes: the Build with `number` */
	START_SUCCEED,     /* report the Build; the start is not over yet */
	START_RAISE,       /* kubernetes: status.lastVersion, to `number` */
	START_END,         /* end without a build, with `state`, `outcome` and `by` */
	START_WAIT,        /* wait for wait_ms, then begin again; `number`: its Build is missing */
	START_DONE,        /* after START_SUCCEED: nothing is left to do */
};

struct start_step {
	enum start_step_kind kind;
	int64_t number;
	const char *fresh;
	enum journal_state state;
	enum outcome outcome;
	int64_t by; /* START_END, superseded: the number of the newer push's Build */
	int64_t wait_ms;
	int64_t missing_ms; /* START_WAIT with a number: for how long it has been missing */
	/* The values for struct start_memory, to be kept before the step is carried out. */
	int64_t known_version;
	struct look_back look_back;
};

/* Fills in the members that follow from CHANGE; the caller fills in the others that are given. */
void start_begin(struct start_seen *seen, const struct journal_change *change);
void start_plan(const struct start_seen *seen, struct start_step *next);
/* Keeps NEXT's values in seen->memory. */
void start_remember(struct start_seen *seen, const struct start_step *next);

/* The answer to START_READ_BC. DOC is NULL for a 404. */
void start_learn_buildconfig(struct start_seen *seen, const cJSON *doc);
/* The answer to START_LIST_OWN, or IS_BESIDE: to the list of START_READ_BOTH. */
void start_learn_own(struct start_seen *seen, const cJSON *list, bool is_beside);
void start_learn_build(struct start_seen *seen, int64_t number, const cJSON *doc);
/* The answer to START_INSTANTIATE or START_CREATE: the new Build. */
void start_learn_made(struct start_seen *seen, const cJSON *build);

/* What an answer to START_INSTANTIATE or START_CREATE means. */
enum start_answer {
	START_ANSWER_MADE,
	START_ANSWER_TAKEN,   /* kubernetes: another Build has the name */
	START_ANSWER_STALE,   /* openshift: lastVersion has moved */
	START_ANSWER_PAUSED,  /* openshift: the BuildConfig is paused */
	START_ANSWER_RETRY,   /* a passing failure, or one that somebody can mend */
	START_ANSWER_GIVE_UP, /* the same, until --give-up */
	START_ANSWER_FAIL,    /* the request itself is wrong: a retry is useless */
};
enum start_answer start_judge(const struct start_seen *seen, const struct kube_response *response);
/* For an answer of the last three kinds. Returns true if no request of this change can be under
 * way. */
bool start_learn_refused(struct start_seen *seen, const struct kube_response *response);
