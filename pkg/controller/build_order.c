/*
 * Between replicas: no older push of a ref is built after a newer one. Each start looks at the
 * Builds that were made since this replica's last; in the ordinary case of one replica there are
 * none.
 */
#include "controller/build.h"

#include "buildconfig/verdict.h"

#include <stdio.h>

/* How many Builds of others are looked at. */
#define MAX_LOOK_BACK 64
/* An acceptance that is more than this ahead of our clock says nothing: some clock was wrong. */
#define MAX_AHEAD_MS INT64_C(300000)
#define MIN_AWAIT_MS 1000

/* What is learned of one that was replaced meanwhile says nothing of its successor's Builds. */
static bool is_replaced(const struct start *s)
{
	const struct buildconfig *bc = object_buildconfig(s->work.object);

	return !bc || strcmp(bc->uid, s->change->uid) != 0;
}

static void note_looked(struct start *s, int64_t number)
{
	if (number > s->work.object->order.known_version && !is_replaced(s))
		s->work.object->order.known_version = number;
}

/* 0: not said, or not to be believed. */
static int64_t accepted_ms(const struct start *s, const cJSON *build)
{
	const cJSON *text =
		json_member(json_at(build, "metadata/annotations"), BUILD_ACCEPTED_ANNOTATION);
	int64_t now_ms = clock_wall_ms(s->work.controller->opt.clock);
	int64_t ms = 0;

	if (!cJSON_IsString(text) || !clock_parse_rfc3339(str_of(text->valuestring), &ms) ||
	    ms > now_ms + MAX_AHEAD_MS)
		return 0;
	return ms;
}

static void supersede(struct start *s, const cJSON *build)
{
	const char *by = json_str_at(build, "metadata/name");
	char message[400];

	(void)snprintf(message, sizeof(message), "a newer push of the same ref started build %s",
		       by ? by : "");
	start_fail(s, JOURNAL_SUPERSEDED, OUTCOME_SUPERSEDED, message);
}

static bool is_of_newer_push(struct start *s, const cJSON *build)
{
	const cJSON *ref =
		json_member(json_at(build, "metadata/annotations"), BUILD_REF_ANNOTATION);
	int64_t ms = accepted_ms(s, build);

	if (ms > s->work.object->order.known_accepted_ms)
		s->work.object->order.known_accepted_ms = ms;
	return cJSON_IsString(ref) && strcmp(ref->valuestring, s->change->ref) == 0 &&
	       ms > s->change->accepted_ms;
}

bool start_is_overtaken(struct start *s, const cJSON *build)
{
	if (is_of_newer_push(s, build)) {
		supersede(s, build);
		return true;
	}
	if (s->number == s->work.object->order.known_version + 1)
		note_looked(s, s->number);
	return false;
}

/* Those between the last that was looked at and this one may be another's. */
void start_note_own(struct start *s)
{
	if (s->number == s->work.object->order.known_version + 1)
		note_looked(s, s->number);
}

static bool is_old(const struct start *s, const cJSON *build)
{
	const char *text = json_str_at(build, "metadata/creationTimestamp");
	int64_t now_ms = clock_wall_ms(s->work.controller->opt.clock);
	int64_t created_ms = now_ms;

	return text && clock_parse_rfc3339(str_of(text), &created_ms) &&
	       now_ms - created_ms > START_SETTLED_MS;
}

/* In an earlier life of the process. The wall clock may have been set back since. */
static int64_t missed_before_ms(const struct start *s)
{
	int64_t for_ms = clock_wall_ms(s->work.controller->opt.clock) - s->change->gap_ms;

	return s->change->gap_number == s->look_at && for_ms > 0 ? for_ms : 0;
}

/*
 * The number is raised before the Build is made: one that is missing may be another replica's that
 * is just being made, of this delivery or of a newer push. One that has been missing for long was
 * deleted.
 */
