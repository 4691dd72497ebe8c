#include "receiver/notes.h"

#include "buildconfig/status.h"

#include <stdio.h>

/* A dirty entry is in the work queue already. */
static void tell_controller(struct delivery *d, struct hook_activity *activity)
{
	if (!activity->is_dirty)
		queue_add(d->receiver->opt.services->queue, d->key);
	activity->is_dirty = true;
}

void note_bound(struct delivery *d)
{
	tell_controller(d,
			activity_get(d->receiver->opt.services->activity, d->uid, d->route.type));
}

void note_outcome(struct delivery *d, const struct delivery_change *change, enum outcome outcome,
		  const char *build, const char *why)
{
	struct hook_activity *activity =
		activity_get(d->receiver->opt.services->activity, d->uid, d->route.type);
	const struct status_line line = {
		.event = d->event && d->event->kind != DELIVERY_PUSH ? d->event->name : "push",
		.ref = change ? change->ref : NULL,
		.commit = change ? change->commit : NULL,
		.who = d->event ? d->event->pusher : NULL,
		.is_delete = change && change->is_delete,
		.reason = outcome,
		.build = build,
		.why = why,
	};

	activity->last_ms = d->accepted_ms;
	activity->used_previous = d->used_previous;
	STR_JOIN(activity->hint, str_of(d->hint));
	status_format_last(activity->last, sizeof(activity->last), &line);
	if (outcome != OUTCOME_START && outcome != OUTCOME_QUEUED && outcome != OUTCOME_PING &&
	    outcome != OUTCOME_DUPLICATE)
		activity_note_ignored(d->receiver->opt.services->activity, d->uid, d->route.type,
				      outcome, change ? change->ref : line.event);
	tell_controller(d, activity);
}

void note_refusal(struct delivery *d, const char *why)
{
	const struct buildconfig *bc = delivery_buildconfig(d);
	struct hook_activity *activity = NULL;
	char line[ACTIVITY_LINE_BYTES + 16];

	if (!bc)
		return;
	activity = activity_get(d->receiver->opt.services->activity, bc->uid, d->route.type);
	activity->refused++;
	activity->refused_ms = clock_wall_ms(d->receiver->opt.services->clock);
	(void)snprintf(activity->refused_why, sizeof(activity->refused_why), "%s", why);
	(void)snprintf(line, sizeof(line), "refused: %s", activity->refused_why);
	activity_add_unbuilt(d->receiver->opt.services->activity, bc->uid, d->route.type,
			     activity->refused_ms, line);
	tell_controller(d, activity);
}
