/*
 * Annotation buildhook.io/hint: the one thing that is most worth mending. The rules are a list in
 * order of importance; docs/annotations.md has a row for each. Pure.
 */
#pragma once

#include "buildconfig/status.h"

/* Who knows what a rule tells of. */
enum hint_source {
	HINT_OF_OBJECT,   /* every replica sees it: what the object holds is not needed */
	HINT_OF_REPLICA,  /* the replica that met it: others leave it on the object */
	HINT_OF_DELIVERY, /* as that, and only the replica with the newest delivery may say it */
};

/* The newest deliveries of a BuildConfig, as this replica and the object know them. */
struct status_newest {
	int64_t held_ms, ours_ms;       /* wall clock; 0 without */
	const struct status_hook *hook; /* of ours; zeroed without */
	size_t type;
	bool is_ours;   /* no delivery is newer than ours, which the object does not show yet */
	bool has_built; /* some delivery is known to have started a build */
};

struct hint_view {
	const struct buildconfig *bc;
	const struct status_input *input;
	const struct status_newest *newest;
};

struct hint_rule {
	const char *phrase; /* part of each hint of this rule, and of no other's */
	enum hint_source source;
	/* False, with nothing written, where there is nothing to say. */
	bool (*put)(struct buf *out, const struct hint_view *view);
	/* HELD, which the object has of this rule, is over; NULL: when a newer delivery came. */
	bool (*is_over)(const struct hint_view *view, struct str held);
};

extern const struct hint_rule hint_rules[];
extern const size_t n_hint_rules;

/* HELD is what the object holds. Nothing is written where there is nothing to say. */
void hint_put(struct buf *out, const struct buildconfig *bc, const struct status_input *input,
	      const struct status_newest *newest, struct str held);
