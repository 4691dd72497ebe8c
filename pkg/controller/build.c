#include "controller/build.h"

#include "base/log.h"
#include "buildconfig/verdict.h"
#include "journal/change.h"

#include <stdio.h>

#define RETRY_BASE_MS 1000
/* Reads that were throttled in a row before the ordinary back-off begins. */
#define MAX_THROTTLED_READS 3

const struct build_backend *start_backend(const struct start *s)
{
	return s->work.controller->opt.backend == CONTROLLER_OPENSHIFT ? &build_openshift
								       : &build_kubernetes;
}

static void release(struct work *work)
{
	struct start *s = (struct start *)work;

	free(s->change);
	cJSON_Delete(s->bc);
	free(s);
}

static void close_one(struct start *s)
{
	if (--s->n_open == 0)
		work_end(&s->work, s->result, s->again_ms);
}

/* The row's new state must be committed before the key is looked at again: a stale row would start
 * over. */
static void on_committed(void *arg, int status)
{
	struct start *s = arg;

	if (status != ERR_OK) {
		s->result = RECONCILE_ERROR;
		s->again_ms = RETRY_BASE_MS;
	}
	close_one(s);
}

void start_commit(struct start *s, const struct journal_update *update)
{
	s->n_open++;
	journal_write(s->work.controller->opt.journal, update, on_committed, s);
}

static void note_line(struct start *s, enum outcome reason, const char *why)
{
	const struct journal_change *change = s->change;
	struct hook_activity *activity;
	enum hook_type type;
	const struct status_line line = {
		.event = "push",
		.ref = change->ref,
		.commit = change->commit,
		.who = change->pusher,
		.reason = reason,
		.build = s->build,
		.why = why,
	};

	if (!hook_type_parse(str_of(change->type), &type))
		return;
	activity = activity_get(s->work.controller->opt.activity, change->uid, type);
	if (activity->last_ms > change->accepted_ms)
		return;
	activity->last_ms = change->accepted_ms;
	activity->is_dirty = true;
	if (reason == OUTCOME_START)
		activity->ref_mismatches = 0;
	status_format_last(activity->last, sizeof(activity->last), &line);
}

static void tell_event(struct start *s, enum event_type type, const char *reason, const char *note)
{
	const struct buildconfig *bc = object_buildconfig(s->work.object);

	if (bc && strcmp(bc->uid, s->change->uid) == 0)
		event_send(s->work.controller, bc, type, reason, note);
}

static void log_start(const struct start *s, enum log_level level, const char *message,
		      const char *error)
{
	log_msg(level, "controller", message, LOG_FIELD("namespace", s->change->namespace_),
		LOG_FIELD("name", s->change->name), LOG_FIELD("provider", s->change->host),
		LOG_FIELD("delivery", s->change->delivery_id), LOG_FIELD("build", s->build),
		LOG_FIELD("error", error));
}

/* status.lastVersion is CRD state that nobody else raises. A conflict means that it is read and
 * tried again. */
static void on_version_read(void *arg, const struct kube_response *response);

static void on_version_raised(void *arg, const struct kube_response *response)
{
	struct start *s = arg;

	s->work.call = NULL;
	if (response->err.code == ERR_OK)
		kube_store_put_written(s->work.controller->opt.store, response->doc,
				       clock_mono_ms(s->work.controller->opt.clock));
	if (response->err.code == ERR_CONFLICT) {
		work_get_buildconfig(&s->work, s->change->namespace_, s->change->name,
				     on_version_read);
		return;
	}
	/* Otherwise the next start finds the name taken, moves on, and raises it then. */
	if (response->err.code != ERR_OK)
		log_start(s, LOG_WARN, "status.lastVersion was not raised", response->err.msg);
	close_one(s);
}

static void raise_version(struct start *s, const cJSON *bc)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(4096);
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");

	json_put_str(metadata, "uid", s->change->uid);
	json_put_str(metadata, "resourceVersion", json_str_at(bc, "metadata/resourceVersion"));
	json_put_int(json_put_object(patch, "status"), "lastVersion", s->number);
	json_format(&body, patch);
	buf_printf(&path,
		   "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/%s/"
		   "status?fieldManager=buildhook",
		   s->change->namespace_, s->change->name);
	work_call(&s->work,
		  &(struct kube_request){.method = KUBE_MERGE_PATCH,
					 .path = path.data,
					 .body = buf_str(&body),
					 .metric_resource = "buildconfigs"},
		  on_version_raised);
}

static void on_version_read(void *arg, const struct kube_response *response)
{
	struct start *s = arg;

	s->work.call = NULL;
	if (response->err.code == ERR_OK &&
	    json_int_at(response->doc, "status/lastVersion", 0) < s->number)
		raise_version(s, response->doc);
	else
		close_one(s);
}

