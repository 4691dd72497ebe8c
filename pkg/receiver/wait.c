/* Waits for the builds of the stored changes, and answers with those that start in time. */
#include "receiver/wait.h"

#include "base/mem.h"
#include "receiver/notes.h"

#include <stdio.h>

static const struct delivery_start *find_progress(const struct delivery *d, enum progress_kind kind)
{
	for (size_t i = 0; i < d->n_starts; i++)
		if (!d->starts[i].is_duplicate && d->starts[i].has_progress &&
		    d->starts[i].progress == kind)
			return &d->starts[i];
	return NULL;
}

static bool has_json(const struct delivery *d)
{
	for (size_t i = 0; i < d->n_starts; i++)
		if (d->starts[i].json)
			return true;
	return false;
}

static bool is_waiting(const struct delivery *d)
{
	for (size_t i = 0; i < d->n_starts; i++)
		if (!d->starts[i].is_duplicate && !d->starts[i].has_progress)
			return true;
	return false;
}

/* "started cart-7 for a push of main 3f2a1b0" */
static void put_started(struct buf *out, const struct delivery_start *start)
{
	const struct delivery_change *from = start->from;

	buf_printf(out, "started %s", start->build);
	if (from->ref)
		buf_printf(out, " for a push of %.*s", STR_ARG(ref_short(str_of(from->ref))));
	if (from->ref && from->commit)
		buf_printf(out, " %.7s", from->commit);
}

/* A push that moved several refs gets one warning that names its other builds, and one for changes
 * that still wait. */
static void answer_started(struct delivery *d, const struct delivery_start *shown, struct str json)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(ANSWER_MAX_BYTES);
	CLEANUP(buf_release) struct buf started = BUF_INIT(ANSWER_MAX_BYTES);
	CLEANUP(buf_release) struct buf waiting = BUF_INIT(ANSWER_MAX_BYTES);
	struct answer_build build = {.json = json};

	for (size_t i = 0; i < d->n_starts; i++) {
		const struct delivery_start *start = &d->starts[i];

		if (start == shown || start->is_duplicate)
			continue;
		if (start->has_progress && start->progress == PROGRESS_STARTED)
			buf_printf(&started, "%s%s",
				   started.len ? ", " : "also started: ", start->build);
		else if (!start->has_progress || start->progress == PROGRESS_WAITING)
			buf_printf(&waiting, "%s%s",
				   waiting.len ? ", " : "builds that wait: ", start->from->ref);
	}
	put_started(&message, shown);
	build.message = message.data;
	if (started.len > 0)
		build.warnings[build.n_warnings++] = started.data;
	if (waiting.len > 0)
		build.warnings[build.n_warnings++] = waiting.data;
	if (d->event->warning)
		build.warnings[build.n_warnings++] = d->event->warning;
	delivery_log(d, "", shown->build, NULL);
	delivery_answer_build(d, &build);
}

static void answer_queued(struct delivery *d, const char *why)
{
	char message[700];

	(void)snprintf(message, sizeof(message),
		       "the delivery is stored, and its build starts later%s%s", *why ? ": " : "",
		       why);
	delivery_log(d, outcome_name(OUTCOME_QUEUED), "", NULL);
	delivery_answer(d, 202, OUTCOME_QUEUED, message);
}

/* `oc start-build` needs an API that only OpenShift has. */
static void answer_duplicate(struct delivery *d, const struct delivery_start *start)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(ANSWER_MAX_BYTES);

	buf_put_str(&message, STR("this delivery was received before"));
	if (*start->build)
		buf_printf(&message, " and started build %s", start->build);
	else
		buf_put_str(&message, STR(", and its build has not started yet"));
	if (d->receiver->is_openshift)
		buf_printf(&message, "; to build again: oc start-build %.*s -n %.*s",
			   STR_ARG(d->route.name), STR_ARG(d->route.namespace_));
	else
		buf_printf(&message,
			   "; to build again: kubectl buildhook start %.*s -n %.*s (on OpenShift: "
			   "oc start-build %.*s)",
			   STR_ARG(d->route.name), STR_ARG(d->route.namespace_),
			   STR_ARG(d->route.name));
	delivery_log(d, outcome_name(OUTCOME_DUPLICATE), start->build, NULL);
	delivery_answer(d, 200, OUTCOME_DUPLICATE, message.data);
}

/*
 * All outcomes are known, or the time is up. JSON is the text of the build that was reported last.
 */
