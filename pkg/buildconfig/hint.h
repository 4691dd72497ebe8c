/*
 * Annotation buildhook.io/hint: the one thing that is most worth mending. The rules are a list in
 * order of importance; docs/annotations.md has a row for each. Pure.
 */
#pragma once

#include "buildconfig/status.h"

/* Which replica knows the facts of a rule. */
enum hint_source {
	HINT_OF_OBJECT,   /* every replica: a held hint is never kept */
	HINT_OF_REPLICA,  /* only the replica that met them; others leave the hint */
	HINT_OF_DELIVERY, /* so, and only the replica with the newest delivery may write it */
};

/* The newest deliveries of a BuildConfig, as this replica and the object know them. */
struct status_newest {
	int64_t held_ms, ours_ms;       /* wall clock; 0 without */
	const struct status_hook *hook; /* with our newest delivery, or zeroed */
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
	/* True if HELD, a hint of this rule on the object, no longer holds. NULL: it holds until a
	 * newer delivery comes. */
	bool (*is_over)(const struct hint_view *view, struct str held);
};

extern const struct hint_rule hint_rules[];
extern const size_t n_hint_rules;

/* HELD is what the object holds. Nothing is written where there is nothing to say. */
void hint_put(struct buf *out, const struct buildconfig *bc, const struct status_input *input,
	      const struct status_newest *newest, struct str held);
