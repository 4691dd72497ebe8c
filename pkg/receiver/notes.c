#include "receiver/notes.h"

#include "buildconfig/status.h"

#include <stdio.h>

/* A dirty entry is in the work queue already, for the time at which it is to be written. */
static void tell_controller(struct delivery *d, struct hook_activity *activity, bool is_refusal)
{
	bool had_refusals_alone = !activity->is_dirty || activity->has_refusals_alone;

	if (!activity->is_dirty || (had_refusals_alone && !is_refusal))
		queue_add(d->receiver->opt.services->queue, d->key);
	activity->has_refusals_alone = had_refusals_alone && is_refusal;
	activity->is_dirty = true;
}

void note_bound(struct delivery *d)
{
	tell_controller(d, activity_get(d->receiver->opt.services->activity, d->uid, d->route.type),
			false);
}

/* Gitea's tests bear the name of pushes. */
static const char *event_word(const struct delivery_event *event)
{
	if (!event || event->kind == DELIVERY_PUSH)
		return "push";
	if (event->kind == DELIVERY_PING && strcmp(event->name, "push") == 0)
		return "test";
	return event->name;
}

void note_outcome(struct delivery *d, const struct delivery_change *change, enum outcome outcome,
		  const char *build, const char *why)
{
	struct hook_activity *activity =
		activity_get(d->receiver->opt.services->activity, d->uid, d->route.type);
	const struct status_line line = {
		.event = event_word(d->event),
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
	tell_controller(d, activity, false);
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
	tell_controller(d, activity, true);
}
