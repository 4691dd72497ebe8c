/* Reads a delivery whose proof holds, and decides what is to be done. */
#include "receiver/admit.h"

#include "base/mem.h"
#include "buildconfig/decision.h"
#include "crypto/crypto.h"
#include "receiver/notes.h"
#include "receiver/wait.h"

#include <stdio.h>

#define RANDOM_ID_BYTES 16

/* Nothing is built: reports the reason to the status and to the Git host. */
static void answer_nothing(struct delivery *d, const struct decision *decision)
{
	delivery_log(d, outcome_name(decision->reason), NULL, decision->message);
	if (!d->is_dry_run)
		note_outcome(d, decision->change, decision->reason, NULL, decision->brief);
	delivery_answer(d, 200, decision->reason, decision->message);
}

static void answer_unreadable(struct delivery *d, const struct err *err)
{
	bool is_gitlab = d->route.type == HOOK_GITLAB;

	delivery_log(d, outcome_name(OUTCOME_UNREADABLE), NULL, err->msg);
	if (!d->is_dry_run)
		note_outcome(d, NULL, OUTCOME_UNREADABLE, NULL, err->msg);
	/* GitLab switches a hook off for good after four 4xx. */
	if (is_gitlab)
		delivery_answer(d, 200, OUTCOME_UNREADABLE, err->msg);
	else
		delivery_answer(d, 400, OUTCOME_UNREADABLE, err->msg);
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static struct journal_change to_row(const struct delivery *d, const struct delivery_start *start)
{
	const struct buildconfig *bc = delivery_buildconfig(d);
	const struct delivery_change *from = start->from;

	return (struct journal_change){
		.accepted_ms = d->accepted_ms,
		.uid = bc->uid,
		.namespace_ = bc->namespace_,
		.name = bc->name,
		.type = hook_type_name(d->route.type),
		.host = d->provider,
		.delivery_id = d->id,
		.ref = text(from->ref),
		.commit = text(from->commit),
		.author_name = text(from->author.name),
		.author_email = text(from->author.email),
		.committer_name = text(from->committer.name),
		.committer_email = text(from->committer.email),
		.message = text(from->message),
		.pusher = text(d->event->pusher),
		.env_json = text(d->event->env_json),
		.options_json = text(d->event->options_json),
		.warning = text(d->event->warning),
		.before = d->event->before,
		.body_digest = d->event->body_digest,
	};
}

/* Refuses a delivery that met a bound of the journal. Where one BuildConfig or namespace floods it,
 * only their own deliveries are refused. */
static void refuse(struct delivery *d, enum journal_limit limit)
{
	const bool has_failed = journal_failure(d->receiver->opt.services->journal) != NULL;
	char message[400];

	if (limit == JOURNAL_LIMIT_BUILDCONFIG)
		(void)snprintf(
			message, sizeof(message),
			"too many changes of %.*s wait for their builds; send it again later",
			STR_ARG(d->route.name));
	else if (limit == JOURNAL_LIMIT_NAMESPACE)
		(void)snprintf(message, sizeof(message),
			       "too many changes of namespace %.*s wait for their builds; send it "
			       "again later",
			       STR_ARG(d->route.namespace_));
	else
		(void)snprintf(message, sizeof(message),
			       "the delivery could not be stored%s; send it again later",
			       has_failed ? "" : ", as buildhook's journal is full");
	note_bound(d);
	delivery_unavailable(d, message);
}

static void on_stored(void *arg, int status, const struct journal_add_result *results, size_t n)
{
	struct delivery *d = arg;

	d->ticket = 0;
	if (status == ERR_OK)
		wait_for_builds(d, results, n);
	else
		refuse(d, status == ERR_LIMIT ? results->limit : JOURNAL_LIMIT_DISK);
}

static void store(struct delivery *d)
{
	struct journal *journal = d->receiver->opt.services->journal;
	struct journal_change rows[DELIVERY_MAX_STARTS];

	for (size_t i = 0; i < d->n_starts; i++)
		rows[i] = to_row(d, &d->starts[i]);
	delivery_enter(d, PHASE_STORE);
	d->ticket = d->is_dry_run ? journal_ask(journal, rows, d->n_starts, on_stored, d)
				  : journal_add(journal, rows, d->n_starts, on_stored, d);
	if (!d->ticket)
		delivery_unavailable(
			d, "too many deliveries are waiting to be stored; send it again later");
}

/* A delivery without an id gets a random one, so that it is no duplicate. */
static void set_delivery_id(struct delivery *d, const char *sent)
{
	unsigned char random[RANDOM_ID_BYTES];

	if (*sent) {
		STR_JOIN(d->id, str_of(sent));
		return;
	}
	clock_random(d->receiver->opt.services->clock, random, sizeof(random));
	crypto_hex(d->id, random, sizeof(random));
}

void admit(struct delivery *d)
{
	struct err err = {0};
	CLEANUP(decision_release) struct decision decision = {0};
	int status;

	d->accepted_ms = clock_wall_ms(d->receiver->opt.services->clock);
	d->is_dry_run =
		str_eq_nocase(http_header(d->request, "X-Buildhook-Dry-Run", NULL), STR("true"));
	set_delivery_id(d, hook_delivery_id(d->payload));
	status = hook_delivery_finish(d->payload, &d->event, &err);
	if (status != 0) {
		d->event = NULL;
		answer_unreadable(d, &err);
		return;
	}
	decision_make(&decision, delivery_buildconfig(d), d->event, &d->receiver->opt.verdict);
	memcpy(d->hint, decision.hint, sizeof(d->hint));
	if (decision.reason != OUTCOME_START) {
		answer_nothing(d, &decision);
		return;
	}
	d->n_starts = decision.n_starts;
	d->starts = mem_new(d->n_starts, sizeof(*d->starts));
	for (size_t i = 0; i < d->n_starts; i++)
		d->starts[i].from = decision.starts[i];
	store(d);
}
