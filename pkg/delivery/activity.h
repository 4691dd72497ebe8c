/*
 * The activity of each hook since start, for the status annotations: the line of the newest
 * delivery, refused requests, ignored pushes. In memory; what must not be lost is in the journal.
 * Bounded: one entry per hook of a known BuildConfig.
 */
#pragma once

#include "delivery/type.h"

#define ACTIVITY_LINE_BYTES 256

struct activity;

/* The texts are NUL-terminated, "" where there is nothing. */
struct hook_activity {
	int64_t last_ms; /* wall clock of the newest delivery; 0 without */
	/* Its text without the time: "push main 3f2a1b0 by alice -> cart-7" */
	char last[ACTIVITY_LINE_BYTES];
	uint64_t refused;
	int64_t refused_ms; /* wall clock of the newest refusal */
	char refused_why[ACTIVITY_LINE_BYTES];
	uint64_t ref_mismatches;                /* since the last build */
	char mismatch_ref[ACTIVITY_LINE_BYTES]; /* short name of the newest mismatch */
	char hint[ACTIVITY_LINE_BYTES];         /* a hint of the newest delivery, "" without */
	uint64_t ignored;                       /* deliveries that built nothing, since start */
	char ignored_line[ACTIVITY_LINE_BYTES]; /* the newest of them, as `last` */
	/*
	 * Something was added since the status was last written. The caller that sets this, having
	 * found it unset, puts the BuildConfig into the work queue.
	 */
	bool is_dirty;
};

struct activity *activity_new(void);
void activity_free(struct activity *activity);
/* The entry of a hook, made if there is none; lent until activity_drop() of its BuildConfig. */
struct hook_activity *activity_get(struct activity *activity, const char *uid, enum hook_type type);
/* NULL if there is none. An entry takes more than a KiB, so callers that only read use this. */
struct hook_activity *activity_find(const struct activity *activity, const char *uid,
				    enum hook_type type);
/* The BuildConfig is gone. */
void activity_drop(struct activity *activity, const char *uid);