bool start_is_own(const struct start *s, const cJSON *build)
{
	const cJSON *labels = json_at(build, "metadata/labels");
	const cJSON *label = json_member(labels, BUILD_DELIVERY_LABEL);

	return cJSON_IsString(label) && strcmp(label->valuestring, s->label) == 0;
}

static int64_t build_number(const cJSON *build)
{
	const cJSON *number =
		json_member(json_at(build, "metadata/annotations"), "openshift.io/build.number");
	uint64_t n = 0;

	if (cJSON_IsString(number))
		(void)str_parse_u64(str_of(number->valuestring), INT64_MAX, &n);
	return (int64_t)n;
}

void start_succeed(struct start *s, const cJSON *build, struct str text)
{
	struct controller *c = s->work.controller;
	const char *name = json_str_at(build, "metadata/name");
	char note[600];
	const struct journal_update update = {.seq = s->change->seq,
					      .state = JOURNAL_STARTED,
					      .attempts = s->change->attempts,
					      .build = s->build};
	const struct progress item = {
		.kind = PROGRESS_STARTED, .build = s->build, .build_json = text, .message = ""};

	(void)snprintf(s->build, sizeof(s->build), "%s", name ? name : "");
	s->number = build_number(build);
	s->result = RECONCILE_SUCCESS;
	s->again_ms = 0;
	s->work.object->throttled_reads = 0;
	flood_take(&s->work.object->flood, &c->limit, clock_mono_ms(c->opt.clock));
	start_note_own(s);
	if (s->number == s->work.object->origin.looked_version + 1)
		s->work.object->origin.looked_version = s->number;
	controller_count_build(c, s->change->host,
			       clock_wall_ms(c->opt.clock) - s->change->accepted_ms);
	log_start(s, LOG_INFO, "build started", NULL);
	note_line(s, OUTCOME_START, NULL);
	/* The Build exists, and its label says whose it is: nobody has to wait for the row. */
	waiters_notify(c->opt.waiters, s->change->seq, &item);
	start_commit(s, &update);
	(void)snprintf(note, sizeof(note), "started build %s for %s delivery %s", s->build,
		       s->change->host, s->change->delivery_id);
	tell_event(s, EVENT_NORMAL, "BuildTriggered", note);
	if (start_backend(s)->raises_version && s->number > s->version) {
		s->n_open++;
		raise_version(s, s->bc);
	}
}

void start_fail(struct start *s, enum journal_state state, enum outcome reason, const char *message)
{
	struct controller *c = s->work.controller;
	const struct journal_update update = {.seq = s->change->seq,
					      .state = state,
					      .attempts = s->change->attempts,
					      .reason = message};
	const struct progress item = {
		.kind = PROGRESS_ENDED, .build = "", .outcome = reason, .message = message};
	bool is_failure = state == JOURNAL_FAILED;

	s->result = is_failure ? RECONCILE_ERROR : RECONCILE_SUCCESS;
	s->again_ms = 0;
	log_start(s, is_failure ? LOG_WARN : LOG_INFO,
		  is_failure ? "the build cannot be started" : "no build is started", message);
	note_line(s, reason, message);
	waiters_notify(c->opt.waiters, s->change->seq, &item);
	if (is_failure) {
		controller_count_failure(c, s->change->host);
		tell_event(s, EVENT_WARNING, "BuildTriggerFailed", message);
	}
	start_commit(s, &update);
}

void start_again(struct start *s, int64_t wait_ms)
{
	s->result = RECONCILE_REQUEUE;
	s->again_ms = wait_ms;
	s->n_open++;
	close_one(s);
}

void start_retry(struct start *s, const struct kube_response *response, const char *what)
{
	struct controller *c = s->work.controller;
	int64_t now_ms = clock_wall_ms(c->opt.clock);
	struct journal_update update = {.seq = s->change->seq,
					.state = s->change->state,
					.gap_number = s->change->gap_number,
					.gap_ms = s->change->gap_ms,
					.attempts = s->change->attempts + 1};
	int64_t wait_ms = backoff_ms(c->opt.clock, &retry_backoff, (unsigned)update.attempts);
	char message[700];

	(void)snprintf(message, sizeof(message), "%s: %s", what, response->err.msg);
	if (response->status >= 500 && now_ms - s->change->accepted_ms > c->opt.give_up_ms) {
		start_fail(s, JOURNAL_FAILED, OUTCOME_FAILED, message);
		return;
	}
	if (response->retry_after_ms > wait_ms)
		wait_ms = response->retry_after_ms;
	update.next_attempt_ms = now_ms + wait_ms;
	update.reason = message;
	waiters_notify(
		c->opt.waiters, s->change->seq,
		&(struct progress){.kind = PROGRESS_WAITING, .build = "", .message = message});
	s->result = RECONCILE_ERROR;
	s->again_ms = 0; /* the plan knows when it is its time */
	log_start(s, LOG_WARN, "starting the build failed, it is tried again", message);
	/* Somebody has to grant something, or make room. */
	if (response->status == 403 && update.attempts == 1)
		tell_event(s, EVENT_WARNING, "WebhookNotReady", message);
	note_line(s, OUTCOME_QUEUED, message);
	start_commit(s, &update);
}

