/*
 * What buildhook says about itself on a BuildConfig: the annotations of `oc describe`, one fact a
 * key, one short line each. Pure: the caller says what it knows (struct status_input) and gets the
 * list that the object should hold, whether that differs from what it does hold, and the document
 * of the server-side apply. When to write is the caller's business.
 *
 * Several replicas write the same keys. Lines that stem from deliveries begin with their time: the
 * newest wins, and of two within a second the one that was not written yet (is_dirty). So replicas
 * that look at the same object do not undo each other's writes, and what an earlier process has
 * written stays until there is something newer.
 */
#pragma once

#include "buildconfig/verdict.h"
#include "delivery/activity.h"

/* Most bytes of an annotation's value: texts from outside are cleaned, and cut at a character
 * boundary. URLs are made by buildhook and may be longer. */
#define STATUS_VALUE_BYTES 200
#define STATUS_URL_BYTES   1024
/* In a hint: what follows the colon, to the hint's end, is a command to copy. */
#define STATUS_COMMAND ": kubectl "
/* Most lines and bytes of buildhook.io/recent: lines of STATUS_VALUE_BYTES, with a line break
 * between two. */
#define STATUS_RECENT_LINES 10
#define STATUS_RECENT_BYTES 2048

enum status_secret_state {
	STATUS_SECRET_UNKNOWN, /* not asked for yet */
	STATUS_SECRET_USABLE,
	STATUS_SECRET_MISSING,  /* there is none of that name */
	STATUS_SECRET_DENIED,   /* we may not read it */
	STATUS_SECRET_UNUSABLE, /* it has no usable value */
	STATUS_SECRET_FORMER,   /* it was made for a deleted BuildConfig of this name */
};

/* One of a hook's secrets as it was found. Inline ones are usable and not looked at. */
struct status_secret {
	enum status_secret_state state;
	/* What is wrong in words, where the caller knows more than the state says ("create Secret
	 * x: 403 forbidden"); NULL or "" else. */
	const char *problem;
	bool is_ours;              /* made by us: the only ones that are rotated */
	int64_t previous_until_ms; /* wall clock: the value before a rotation is accepted; 0: no */
	int64_t remade_ms;         /* wall clock: made again in place of one that was deleted; 0 */
};

/* One TYPE. Zeroed: nothing has been seen since start. */
struct status_hook {
	/* Of bc->hooks[i].secrets, in that order. */
	struct status_secret secrets[BUILDCONFIG_MAX_SECRETS];
	struct hook_activity activity;
};

struct status_input {
	const char *public_url; /* "https://hooks.example.com", with or without a slash at its end;
				   NULL or "": the path alone */
	bool provision;         /* secrets that are missing are made by us */
	int64_t now_ms; /* wall clock: lines on the object from the future are not believed */
	/* Why the oldest change cannot start now; NULL or "": none waits. With is_start_refused the
	 * API server has refused it, and what is to be done stands in the text, cause first. */
	const char *waiting;
	bool is_start_refused;
	/*
	 * For hints; NULL, "" or 0 where there is nothing to say. OpenShift's own webhook URL
	 * started a build: the words, and the wall clock of it.
	 */
	const char *origin;
	int64_t origin_ms;
	const char *unrun_build;    /* a Build of ours that nothing runs */
	bool builds_run;            /* a Build was seen to run */
	bool has_no_image_streams;  /* plain Kubernetes */
	bool is_redelivery_unknown; /* nobody has the delivery that bc->redeliver asks for */
	const char *over_bounds;    /* why deliveries are refused with 503, in words */
	int64_t kept_ms; /* ended deliveries are kept for less than the window: so long */
	struct status_hook hooks[HOOK_TYPES];
	const struct unbuilt_line *unbuilt;
	size_t n_unbuilt;
};

struct status_annotation {
	const char *key; /* static */
	char *value;     /* never empty */
};

/* The first word of a hook's state. */
enum status_state { STATUS_NO_STATE, STATUS_READY, STATUS_NOT_READY };

/* Of a held value; STATUS_NO_STATE for "" and for what buildhook does not write. */
enum status_state status_read_state(const char *value);

/* What the object should hold of ours, in a fixed order. */
struct status {
	struct status_annotation items[BUILDCONFIG_STATUS_KEYS];
	size_t n;
	enum status_state states[HOOK_TYPES]; /* as in the items */
	bool is_complete; /* false: a Secret has not been asked for, and the state is left as it is
			   */
};

/* An ignored BuildConfig (buildhook.io/ignore) should hold nothing. OUT is overwritten. */
void status_make(struct status *out, const struct buildconfig *bc,
		 const struct status_input *input);
/* The value of the hook's state; "" without. Lent. */
const char *status_state_text(const struct status *status, enum hook_type type);
/* For CLEANUP. */
void status_release(struct status *status);

/* What an apply would change on the object that BC was made from: flags of status_compare(). */
#define STATUS_SAME    0U
#define STATUS_REFUSED 1U /* lines about refused requests */
#define STATUS_RECENT  2U /* the list of what built nothing, which has those as well */
#define STATUS_CHANGED 4U /* the others */

unsigned status_compare(const struct status *status, const struct buildconfig *bc);
/*
 * Only the replica whose start waits can say why. The others, which know of no trouble or of a
 * milder one, leave its words on the object: otherwise replicas would replace each other's state
 * without end.
 */
/* True if the object's states show a worse trouble of waiting starts than STATUS does. */
bool status_is_milder(const struct status *status, const struct buildconfig *bc);
/* Keeps in STATUS each state of the object that shows a worse trouble. */
void status_keep_trouble(struct status *status, const struct buildconfig *bc);
/* A digest of the states that are not simply Ready: of STATUS, or where that is NULL of those that
 * the object holds. */
uint64_t status_trouble(const struct status *status, const struct buildconfig *bc);
/*
 * A digest of what an apply would change. An apply cannot remove a key that somebody else wrote too
 * (an exported file that was applied again): where the object still differs after an apply, and
 * this is what it was before, applying again changes nothing.
 */
uint64_t status_fingerprint(const struct status *status, const struct buildconfig *bc);
/* The body of the server-side apply: names, uid and the annotations alone. The caller's. */
cJSON *status_document(const struct status *status, const struct buildconfig *bc);

/* A delivery's change and what came of it. Texts may be NULL. */
struct status_line {
	const char *event; /* "push"; others as the host calls them */
	const char *ref;   /* full */
	const char *commit;
	const char *who;
	bool is_delete;
	/*
	 * OUTCOME_START with a build: "-> cart-7". OUTCOME_QUEUED (or no build yet): "-> waiting",
	 * OUTCOME_FAILED: "-> failed", all others: "-> ignored: RefMismatch"; each with WHY behind
	 * it where there is one (verdict.brief).
	 */
	enum outcome reason;
	const char *build;
	const char *why;
};

/* "push main 3f2a1b0 by alice -> cart-7": one clean line, without the time, that fits a status
 * value together with it. */
void status_format_last(char *out, size_t size, const struct status_line *line);
