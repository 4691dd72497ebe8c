#include "controller/line.h"

#include "buildconfig/status.h"
#include "controller/internal.h"

void line_note(struct controller *c, const struct journal_change *change, enum outcome outcome,
	       const char *build, const char *why)
{
	struct hook_activity *activity;
	enum hook_type type;
	char text[ACTIVITY_LINE_BYTES];
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
	activity = activity_get(c->opt.services->activity, change->uid, type);
	status_format_last(text, sizeof(text), &line);
	if (outcome == OUTCOME_START) {
		activity->ignored_row = 0;
		if (activity->built_ms <= change->accepted_ms) {
			activity->built_ms = change->accepted_ms;
			memcpy(activity->built, text, sizeof(text));
		}
	} else if (outcome != OUTCOME_QUEUED) {
		activity_add_unbuilt(c->opt.services->activity, change->uid, type,
				     change->accepted_ms, text);
	}
	activity->is_dirty = true;
	if (activity->last_ms > change->accepted_ms)
		return;
	activity->last_ms = change->accepted_ms;
	memcpy(activity->last, text, sizeof(text));
}
