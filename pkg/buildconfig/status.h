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

/*
 * Of a value, all of it: texts from outside are cleaned, and cut at a character boundary. Addresses
 * are ours and longer.
 */
#define STATUS_VALUE_BYTES 200
#define STATUS_URL_BYTES   1024

enum status_secret_state {
	STATUS_SECRET_UNKNOWN, /* not asked for yet */
	STATUS_SECRET_USABLE,
	STATUS_SECRET_MISSING,  /* there is none of that name */
	STATUS_SECRET_DENIED,   /* we may not read it */
	STATUS_SECRET_UNUSABLE, /* it has no value that counts */
};

/* One of a hook's secrets as it was found. Inline ones are usable and not looked at. */
struct status_secret {
	enum status_secret_state state;
	/* What is wrong in words, where the caller knows more than the state says ("create Secret
	 * x: 403 forbidden"); NULL or "" else. */
	const char *problem;
};

/* One TYPE. Texts may be NULL. Zeroed: nothing has been seen since start. */
struct status_hook {
	/* Of bc->hooks[i].secrets, in that order. */
	struct status_secret secrets[BUILDCONFIG_MAX_SECRETS];
	bool is_dirty;    /* what follows has not been written to the object yet */
	int64_t last_ms;  /* wall clock of the newest delivery; 0 without */
	const char *last; /* its line, of status_format_last() */
	uint64_t refused; /* requests since start */
	int64_t refused_ms;
	const char *refused_why;
	uint64_t ref_mismatches;  /* since the last build */
	const char *mismatch_ref; /* short name of the newest */
	const char *hint;         /* of the newest delivery: verdict.hint */
};

struct status_input {
	const char *public_url; /* "https://hooks.example.com", with or without a slash at its end;
				   NULL or "": the path alone */
	bool provision;         /* secrets that are missing are made by us */
	int64_t now_ms; /* wall clock: lines on the object from the future are not believed */
	/*
	 * Of the whole, where no delivery has one of its own; NULL or "" else. And the wall clock
	 * of what it stems from: it goes when a delivery came well after that.
	 */
	const char *hint;
	int64_t hint_ms;
	struct status_hook hooks[HOOK_TYPES];
};

struct status_annotation {
	const char *key; /* static */
	char *value;     /* never empty */
};

/* What the object should hold of ours, in a fixed order. */
struct status {
	struct status_annotation items[BUILDCONFIG_STATUS_KEYS];
	size_t n;
	bool is_complete; /* false: a Secret has not been asked for, and the state is left as it is
			   */
};

/* An ignored BuildConfig (buildhook.io/ignore) should hold nothing. OUT is overwritten. */
void status_make(struct status *out, const struct buildconfig *bc,
		 const struct status_input *input);
/* For CLEANUP. */
void status_release(struct status *status);

enum status_change {
	STATUS_SAME,
	STATUS_REFUSED, /* only lines about refused requests differ */
	STATUS_CHANGED,
};

/* What an apply would change on the object that BC was made from. */
enum status_change status_compare(const struct status *status, const struct buildconfig *bc);
/*
 * Of what an apply would do. It cannot take away a key that somebody else wrote too (an exported
 * file that was applied again): where the object still differs after an apply, and this is what it
 * was before, applying again changes nothing.
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
