/* What became of the changes that were stored: the builds, as far as they start in time. */
#include "receiver/exchange.h"

#include <stdio.h>

static const struct change *find_told(const struct exchange *x, enum progress_kind kind)
{
	for (size_t i = 0; i < x->n_changes; i++)
		if (!x->changes[i].is_duplicate && x->changes[i].is_told &&
		    x->changes[i].told == kind)
			return &x->changes[i];
	return NULL;
}

static bool has_json(const struct exchange *x)
{
	for (size_t i = 0; i < x->n_changes; i++)
		if (x->changes[i].json)
			return true;
	return false;
}

static bool is_waiting(const struct exchange *x)
{
	for (size_t i = 0; i < x->n_changes; i++)
		if (!x->changes[i].is_duplicate && !x->changes[i].is_told)
			return true;
	return false;
}

/* The other builds of a push that moved several refs, and what the payload's reader had to leave
 * out. */
static void put_warning(struct buf *out, const struct exchange *x, const struct change *shown)
{
	for (size_t i = 0; i < x->n_changes; i++) {
		const struct change *change = &x->changes[i];

		if (change != shown && change->is_told && change->told == PROGRESS_STARTED)
			buf_printf(out, "%s%s", out->len ? ", " : "also started: ", change->build);
		if (change != shown && !change->is_duplicate &&
		    (!change->is_told || change->told == PROGRESS_WAITING))
			buf_printf(out, "%sa build of %s waits", out->len ? "; " : "",
				   change->from->ref);
	}
	if (x->event->warning)
		buf_printf(out, "%s%s", out->len ? "; " : "", x->event->warning);
}

static void answer_started(struct exchange *x, const struct change *change, struct str json)
{
	CLEANUP(buf_release) struct buf warning = BUF_INIT(ANSWER_MAX_BYTES);
	char message[400];

	put_warning(&warning, x, change);
	exchange_log(x, "", change->build, NULL);
	if (json.n > 0) {
		exchange_answer_build(x, json, warning.len ? warning.data : "");
		return;
	}
	(void)snprintf(message, sizeof(message), "build %s was started", change->build);
	exchange_answer(x, 200, OUTCOME_START, message);
}

static void answer_queued(struct exchange *x, const char *why)
{
	char message[700];

	(void)snprintf(message, sizeof(message),
		       "the delivery is stored, and its build starts later%s%s", *why ? ": " : "",
		       why);
	exchange_log(x, outcome_name(OUTCOME_QUEUED), "", NULL);
	exchange_answer(x, 202, OUTCOME_QUEUED, message);
}

static void answer_duplicate(struct exchange *x, const struct change *change)
{
	const char *build = change->build;
	char message[900];

	if (*build)
		(void)snprintf(message, sizeof(message),
			       "this delivery was received before and started build %s; to build "
			       "again: oc start-build %.*s",
			       build, STR_ARG(x->route.name));
	else
		(void)snprintf(message, sizeof(message),
			       "this delivery was received before, and its build has not started "
			       "yet; to build again: "
			       "oc start-build %.*s",
			       STR_ARG(x->route.name));
	exchange_log(x, outcome_name(OUTCOME_DUPLICATE), build, NULL);
	exchange_answer(x, 200, OUTCOME_DUPLICATE, message);
}

/* All is known, or time is up. JSON is that of the build told last. */
static void answer(struct exchange *x, const struct change *last, struct str json)
{
	const struct change *started = find_told(x, PROGRESS_STARTED);
	const struct change *ended = find_told(x, PROGRESS_ENDED);
	const struct change *waiting = find_told(x, PROGRESS_WAITING);

	if (started) {
		answer_started(x, started, started == last ? json : str_of(started->json));
	} else if (waiting || is_waiting(x)) {
		answer_queued(x, waiting ? waiting->message : "");
	} else if (ended) {
		exchange_log(x, outcome_name(ended->reason), "", NULL);
		exchange_answer(x, 200, ended->reason, ended->message);
	} else {
		answer_duplicate(x, &x->changes[0]);
	}
}

static void on_timeout(void *arg)
{
	answer(arg, NULL, (struct str){0});
}

static void on_progress(void *arg, const struct progress *item)
{
	struct change *change = arg;
	struct exchange *x = change->exchange;

	change->wait = NULL;
	change->is_told = true;
	change->told = item->kind;
	change->reason = item->kind == PROGRESS_ENDED ? item->outcome : OUTCOME_START;
	(void)snprintf(change->build, sizeof(change->build), "%s", item->build);
	(void)snprintf(change->message, sizeof(change->message), "%s", item->message);
	if (!is_waiting(x))
		answer(x, change, item->build_json);
	else if (item->kind == PROGRESS_STARTED && !has_json(x))
		change->json = str_dup(item->build_json);
}

/* None of the changes is in the journal by this delivery. */
static void answer_dry_run(struct exchange *x)
{
	CLEANUP(buf_release) struct buf message = BUF_INIT(ANSWER_MAX_BYTES);
	size_t n = 0;

	for (size_t i = 0; i < x->n_changes; i++) {
		const char *ref = x->changes[i].from->ref;

		if (!x->changes[i].is_duplicate)
			buf_printf(&message, "%s%s", n++ ? ", " : "dry run: this would build ",
				   ref ? ref : "the BuildConfig's own ref");
	}
	if (n == 0)
		answer_duplicate(x, &x->changes[0]);
	else
		exchange_answer(x, 200, OUTCOME_DRY_RUN, message.data);
}

static void read_result(struct change *change, struct exchange *x,
			const struct journal_add_result *result)
{
	change->exchange = x;
	change->seq = result->seq;
	change->is_duplicate = result->added == JOURNAL_DUPLICATE;
	(void)snprintf(change->build, sizeof(change->build), "%s", result->build);
}

void wait_for_builds(struct exchange *x, const struct journal_add_result *results, size_t n)
{
	struct receiver *r = x->receiver;
	/* The sender has waited for the proof already. */
	int64_t due_ms = x->body_end_ms + r->opt.start_timeout_ms;
	int64_t left_ms = due_ms - clock_mono_ms(r->opt.clock);

	for (size_t i = 0; i < n; i++)
		read_result(&x->changes[i], x, &results[i]);
	if (x->is_dry_run) {
		answer_dry_run(x);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct change *change = &x->changes[i];

		if (change->is_duplicate)
			continue;
		admit_note(x, change->from, OUTCOME_QUEUED, NULL, NULL);
		change->wait = waiters_add(r->opt.waiters, change->seq, on_progress, change);
	}
	if (!is_waiting(x)) {
		answer(x, NULL, (struct str){0});
		return;
	}
	queue_add(r->opt.queue, x->key);
	if (!kube_client_is_up(r->opt.client))
		left_ms = 0;
	timer_start(r->opt.clock, &x->timer, left_ms > 0 ? left_ms : 0, on_timeout, x);
}

void wait_release(struct exchange *x)
{
	if (x->ticket)
		journal_forget(x->receiver->opt.journal, x->ticket);
	for (size_t i = 0; i < x->n_changes; i++) {
		waiters_cancel(x->changes[i].wait);
		free(x->changes[i].json);
	}
	free(x->changes);
}
