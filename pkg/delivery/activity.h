/*
 * The activity of each hook since start, for the status annotations: the line of the newest
 * delivery, refused requests, ignored pushes. In memory; what must not be lost is in the journal.
 * Bounded: one entry per hook of a known BuildConfig.
 */
#pragma once

#include "delivery/outcome.h"
#include "delivery/type.h"

#define ACTIVITY_LINE_BYTES 256
#define ACTIVITY_UNBUILT    10

struct activity;

/* The texts are NUL-terminated, "" where there is nothing. */
struct hook_activity {
	int64_t last_ms; /* wall clock of the newest delivery; 0 without */
	/* Its text without the time: "push main 3f2a1b0 by alice -> cart-7" */
	char last[ACTIVITY_LINE_BYTES];
	uint64_t refused;
	int64_t refused_ms; /* wall clock of the newest refusal */
	char refused_why[ACTIVITY_LINE_BYTES];
	int64_t built_ms; /* wall clock of the newest delivery that started a build; 0 without */
	char built[ACTIVITY_LINE_BYTES]; /* its line, in the form of `last` */
	bool used_previous; /* the newest delivery was signed with the secret's value before a
			       rotation */
	char hint[ACTIVITY_LINE_BYTES];         /* a hint of the newest delivery, "" without */
	uint64_t ignored;                       /* deliveries that built nothing, since start */
	char ignored_line[ACTIVITY_LINE_BYTES]; /* line of the newest of them, in the form of `last`
						 */
	/*
	 * The newest deliveries were ignored for the same reason (enum outcome of
	 * buildconfig/verdict.h) and the same thing: a full ref, or an event's name. row is how
	 * many; 0 after a build.
	 */
	enum outcome ignored_reason;
	uint64_t ignored_row;
	char ignored_what[ACTIVITY_LINE_BYTES];
	/*
	 * Something was added since the status was last written. The caller that sets this, having
	 * found it unset, puts the BuildConfig into the work queue.
	 */
	bool is_dirty;
	/* All that was added are refused requests, which may be written a minute later: what else
	 * comes puts the BuildConfig into the work queue again. */
	bool has_refusals_alone;
};

/* A delivery or request that built nothing, as one line without the time. */
struct unbuilt_line {
	int64_t ms; /* wall clock */
	char *text; /* "github push wip 9e0d4c2 by bob -> ignored: RefMismatch" */
};

struct activity *activity_new(void);
void activity_free(struct activity *activity);
/* The entry of a hook, made if there is none; lent until activity_drop() of its BuildConfig. */
struct hook_activity *activity_get(struct activity *activity, const char *uid, enum hook_type type);
/* NULL if there is none. An entry takes more than a KiB, so callers that only read use this. */
struct hook_activity *activity_find(const struct activity *activity, const char *uid,
				    enum hook_type type);
/*
 * Keeps "TYPE LINE" among the newest ACTIVITY_UNBUILT of a BuildConfig, in the place of one with
 * the same key, so that what repeats does not displace the others.
 */
void activity_add_unbuilt(struct activity *activity, const char *uid, enum hook_type type,
			  int64_t ms, const char *line);
/*
 * The newest delivery of the hook, whose line and time are set, built nothing. WHAT: its full ref,
 * or the name of the event; NULL without.
 */
void activity_note_ignored(struct activity *activity, const char *uid, enum hook_type type,
			   enum outcome reason, const char *what);
/* How many bytes of an outcome's text are its key: all, but of "TYPE refused: WHY" the two words.
 */
size_t activity_key_bytes(struct str text);
/* Returns how many; OUT points to them, in no order, lent until the next call that adds one. */
size_t activity_find_unbuilt(const struct activity *activity, const char *uid,
			     const struct unbuilt_line **out);
/* The BuildConfig is gone. */
void activity_drop(struct activity *activity, const char *uid);