static int64_t missing_for_ms(const struct start *s)
{
	struct object *object = s->work.object;
	int64_t now_ms = clock_mono_ms(s->work.controller->opt.clock);
	int64_t since_ms;

	if (object->order.gap_number != s->look_at) {
		object->order.gap_number = s->look_at;
		object->order.gap_ms = now_ms - missed_before_ms(s);
	}
	since_ms = object->order.gap_ms;
	if (s->look_at <= object->seen_version && object->seen_version_ms < since_ms)
		since_ms = object->seen_version_ms;
	return now_ms - since_ms;
}

/* The row keeps since when, so that a process that lives for less than the wait gets on, too. */
static void record_gap(struct start *s, int64_t elapsed_ms)
{
	const struct journal_change *change = s->change;
	const struct journal_update update = {
		.seq = change->seq,
		.state = change->state,
		.gap_number = s->look_at,
		.gap_ms = clock_wall_ms(s->work.controller->opt.clock) - elapsed_ms,
		.attempts = change->attempts,
		.reason = change->reason,
	};

	start_commit(s, &update);
}

/* From the beginning; seldom and more seldom, until it is there or can't come any more. */
static void await_missing(struct start *s)
{
	int64_t elapsed_ms = missing_for_ms(s);
	int64_t left_ms = START_SETTLED_MS - elapsed_ms;
	int64_t wait_ms = elapsed_ms > MIN_AWAIT_MS ? elapsed_ms : MIN_AWAIT_MS;

	if (s->change->gap_number != s->look_at)
		record_gap(s, elapsed_ms);
	start_again(s, wait_ms < left_ms ? wait_ms : left_ms);
}

static bool may_still_come(const struct start *s)
{
	return start_backend(s)->has_gap && !s->is_settled && missing_for_ms(s) < START_SETTLED_MS;
}

static void look_at_next(struct start *s);

static void on_earlier_build(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	bool is_missing = response->err.code == ERR_NOTFOUND;

	s->work.call = NULL;
	if (response->err.code == ERR_OK)
		origin_note(s->work.object, response->doc);
	/* It came after the list of our own, from another replica that had this delivery sooner. */
	if (response->err.code == ERR_OK && start_is_own(s, response->doc)) {
		start_succeed(s, response->doc, response->text);
	} else if (response->err.code == ERR_OK && is_of_newer_push(s, response->doc)) {
		supersede(s, response->doc);
	} else if (response->err.code != ERR_OK && !is_missing) {
		start_retry(s, response, "look at earlier builds");
	} else if (is_missing && may_still_come(s)) {
		await_missing(s);
	} else {
		s->is_settled = s->is_settled || is_missing || is_old(s, response->doc);
		s->look_at--;
		s->work.object->order.look_back =
			(struct look_back){s->change->seq, s->version, s->look_at, s->is_settled};
		look_at_next(s);
	}
}

/* What was known before may have been of interest to newer changes only. */
static int64_t known_version(const struct start *s)
{
	const struct object *object = s->work.object;

	return s->change->accepted_ms < object->order.known_accepted_ms
		       ? 0
		       : object->order.known_version;
}

int64_t start_next_number(const struct start *s)
{
	int64_t known = known_version(s);

	return (known > s->version ? known : s->version) + 1;
}

static int64_t look_until(const struct start *s)
{
	int64_t until = known_version(s);

	if (until < s->version - MAX_LOOK_BACK)
		until = s->version - MAX_LOOK_BACK;
	return until > 0 ? until : 0;
}

static void look_at_next(struct start *s)
{
	if (s->look_at > look_until(s)) {
		start_get_build(s, s->look_at, on_earlier_build);
		return;
	}
	note_looked(s, s->version);
	start_backend(s)->post(s);
}

void start_look_back(struct start *s)
{
	const struct look_back *before = &s->work.object->order.look_back;

	s->look_at = s->version;
	if (before->seq == s->change->seq && before->version == s->version) {
		s->look_at = before->at;
		s->is_settled = before->is_settled;
	}
	look_at_next(s);
}
