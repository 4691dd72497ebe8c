/* From an event to the changes that build: the verdicts of all its changes put together. */
#include "buildconfig/decision.h"

#include "base/mem.h"

#include <stdio.h>

static void ignore(struct decision *out, enum outcome reason, const char *message)
{
	out->reason = reason;
	(void)snprintf(out->message, sizeof(out->message), "%s", message);
}

static void decide_push(struct decision *out, const struct buildconfig *bc,
			const struct delivery_event *event, const struct verdict_options *options)
{
	out->starts = mem_new(event->n_changes, sizeof(const struct delivery_change *));
	for (size_t i = 0; i < event->n_changes; i++) {
		const struct delivery_change *change = &event->changes[i];
		struct verdict verdict;

		verdict_decide(&verdict, bc, event, change, options);
		if (!*out->hint)
			memcpy(out->hint, verdict.hint, sizeof(out->hint));
		if (verdict.reason == OUTCOME_START) {
			out->starts[out->n_starts++] = change;
			if (event->is_first_match_only || out->n_starts == DELIVERY_MAX_STARTS)
				break;
		} else if (!out->change) {
			out->change = change;
			out->reason = verdict.reason;
			memcpy(out->message, verdict.message, sizeof(out->message));
			memcpy(out->brief, verdict.brief, sizeof(out->brief));
		}
	}
	if (out->n_starts == 0)
		return;
	out->reason = OUTCOME_START;
	out->change = NULL;
	*out->message = *out->brief = '\0';
}

void decision_make(struct decision *out, const struct buildconfig *bc,
		   const struct delivery_event *event, const struct verdict_options *options)
{
	*out = (struct decision){0};
	if (event->kind == DELIVERY_PING) {
		ignore(out, OUTCOME_PING, "the webhook works: its secret is right");
	} else if (event->kind == DELIVERY_OTHER) {
		out->reason = OUTCOME_EVENT_IGNORED;
		(void)snprintf(out->message, sizeof(out->message),
			       "event \"%s\" starts no build; pushes do. Nothing is wrong, but it "
			       "need not be sent",
			       event->name);
	} else if (event->n_changes > 0) {
		decide_push(out, bc, event, options);
	} else if (event->type == HOOK_GENERIC) {
		ignore(out, OUTCOME_EVENT_IGNORED,
		       "the payload's git names no ref; this BuildConfig builds a ref. Send it in "
		       "git.ref, or leave git out to build the BuildConfig's own");
	} else {
		ignore(out, OUTCOME_EVENT_IGNORED,
		       "the push moved no ref, so there is nothing to build");
	}
}

void decision_release(struct decision *decision)
{
	mem_free(&decision->starts);
	decision->n_starts = 0;
}