static void answer(struct delivery *d, const struct delivery_start *last, struct str json)
{
	const struct delivery_start *started = find_progress(d, PROGRESS_STARTED);
	const struct delivery_start *ended = find_progress(d, PROGRESS_ENDED);
	const struct delivery_start *waiting = find_progress(d, PROGRESS_WAITING);

	if (started) {
		answer_started(d, started, started == last ? json : str_of(started->json));
	} else if (waiting || is_waiting(d)) {
		answer_queued(d, waiting ? waiting->message : "");
	} else if (ended) {
		delivery_log(d, outcome_name(ended->outcome), "", NULL);
		delivery_answer(d, 200, ended->outcome, ended->message);
	} else {
		answer_duplicate(d, &d->starts[0]);
	}
}

static void on_timeout(void *arg)
{
	answer(arg, NULL, (struct str){0});
}

static void on_progress(void *arg, const struct progress *item)
{
	struct delivery_start *start = arg;
	struct delivery *d = start->delivery;

	start->wait = NULL;
	start->has_progress = true;
	start->progress = item->kind;
	start->outcome = item->kind == PROGRESS_ENDED ? item->outcome : OUTCOME_START;
	(void)snprintf(start->build, sizeof(start->build), "%s", item->build);
	(void)snprintf(start->message, sizeof(start->message), "%s", item->message);
	if (!is_waiting(d))
		answer(d, start, item->build_json);
	else if (item->kind == PROGRESS_STARTED && !has_json(d))
		start->json = str_dup(item->build_json);
}

/* Puts the ref that would be built; for a Generic delivery without a ref the BuildConfig's own. */
static void put_ref(struct buf *out, const struct delivery *d, const struct delivery_change *from)
{
	const struct buildconfig *bc = delivery_buildconfig(d);

	if (from->ref)
		buf_printf(out, "%s%s%.7s", from->ref, from->commit ? " " : "",
			   from->commit ? from->commit : "");
	else if (bc && *bc->git_ref)
		buf_printf(out, "%s, the BuildConfig's own ref", bc->git_ref);
	else if (bc && bc->has_git)
		buf_put_str(out, STR("the default branch of the BuildConfig's repository"));
	else
		buf_put_str(out, STR("the BuildConfig's source"));
}

/* Nothing was stored; the journal said which changes would be duplicates. */
static void answer_dry_run(struct delivery *d)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(ANSWER_MAX_BYTES);
	size_t n = 0;

	for (size_t i = 0; i < d->n_starts; i++) {
		if (d->starts[i].is_duplicate || d->starts[i].has_progress)
			continue;
		buf_put_str(&message, n++ ? STR(", ") : STR("dry run: this would build "));
		put_ref(&message, d, d->starts[i].from);
	}
	if (n == 0)
		answer(d, NULL, (struct str){0});
	else
		delivery_answer(d, 200, OUTCOME_DRY_RUN, message.data);
}

static void read_result(struct delivery_start *start, struct delivery *d,
			const struct journal_add_result *result)
{
	start->delivery = d;
	start->seq = result->seq;
	start->is_duplicate = result->added == JOURNAL_DUPLICATE;
	(void)snprintf(start->build, sizeof(start->build), "%s", result->build);
	if (result->added != JOURNAL_OUTDATED)
		return;
	start->has_progress = true;
	start->progress = PROGRESS_ENDED;
	start->outcome = OUTCOME_SUPERSEDED;
	(void)snprintf(start->message, sizeof(start->message),
		       "a newer push of %.200s was built: %s", start->from->ref, result->build);
}

void wait_for_builds(struct delivery *d, const struct journal_add_result *results, size_t n)
{
	struct receiver *r = d->receiver;
	/* --start-timeout begins with the end of the body: the sender has waited for the proof
	 * already. */
	int64_t due_ms = d->body_end_ms + r->opt.start_timeout_ms;
	int64_t left_ms = due_ms - clock_mono_ms(r->opt.services->clock);

	for (size_t i = 0; i < n; i++)
		read_result(&d->starts[i], d, &results[i]);
	if (d->is_dry_run) {
		answer_dry_run(d);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct delivery_start *start = &d->starts[i];

		if (start->is_duplicate)
			continue;
		if (start->has_progress) {
			note_outcome(d, start->from, start->outcome, start->message, NULL);
			continue;
		}
		note_outcome(d, start->from, OUTCOME_QUEUED, NULL, NULL);
		start->wait = waiters_add(r->opt.services->waiters, start->seq, on_progress, start);
	}
	if (!is_waiting(d)) {
		answer(d, NULL, (struct str){0});
		return;
	}
	queue_add(r->opt.services->queue, d->key);
	if (!kube_client_is_up(r->opt.services->client))
		left_ms = 0;
	delivery_enter(d, PHASE_BUILD);
	delivery_set_timer(d, left_ms, on_timeout);
}
