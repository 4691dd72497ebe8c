/* Writes the annotations of buildconfig/status.h, and the Events that go with them. */
#pragma once

#include "buildconfig/status.h"

struct object;
struct observed;

/* Zeroed: nothing was written. Times are monotonic; 0: never. */
struct status_memory {
	int64_t written_ms;   /* the last write */
	int64_t refused_ms;   /* the last write about refused requests */
	int64_t due_ms;       /* since when a write is wanted */
	int64_t retry_ms;     /* no attempt before this */
	uint64_t fingerprint; /* of the last write: status_fingerprint() */
	unsigned failures;    /* in a row */
	/* The counters of the hook (delivery/activity.h) up to which Events were sent. */
	uint32_t ignored_told[HOOK_TYPES], refused_told[HOOK_TYPES];
	size_t bound_told;     /* as journal_limits.n_refused */
	int64_t bound_free_ms; /* no Event of it before this */
	bool is_not_ready_told;
	uint64_t trouble;   /* status_trouble() of the object */
	bool knows_trouble; /* `trouble` is up to date */
	/* Monotonic: since when the object shows another replica's trouble; 0: this replica may
	 * replace what it shows. */
	int64_t others_ms;
	unsigned others_n; /* how often such trouble was replaced because of its age */
};

/* Fills OUT from what is known of the BuildConfig. */
void status_observe(struct status *out, struct object *object, const struct buildconfig *bc,
		    struct observed *seen);
/*
 * A start of this replica has ended, so it no longer leaves another replica's words on the object.
 */
void status_note_start(struct status_memory *memory);
/* The object shows what it should: only activity from here on has to be written. */
void status_settle(struct object *object, const struct buildconfig *bc);
void status_act(struct object *object, const struct buildconfig *bc, const struct status *status);
