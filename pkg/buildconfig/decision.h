/*
 * What a whole delivery means for a BuildConfig: which of its changes start builds, or why none
 * does. Pure: the receiver decides with it, and so can a command that has no server.
 *
 * `buildhook explain NAME FILE` makes the event with hook_delivery_new() and its neighbours
 * (hook/hook.h; hook_request.needs_no_proof, since the caller's own file proves nothing), calls
 * decision_make() for the answer that the delivery would get, and verdict_explain()
 * (buildconfig/verdict.h) once for each of event->changes to list the rules. `explain NAME --ref R`
 * does the same with an event that it fills in itself:
 *
 *     struct delivery_change change = {.ref = "refs/heads/main"};
 *     struct delivery_event event = {.type = HOOK_GITHUB, .changes = &change, .n_changes = 1};
 */
#pragma once

#include "buildconfig/verdict.h"

struct decision {
	/* OUTCOME_START where at least one change is to build; else the answer's reason. */
	enum outcome reason;
	/* Where nothing builds: the change that the reason is about, NULL without one, ... */
	const struct delivery_change *change;
	char message[512]; /* ... the answer to the delivery in a sentence, ... */
	char brief[160];   /* ... and for the status line, "" without one: as struct verdict. */
	/* Worth reporting although it builds, "" without: as struct verdict. */
	char hint[256];
	/* The changes to build, in their order, at most DELIVERY_MAX_STARTS; the event owns them.
	 */
	const struct delivery_change **starts;
	size_t n_starts;
};

/* OPTIONS may be NULL. OUT refers to EVENT. */
void decision_make(struct decision *out, const struct buildconfig *bc,
		   const struct delivery_event *event, const struct verdict_options *options);
/* For CLEANUP. */
void decision_release(struct decision *decision);
