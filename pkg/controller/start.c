/* Carries out the steps of start_plan.h: one step at a time, and back to the plan. */
#include "controller/start.h"

#include "base/log.h"
#include "controller/internal.h"

#include <stdio.h>

#define MAX_REQUEST_BYTES (1024 * 1024)
#define MAX_BUILD_BYTES   (4 * 1024 * 1024)
#define THROTTLED_MS      1000
/* This many reads in a row may be throttled (429) before the ordinary back-off begins. */
#define MAX_THROTTLED_READS 3

static void advance(struct start *s, const struct kube_response *response);

/* A BuildConfig with the same name but another UID has other Builds: nothing is kept for it. */
static void keep_memory(struct start *s)
{
	const struct buildconfig *bc = object_buildconfig(s->work.object);

	if (bc && strcmp(bc->uid, s->change->uid) == 0)
		s->work.object->order = s->seen.memory;
}

/* Retries a read. A short 429 is common: kube-apiserver answers so to the first list of a kind
 * while it fills its cache. */
static void retry_read(struct start *s, const struct kube_response *response, const char *what)
{
	struct object *object = s->work.object;

	if (response->status != 429 || response->retry_after_ms > THROTTLED_MS ||
	    object->throttled_reads >= MAX_THROTTLED_READS) {
		start_retry(s, response, what, response->status >= 500);
		return;
	}
	object->throttled_reads++;
	start_again(s, THROTTLED_MS);
}

/* True if the 404 names the BuildConfig. An API server that does not serve BuildConfigs at the
 * moment answers 404, too. */
static bool is_not_there(const struct kube_response *response)
{
	return response->err.code == ERR_NOTFOUND && json_str_at(response->doc, "details/name");
}

static void stop(struct kube_call **call)
{
	kube_cancel(*call);
	*call = NULL;
}

static void on_buildconfig(void *arg, const struct kube_response *response)
{
	struct start *s = arg;

	s->work.call = NULL;
	if (response->err.code == ERR_OK || is_not_there(response)) {
		start_learn_buildconfig(&s->seen,
					response->err.code == ERR_OK ? response->doc : NULL);
		cJSON_Delete(s->bc);
		s->bc = json_copy(response->doc);
		/* Then no Build is made, whatever the list says. */
		if (s->seen.is_gone || s->seen.is_paused)
			stop(&s->beside);
		if (!s->beside)
			advance(s, response);
	} else if (s->seen.is_told) {
		s->seen.is_raise_over = true;
		advance(s, response);
	} else {
		stop(&s->beside);
		retry_read(s, response, "read the BuildConfig");
	}
}

static void on_own_builds(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	bool is_beside = s->step.kind == START_READ_BOTH;

	*(is_beside ? &s->beside : &s->work.call) = NULL;
	if (response->err.code == ERR_OK) {
		start_learn_own(&s->seen, response->doc, is_beside);
	} else if (*s->step.fresh && response->status == 504) {
		/* 504 "Too large resource version" comes from a server whose cache is far behind,
		 * or whose etcd was restored. Then the list is made consistent. */
		*s->seen.memory.fresh = 0;
	} else {
		stop(&s->work.call);
		retry_read(s, response, "look for a build of this delivery");
		return;
	}
	if (!s->work.call)
		advance(s, response);
}

static struct kube_call *list_own(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);

	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/builds?labelSelector=%s%%3D%s",
		   s->change->namespace_, "buildhook.io%2Fdelivery", s->seen.label);
	if (*s->step.fresh)
		buf_printf(&path, "&resourceVersion=%s&resourceVersionMatch=NotOlderThan",
			   s->step.fresh);
	return kube_start(s->work.controller->opt.services->client,
			  &(struct kube_request){.method = KUBE_GET,
						 .path = path.data,
						 .metric_resource = "builds"},
			  on_own_builds, s);
}

static void on_build(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	bool is_there = response->err.code == ERR_OK;

	s->work.call = NULL;
	if (!is_there && response->err.code != ERR_NOTFOUND) {
		start_retry(s, response, "look at earlier builds", response->status >= 500);
		return;
	}
	if (is_there)
		origin_note(s->work.object, response->doc);
	start_learn_build(&s->seen, s->step.number, is_there ? response->doc : NULL);
	advance(s, response);
}

