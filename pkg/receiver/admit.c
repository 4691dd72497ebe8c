/* The proof holds: what does the delivery say, and what is to be done? */
#include "receiver/exchange.h"

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

/* What is worth telling of a delivery although it builds. */
static const char *hint_of(const struct exchange *x)
{
	for (size_t i = 0; i < x->n_changes; i++)
		if (*x->changes[i].verdict.hint)
			return x->changes[i].verdict.hint;
	return "";
}

void admit_note(struct exchange *x, const struct hook_change *change, enum outcome reason,
		const char *build, const char *why)
{
	struct hook_activity *activity =
		activity_get(x->receiver->opt.activity, x->uid, x->route.type);
	const struct status_line line = {
		.event = x->event && x->event->kind != HOOK_PUSH ? x->event->name : "push",
		.ref = change ? change->ref : NULL,
		.commit = change ? change->commit : NULL,
		.who = x->event ? x->event->pusher : NULL,
		.is_delete = change && change->is_delete,
		.reason = reason,
		.build = build,
		.why = why,
	};

	activity->last_ms = x->accepted_ms;
	(void)snprintf(activity->hint, sizeof(activity->hint), "%s", hint_of(x));
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
static void answer_nothing(struct exchange *x, const struct hook_change *change,
			   enum outcome reason, const char *message, const char *why)
{
	exchange_log(x, outcome_name(reason), NULL, message);
	if (!x->is_dry_run)
		admit_note(x, change, reason, NULL, why);
	exchange_answer(x, 200, reason, message);
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

static void decide_change(struct change *out, const struct exchange *x,
			  const struct hook_change *from)
{
	const struct hook_event *event = x->event;
	struct verdict_input input = {
		.is_generic = x->route.type == HOOK_GENERIC,
		.ref = str_of(from->ref),
		.is_delete = from->is_delete,
		.message = str_of(from->message),
		.default_branch = str_of(event->default_branch),
		.repositories = (const char *const *)event->repositories,
		.files = str_range(event->files, event->files_bytes),
		.have_all_files = event->have_all_files,
	};

	while (input.n_repositories < ARRAY_LEN(event->repositories) &&
	       event->repositories[input.n_repositories])
		input.n_repositories++;
	out->from = from;
	verdict_decide(&out->verdict, exchange_buildconfig(x), &input, &x->receiver->opt.verdict);
	out->reason = out->verdict.reason;
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static struct journal_change to_row(const struct exchange *x, const struct change *change)
{
	const struct buildconfig *bc = exchange_buildconfig(x);
	const struct hook_change *from = change->from;

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

static size_t keep_starts(struct exchange *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n_changes; i++)
		if (x->changes[i].reason == OUTCOME_START)
			x->changes[n++] = x->changes[i];
	return n;
}

static void store(struct exchange *x)
{
	struct journal *journal = x->receiver->opt.journal;
	struct journal_change rows[HOOK_MAX_CHANGES];

	x->n_changes = keep_starts(x);
	for (size_t i = 0; i < x->n_changes; i++)
		rows[i] = to_row(x, &x->changes[i]);
	x->ticket = x->is_dry_run ? journal_ask(journal, rows, x->n_changes, on_stored, x)
				  : journal_add(journal, rows, x->n_changes, on_stored, x);
	if (!x->ticket)
		exchange_unavailable(
			x, "too many deliveries are waiting to be stored; send it again later");
}

static size_t decide_changes(struct exchange *x)
{
	size_t n_starts = 0;

	x->n_changes = x->event->n_changes;
	x->changes = mem_new(x->n_changes, sizeof(*x->changes));
	for (size_t i = 0; i < x->n_changes; i++) {
		struct change *change = &x->changes[i];

		decide_change(change, x, &x->event->changes[i]);
		if (change->reason != OUTCOME_START)
			continue;
		n_starts++;
		if (n_starts > 1 && x->event->is_first_match_only) {
			change->reason = OUTCOME_SUPERSEDED;
			n_starts--;
		}
	}
	return n_starts;
}

static const char *no_ref(const struct exchange *x)
{
	if (x->route.type == HOOK_GENERIC)
		return "the payload's git names no ref; this BuildConfig builds a ref. Send it in "
		       "git.ref, or leave git out to build the BuildConfig's own";
	return "the push moved no ref, so there is nothing to build";
}

static void admit_push(struct exchange *x)
{
	size_t n_starts;

	if (x->event->n_changes == 0) {
		answer_nothing(x, NULL, OUTCOME_EVENT_IGNORED, no_ref(x), NULL);
		return;
	}
	n_starts = decide_changes(x);
	if (n_starts == 0)
		answer_nothing(x, x->changes[0].from, x->changes[0].reason,
			       x->changes[0].verdict.message, x->changes[0].verdict.brief);
	else
		store(x);
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
	char message[200];
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
	switch (x->event->kind) {
	case HOOK_PING:
		answer_nothing(x, NULL, OUTCOME_PING, "the webhook works: its secret is right",
			       NULL);
		return;
	case HOOK_OTHER:
		(void)snprintf(message, sizeof(message),
			       "event \"%s\" starts no build; pushes do. Nothing is wrong, but it "
			       "need not be sent",
			       x->event->name);
		answer_nothing(x, NULL, OUTCOME_EVENT_IGNORED, message, NULL);
		return;
	case HOOK_PUSH:
		admit_push(x);
		return;
	}
}
