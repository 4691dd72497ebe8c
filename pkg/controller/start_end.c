/* Reports the end of a start, or why it has to wait: to the journal's row, the deliveries that
 * wait, the status line, an Event and the log. */
#include "base/log.h"
#include "controller/internal.h"
#include "controller/line.h"
#include "controller/refusal.h"
#include "controller/start.h"

#include <inttypes.h>
#include <stdio.h>

#define COMMIT_RETRY_MS 1000

void start_close(struct start *s)
{
	if (--s->n_open == 0)
		work_end(&s->work, s->result, s->again_ms);
}

/* The row's new state must be committed before the key is looked at again: a stale row would start
 * over. */
static void on_committed(void *arg, int status)
{
	struct start *s = arg;

	/* ERR_LIMIT: the journal keeps the state in memory until there is room on the disk. */
	if (status != ERR_OK && status != ERR_LIMIT) {
		s->result = RECONCILE_ERROR;
		s->again_ms = COMMIT_RETRY_MS;
	}
	start_close(s);
}

static void write_state(struct start *s, const struct journal_update *update)
{
	s->n_open++;
	journal_write(s->work.controller->opt.services->journal, update, on_committed, s);
}

void start_log(const struct start *s, enum log_level level, const char *message, const char *error)
{
	log_msg(level, "controller", message, LOG_FIELD("namespace", s->change->namespace_),
		LOG_FIELD("name", s->change->name), LOG_FIELD("provider", s->change->host),
		LOG_FIELD("delivery", s->change->delivery_id), LOG_FIELD("build", s->seen.build),
		LOG_FIELD("error", error));
}

static void note_line(struct start *s, enum outcome outcome, const char *why)
{
	line_note(s->work.controller, s->change, outcome, s->seen.build, why);
}

static void send_event(struct start *s, enum event_type type, const char *reason, const char *note)
{
	const struct buildconfig *bc = object_buildconfig(s->work.object);

	if (bc && strcmp(bc->uid, s->change->uid) == 0)
		event_send(s->work.controller, bc, type, reason, note);
}

static void notify(struct start *s, enum progress_kind kind, enum outcome outcome,
		   const char *message)
{
	waiters_notify(s->work.controller->opt.services->waiters, s->change->seq,
		       &(struct progress){
			       .kind = kind, .build = "", .outcome = outcome, .message = message});
}

/* The Build's text for the answer. A Build that is known only from a list may have been deleted
 * before it was read. */
static struct str text_of(const struct start *s, const struct kube_response *response)
{
	const char *name = json_str_at(response->doc, "metadata/name");

	return response->err.code == ERR_OK && name && strcmp(name, s->seen.build) == 0
		       ? response->text
		       : (struct str){0};
}

void start_succeed(struct start *s, const struct kube_response *response)
{
	struct controller *c = s->work.controller;
	struct object *object = s->work.object;
	char note[600];
	const struct journal_update update = {.seq = s->change->seq,
					      .state = JOURNAL_STARTED,
					      .attempts = s->change->attempts,
					      .build = s->seen.build};
	const struct progress progress = {.kind = PROGRESS_STARTED,
					  .build = s->seen.build,
					  .build_json = text_of(s, response),
					  .message = ""};

	s->result = RECONCILE_SUCCESS;
	s->again_ms = 0;
	object->throttled_reads = 0;
	mem_free(&object->trouble);
	status_note_start(&object->status);
	token_bucket_take(&object->bucket, &c->limit, clock_mono_ms(c->opt.services->clock));
	if (s->seen.number == object->origin.looked_version + 1)
		object->origin.looked_version = s->seen.number;
	controller_count_build(c, s->change->host,
			       clock_wall_ms(c->opt.services->clock) - s->change->accepted_ms);
	start_log(s, LOG_INFO, "build started", NULL);
	note_line(s, OUTCOME_START, NULL);
	/* The Build exists, and its label says whose it is: nobody has to wait for the row. */
	waiters_notify(c->opt.services->waiters, s->change->seq, &progress);
	write_state(s, &update);
	(void)snprintf(note, sizeof(note), "started build %s for %s delivery %s", s->seen.build,
		       s->change->host, s->change->delivery_id);
	send_event(s, EVENT_NORMAL, "BuildTriggered", note);
}

