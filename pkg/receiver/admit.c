/* The proof holds: what does the delivery say, and what is to be done? */
#include "receiver/exchange.h"

#include "buildconfig/decision.h"
#include "buildconfig/status.h"
#include "crypto/crypto.h"

#include <stdio.h>

#define RANDOM_ID_BYTES 16

static const char *host_of(const struct exchange *x)
{
	return hook_host_name(hook_delivery_host(x->delivery));
}

/* A dirty entry is in the work queue already. */
static void tell_controller(struct exchange *x, struct hook_activity *activity)
{
	if (!activity->is_dirty)
		queue_add(x->receiver->opt.queue, x->key);
	activity->is_dirty = true;
}

void admit_note(struct exchange *x, const struct delivery_change *change, enum outcome reason,
		const char *build, const char *why)
{
	struct hook_activity *activity =
		activity_get(x->receiver->opt.activity, x->uid, x->route.type);
	const struct status_line line = {
		.event = x->event && x->event->kind != DELIVERY_PUSH ? x->event->name : "push",
		.ref = change ? change->ref : NULL,
		.commit = change ? change->commit : NULL,
		.who = x->event ? x->event->pusher : NULL,
		.is_delete = change && change->is_delete,
		.reason = reason,
		.build = build,
		.why = why,
	};

	activity->last_ms = x->accepted_ms;
	(void)snprintf(activity->hint, sizeof(activity->hint), "%s", x->hint);
	status_format_last(activity->last, sizeof(activity->last), &line);
	if (change && reason == OUTCOME_REF_MISMATCH) {
		activity->ref_mismatches++;
		(void)snprintf(activity->mismatch_ref, sizeof(activity->mismatch_ref), "%.*s",
			       STR_ARG(str_cut_utf8(ref_short(str_of(change->ref)), 100)));
	}
	if (reason != OUTCOME_START && reason != OUTCOME_QUEUED && reason != OUTCOME_PING &&
	    reason != OUTCOME_DUPLICATE) {
		activity->ignored++;
		memcpy(activity->ignored_line, activity->last, sizeof(activity->ignored_line));
	}
	tell_controller(x, activity);
}

/* Nothing is built: says why, to the status and to the host. */
static void answer_nothing(struct exchange *x, const struct decision *decision)
{
	exchange_log(x, outcome_name(decision->reason), NULL, decision->message);
	if (!x->is_dry_run)
		admit_note(x, decision->change, decision->reason, NULL, decision->brief);
	exchange_answer(x, 200, decision->reason, decision->message);
}

static void answer_unreadable(struct exchange *x, const struct err *err)
{
	bool is_gitlab = x->route.type == HOOK_GITLAB;

	exchange_log(x, outcome_name(OUTCOME_UNREADABLE), NULL, err->msg);
	if (!x->is_dry_run)
		admit_note(x, NULL, OUTCOME_UNREADABLE, NULL, err->msg);
	/* GitLab switches a hook off for good after four 4xx. */
	if (is_gitlab)
		exchange_answer(x, 200, OUTCOME_UNREADABLE, err->msg);
	else
		exchange_answer(x, 400, OUTCOME_UNREADABLE, err->msg);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static struct journal_change to_row(const struct exchange *x, const struct change *change)
{
	const struct buildconfig *bc = exchange_buildconfig(x);
	const struct delivery_change *from = change->from;

	return (struct journal_change){
		.accepted_ms = x->accepted_ms,
		.uid = bc->uid,
		.namespace_ = bc->namespace_,
		.name = bc->name,
		.type = hook_type_name(x->route.type),
		.host = host_of(x),
		.delivery_id = x->delivery_id,
		.ref = text(from->ref),
		.commit = text(from->commit),
		.author_name = text(from->author.name),
		.author_email = text(from->author.email),
		.committer_name = text(from->committer.name),
		.committer_email = text(from->committer.email),
		.message = text(from->message),
		.pusher = text(x->event->pusher),
		.env_json = text(x->event->env_json),
		.options_json = text(x->event->options_json),
		.warning = text(x->event->warning),
	};
}

static void on_stored(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	struct exchange *x = arg;

	x->ticket = 0;
	if (status != ERR_OK)
		exchange_unavailable(x, "the delivery could not be stored; send it again later");
	else
		wait_for_builds(x, results, n);
}

static void store(struct exchange *x)
{
	struct journal *journal = x->receiver->opt.journal;
	struct journal_change rows[HOOK_MAX_CHANGES];

	for (size_t i = 0; i < x->n_changes; i++)
		rows[i] = to_row(x, &x->changes[i]);
	x->ticket = x->is_dry_run ? journal_ask(journal, rows, x->n_changes, on_stored, x)
				  : journal_add(journal, rows, x->n_changes, on_stored, x);
	if (!x->ticket)
		exchange_unavailable(
			x, "too many deliveries are waiting to be stored; send it again later");
}

/* A delivery without an id is one of its own. */
static void set_delivery_id(struct exchange *x, const char *sent)
{
	unsigned char random[RANDOM_ID_BYTES];

	if (*sent) {
		(void)snprintf(x->delivery_id, sizeof(x->delivery_id), "%s", sent);
		return;
	}
	clock_random(x->receiver->opt.clock, random, sizeof(random));
	crypto_hex(x->delivery_id, random, sizeof(random));
}

void admit(struct exchange *x)
{
	struct err err = {0};
	CLEANUP(decision_release) struct decision decision = {0};
	int status;

	x->accepted_ms = clock_wall_ms(x->receiver->opt.clock);
	x->is_dry_run =
		str_eq_nocase(http_header(x->request, "X-Buildhook-Dry-Run", NULL), STR("true"));
	set_delivery_id(x, hook_delivery_id(x->delivery));
	status = hook_delivery_finish(x->delivery, &x->event, &err);
	if (status != 0) {
		x->event = NULL;
		answer_unreadable(x, &err);
		return;
	}
	decision_make(&decision, exchange_buildconfig(x), x->event, &x->receiver->opt.verdict);
	memcpy(x->hint, decision.hint, sizeof(x->hint));
	if (decision.reason != OUTCOME_START) {
		answer_nothing(x, &decision);
		return;
	}
	x->n_changes = decision.n_starts;
	x->changes = mem_new(x->n_changes, sizeof(*x->changes));
	for (size_t i = 0; i < x->n_changes; i++)
		x->changes[i].from = decision.starts[i];
	store(x);
}