static void describe(char *out, size_t size, const struct start *s)
{
	char name[BUILD_NAME_BYTES];

	build_name(name, s->change->name, s->step.number);
	if (s->seen.is_openshift)
		(void)snprintf(out, size, "instantiate the BuildConfig");
	else
		(void)snprintf(out, size, "create Build %s", name);
}

static void on_posted(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	enum start_answer answer = start_judge(&s->seen, response);
	char what[300], message[700];

	s->work.call = NULL;
	describe(what, sizeof(what), s);
	switch (answer) {
	case START_ANSWER_MADE:
		start_learn_made(&s->seen, response->doc);
		break;
	case START_ANSWER_TAKEN:
		s->seen.tried = s->step.number;
		s->seen.at_tried = LOOK_NONE;
		break;
	case START_ANSWER_STALE:
		s->seen.is_stale = true;
		break;
	case START_ANSWER_PAUSED:
		s->seen.is_paused = true;
		break;
	case START_ANSWER_RETRY:
	case START_ANSWER_GIVE_UP:
	case START_ANSWER_FAIL:
		if (start_learn_refused(&s->seen, response))
			s->change->state = JOURNAL_ACCEPTED;
		keep_memory(s);
		if (answer != START_ANSWER_FAIL) {
			start_retry(s, response, what, answer == START_ANSWER_GIVE_UP);
			return;
		}
		(void)snprintf(message, sizeof(message), "%s: %s", what, response->err.msg);
		start_fail(s, JOURNAL_FAILED, OUTCOME_FAILED, message);
		return;
	}
	advance(s, response);
}

static void create(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_BUILD_BYTES);
	CLEANUP(json_freep)
	cJSON *build = build_body(s->bc, s->change, s->step.number, s->seen.wall_ms);

	json_format(&body, build);
	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/builds?fieldManager=buildhook",
		   s->change->namespace_);
	work_call(&s->work,
		  &(struct kube_request){.method = KUBE_POST,
					 .path = path.data,
					 .body = buf_str(&body),
					 .metric_resource = "builds"},
		  on_posted);
}

static void instantiate(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_REQUEST_BYTES);
	CLEANUP(json_freep) cJSON *request = build_request_body(s->change, s->step.number);

	json_format(&body, request);
	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/%s/instantiate",
		   s->change->namespace_, s->change->name);
	work_call(&s->work,
		  &(struct kube_request){.method = KUBE_POST,
					 .path = path.data,
					 .body = buf_str(&body),
					 .timeout_ms = START_SETTLED_MS,
					 .metric_resource = "buildconfigs/instantiate"},
		  on_posted);
}

static void on_recorded(void *arg, int status)
{
	struct start *s = arg;

	/* ERR_LIMIT: the journal keeps the record in memory until there is room on the disk. If the
	 * process ends before, the next start looks at the same numbers again. */
	if (status != ERR_OK && status != ERR_LIMIT) {
		start_again(s, 1000);
		return;
	}
	s->change->state = JOURNAL_STARTING;
	advance(s, NULL);
}

static void record(struct start *s)
{
	const struct journal_update update = {
		.seq = s->change->seq, .state = JOURNAL_STARTING, .attempts = s->change->attempts};

	journal_write(s->work.controller->opt.services->journal, &update, on_recorded, s);
}

static void on_version_raised(void *arg, const struct kube_response *response)
{
	struct start *s = arg;

	s->work.call = NULL;
	if (response->err.code == ERR_OK)
		kube_store_put_written(s->work.controller->opt.services->store, response->doc,
				       clock_mono_ms(s->work.controller->opt.services->clock));
	/* After a conflict the BuildConfig is read and lastVersion raised again; after any other
	 * failure the next start finds the name taken and raises it then. */
	if (response->err.code == ERR_CONFLICT)
		s->seen.is_read = false;
	else
		s->seen.is_raise_over = true;
	if (response->err.code != ERR_OK && response->err.code != ERR_CONFLICT)
		start_log(s, LOG_WARN, "status.lastVersion was not raised", response->err.msg);
	advance(s, response);
}