void start_fail(struct start *s, enum journal_state state, enum outcome outcome,
		const char *message)
{
	const struct journal_update update = {.seq = s->change->seq,
					      .state = state,
					      .attempts = s->change->attempts,
					      .reason = message};
	bool is_failure = state == JOURNAL_FAILED;

	s->result = is_failure ? RECONCILE_ERROR : RECONCILE_SUCCESS;
	s->again_ms = 0;
	status_note_start(&s->work.object->status);
	start_log(s, is_failure ? LOG_WARN : LOG_INFO,
		  is_failure ? "the build cannot be started" : "no build is started", message);
	note_line(s, outcome, message);
	notify(s, PROGRESS_ENDED, outcome, message);
	if (is_failure) {
		controller_count_failure(s->work.controller, s->change->host);
		send_event(s, EVENT_WARNING, "BuildTriggerFailed", message);
	}
	write_state(s, &update);
	start_close(s);
}

void start_again(struct start *s, int64_t wait_ms)
{
	s->result = RECONCILE_REQUEUE;
	s->again_ms = wait_ms;
	start_close(s);
}

struct start_trouble *start_get_trouble(struct object *object)
{
	if (!object->trouble)
		object->trouble = mem_new(1, sizeof(*object->trouble));
	return object->trouble;
}

void start_await(struct start *s, const struct start_step *step)
{
	const struct journal_change *change = s->change;
	struct start_trouble *trouble = start_get_trouble(s->work.object);
	char build[BUILD_NAME_BYTES], until[CLOCK_TEXT_BYTES];

	build_name(build, change->name, step->number);
	clock_format_rfc3339(until, s->seen.wall_ms + START_SETTLED_MS - step->missing_ms, false);
	(void)snprintf(trouble->why, sizeof(trouble->why),
		       "status.lastVersion is %" PRId64
		       ", and build %.100s may still come, until %s",
		       s->seen.version, build, until);
	(void)snprintf(trouble->outside, sizeof(trouble->outside),
		       "another build, %.60s, is being made; waits until %s at most", build, until);
	trouble->is_refused = false;
	trouble->until_ms = s->seen.mono_ms + step->wait_ms;
	note_line(s, OUTCOME_QUEUED, trouble->why);
	if (change->gap_number != step->number) {
		start_log(s, LOG_INFO, "the start waits for another build", trouble->why);
		/* The journal records since when the Build is missing, so that processes that live
		 * shorter than the wait make progress, too. */
		write_state(s, &(struct journal_update){
				       .seq = change->seq,
				       .state = change->state,
				       .gap_number = step->number,
				       .gap_ms = s->seen.wall_ms - step->missing_ms,
				       .attempts = change->attempts,
				       .reason = change->reason,
			       });
	}
	start_again(s, 0);
}

void start_retry(struct start *s, const struct kube_response *response, const char *what,
		 bool is_limited)
{
	struct controller *c = s->work.controller;
	struct start_trouble *trouble = NULL;
	int64_t now_ms = clock_wall_ms(c->opt.services->clock);
	struct journal_update update = {.seq = s->change->seq,
					.state = s->change->state,
					.gap_number = s->change->gap_number,
					.gap_ms = s->change->gap_ms,
					.attempts = s->change->attempts + 1};
	int64_t wait_ms =
		backoff_ms(c->opt.services->clock, &retry_backoff, (unsigned)update.attempts);
	char message[700];

	(void)snprintf(message, sizeof(message), "%s: %s", what, response->err.msg);
	if (is_limited && now_ms - s->change->accepted_ms > c->opt.give_up_ms) {
		start_fail(s, JOURNAL_FAILED, OUTCOME_FAILED, message);
		return;
	}
	if (response->retry_after_ms > wait_ms)
		wait_ms = response->retry_after_ms;
	update.next_attempt_ms = now_ms + wait_ms;
	update.reason = message;
	trouble = start_get_trouble(s->work.object);
	*trouble = (struct start_trouble){.is_refused = refusal_is_lasting(response)};
	refusal_explain(trouble->why, sizeof(trouble->why), trouble->outside,
			sizeof(trouble->outside), response);
	notify(s, PROGRESS_WAITING, OUTCOME_QUEUED, trouble->outside);
	s->result = RECONCILE_ERROR;
	s->again_ms = 0; /* plan() applies the back-off */
	start_log(s, LOG_WARN, "starting the build failed, it is tried again", message);
	/* An Event for the first refusal: somebody has to grant a right or make room. */
	if (trouble->is_refused && update.attempts == 1)
		send_event(s, EVENT_WARNING, "BuildTriggerFailed", trouble->why);
	note_line(s, OUTCOME_QUEUED, trouble->why);
	write_state(s, &update);
	start_close(s);
}
