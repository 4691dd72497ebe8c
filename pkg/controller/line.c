#include "controller/line.h"

#include "buildconfig/status.h"
#include "controller/internal.h"

void line_note(struct controller *c, const struct journal_change *change, enum outcome outcome,
	       const char *build, const char *why)
{
	struct hook_activity *activity;
	enum hook_type type;
	const struct status_line line = {
		.event = "push",
		.ref = change->ref,
		.commit = change->commit,
		.who = change->pusher,
		.reason = outcome,
		.build = build,
		.why = why,
	};

	if (!hook_type_parse(str_of(change->type), &type))
		return;
	activity = activity_get(c->opt.activity, change->uid, type);
	if (activity->last_ms > change->accepted_ms)
		return;
	activity->last_ms = change->accepted_ms;
	activity->is_dirty = true;
	if (outcome == OUTCOME_START)
		activity->ref_mismatches = 0;
	status_format_last(activity->last, sizeof(activity->last), &line);
}