static void raise_version(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(4096);
	CLEANUP(json_freep) cJSON *patch = json_new_object();
	cJSON *metadata = json_put_object(patch, "metadata");

	json_put_str(metadata, "uid", s->change->uid);
	json_put_str(metadata, "resourceVersion", json_str_at(s->bc, "metadata/resourceVersion"));
	json_put_int(json_put_object(patch, "status"), "lastVersion", s->step.number);
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

static void end(struct start *s)
{
	char by[BUILD_NAME_BYTES], message[400];

	switch (s->step.outcome) {
	case OUTCOME_SUPERSEDED:
		build_name(by, s->change->name, s->step.by);
		(void)snprintf(message, sizeof(message),
			       "a newer push of the same ref started build %s", by);
		break;
	case OUTCOME_PAUSED:
		(void)snprintf(message, sizeof(message),
			       "the BuildConfig was paused before the build could start");
		break;
	default:
		(void)snprintf(message, sizeof(message),
			       "the BuildConfig was deleted before the build could start");
	}
	start_fail(s, s->step.state, s->step.outcome, message);
}

/* RESPONSE: the answer to the previous step, lent; NULL if that step was not a request. */
static void advance(struct start *s, const struct kube_response *response)
{
	const struct controller *c = s->work.controller;
	const struct object *object = s->work.object;

	s->seen.wall_ms = clock_wall_ms(c->opt.services->clock);
	s->seen.mono_ms = clock_mono_ms(c->opt.services->clock);
	s->seen.cached_version = object->cached_version;
	s->seen.cached_version_ms = object->cached_version_ms;
	start_plan(&s->seen, &s->step);
	start_remember(&s->seen, &s->step);
	keep_memory(s);
	switch (s->step.kind) {
	case START_READ_BC:
		work_get_buildconfig(&s->work, s->change->namespace_, s->change->name,
				     on_buildconfig);
		return;
	case START_READ_BOTH:
		work_get_buildconfig(&s->work, s->change->namespace_, s->change->name,
				     on_buildconfig);
		s->beside = list_own(s);
		return;
	case START_LIST_OWN:
		s->work.call = list_own(s);
		return;
	case START_GET_BUILD:
		work_get_build(&s->work, s->change->namespace_, s->change->name, s->step.number,
			       on_build);
		return;
	case START_RECORD:
		record(s);
		return;
	case START_INSTANTIATE:
		instantiate(s);
		return;
	case START_CREATE:
		create(s);
		return;
	case START_RAISE:
		raise_version(s);
		return;
	case START_SUCCEED:
		start_succeed(s, response);
		s->seen.is_told = true;
		advance(s, NULL);
		return;
	case START_END:
		end(s);
		return;
	case START_WAIT:
		if (s->step.number > 0)
			start_await(s, &s->step);
		else
			start_again(s, s->step.wait_ms);
		return;
	case START_DONE:
		start_close(s);
		return;
	}
}

static void release(struct work *work)
{
	struct start *s = (struct start *)work;

	kube_cancel(s->beside);
	free(s->change);
	cJSON_Delete(s->bc);
	free(s);
}

/* Returns NULL if the journal has failed; the process is then about to end. */
static struct start *start_new(struct object *object, int64_t seq)
{
	struct journal_change *change =
		journal_read_row(object->controller->opt.services->journal, seq);
	struct start *s;

	if (!change)
		return NULL;
	s = mem_new(1, sizeof(*s));
	s->change = change;
	s->n_open = 1;
	start_begin(&s->seen, change);
	s->seen.is_openshift = object->controller->opt.backend == CONTROLLER_OPENSHIFT;
	s->seen.memory = object->order;
	work_begin(&s->work, object, release);
	return s;
}

void start_act(struct object *object, int64_t seq)
{
	struct start *s = start_new(object, seq);

	if (s)
		advance(s, NULL);
}

void start_supersede(struct object *object, int64_t seq)
{
	struct start *s = start_new(object, seq);

	if (s)
		start_fail(s, JOURNAL_SUPERSEDED, OUTCOME_SUPERSEDED,
			   "a newer push of the same ref came while this one waited");
}