/*
 * Nothing has been sent yet. A 429 that passes in a moment is common: kube-apiserver gives one to
 * the first list of a kind while it fills its cache.
 */
static void retry_read(struct start *s, const struct kube_response *response, const char *what)
{
	struct object *object = s->work.object;

	if (response->status != 429 || response->retry_after_ms > RETRY_BASE_MS ||
	    object->throttled_reads >= MAX_THROTTLED_READS) {
		start_retry(s, response, what);
		return;
	}
	object->throttled_reads++;
	start_again(s, RETRY_BASE_MS);
}

void start_refused(struct start *s, const struct kube_response *response, const char *what)
{
	char message[700];

	/* What no retry can mend: the request itself is wrong. All else passes, or is mended by
	 * somebody. */
	if (response->err.code == ERR_INVALID || response->err.code == ERR_NOTFOUND) {
		(void)snprintf(message, sizeof(message), "%s: %s", what, response->err.msg);
		start_fail(s, JOURNAL_FAILED, OUTCOME_FAILED, message);
		return;
	}
	start_retry(s, response, what);
}

void start_get_build(struct start *s, int64_t number, kube_response_fn fn)
{
	work_get_build(&s->work, s->change->namespace_, s->change->name, number, fn);
}

static void on_own_builds(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	const cJSON *build;

	s->work.call = NULL;
	if (response->err.code != ERR_OK) {
		retry_read(s, response, "look for a build of this delivery");
		return;
	}
	build = json_member(response->doc, "items") ? json_member(response->doc, "items")->child
						    : NULL;
	if (build) {
		start_succeed(s, build, (struct str){0});
		return;
	}
	start_look_back(s);
}

/*
 * Only after the BuildConfig was read: whoever starts this change after that must take a number
 * that is ours to take, too, and one of the two finds the name taken.
 */
static void find_own_builds(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);

	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/builds?labelSelector=%s%%3D%s",
		   s->change->namespace_, "buildhook.io%2Fdelivery", s->label);
	work_call(&s->work,
		  &(struct kube_request){
			  .method = KUBE_GET, .path = path.data, .metric_resource = "builds"},
		  on_own_builds);
}

static bool is_paused(const cJSON *bc)
{
	const cJSON *paused = json_member(json_at(bc, "metadata/annotations"),
					  "openshift.io/build-config.paused");

	return cJSON_IsString(paused) && strcasecmp(paused->valuestring, "true") == 0;
}

static void on_buildconfig(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	const char *uid = json_str_at(response->doc, "metadata/uid");

	s->work.call = NULL;
	if (response->err.code == ERR_NOTFOUND ||
	    (response->err.code == ERR_OK && (!uid || strcmp(uid, s->change->uid) != 0))) {
		start_fail(s, JOURNAL_FAILED, OUTCOME_FAILED,
			   "the BuildConfig was deleted before the build could start");
		return;
	}
	if (response->err.code != ERR_OK) {
		retry_read(s, response, "read the BuildConfig");
		return;
	}
	if (is_paused(response->doc)) {
		start_fail(s, JOURNAL_IGNORED, OUTCOME_PAUSED,
			   "the BuildConfig was paused before the build could start");
		return;
	}
	s->bc = json_copy(response->doc);
	s->version = json_int_at(s->bc, "status/lastVersion", 0);
	find_own_builds(s);
}

void start_read_buildconfig(struct start *s)
{
	work_get_buildconfig(&s->work, s->change->namespace_, s->change->name, on_buildconfig);
}

/* NULL where the journal has failed: then the process ends. */
static struct start *start_new(struct object *object, int64_t seq)
{
	struct journal_change *change = journal_read_row(object->controller->opt.journal, seq);
	struct start *s;

	if (!change)
		return NULL;
	s = mem_new(1, sizeof(*s));
	s->change = change;
	build_delivery_label(s->label, s->change);
	work_begin(&s->work, object, release);
	return s;
}

void build_act(struct object *object, int64_t seq)
{
	struct start *s = start_new(object, seq);

	if (s)
		start_read_buildconfig(s);
}

void build_supersede(struct object *object, int64_t seq)
{
	struct start *s = start_new(object, seq);

	if (s)
		start_fail(s, JOURNAL_SUPERSEDED, OUTCOME_SUPERSEDED,
			   "a newer push of the same ref came while this one waited");
}
