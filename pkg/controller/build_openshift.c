/*
 * Backend openshift: buildconfigs/instantiate raises status.lastVersion first and creates the Build
 * after, and its answer can get lost between. lastVersion in the request makes it compare-and-set.
 * So of a request whose outcome is not known nothing has to be remembered but that there was one:
 *
 *     a Build with our label exists    done (build.c looked)
 *     lastVersion has not moved        it is sent again: one of the two is refused
 *     it has moved                     start anew: build_order.c has looked at each number since,
 *                                      and has waited for Builds that might still come
 */
#include "controller/build.h"

#include "buildconfig/verdict.h"

#include <stdio.h>

#define CONFLICT_WAIT_MS  200
#define MAX_REQUEST_BYTES (1024 * 1024)

/* The server's words for its compare-and-set and for a paused BuildConfig (generator.go); both are
 * a 400 BadRequest. */
static bool says(const struct kube_response *response, const char *words)
{
	return response->status == 400 && strstr(response->err.msg, words);
}

static void on_instantiated(void *arg, const struct kube_response *response)
{
	struct start *s = arg;

	s->work.call = NULL;
	if (response->err.code == ERR_OK) {
		start_succeed(s, response->doc, response->text);
	} else if (says(response, "paused")) {
		start_fail(s, JOURNAL_IGNORED, OUTCOME_PAUSED,
			   "the BuildConfig was paused before the build could start");
	} else if (says(response, "LastVersion") || response->err.code == ERR_CONFLICT ||
		   response->err.code == ERR_EXISTS) {
		/* AlreadyExists: a Build that outlived its BuildConfig has the number; it is used
		 * up, the next one is tried. */
		start_again(s, CONFLICT_WAIT_MS);
	} else {
		/* Refused for sure, but an earlier request may still be under way. */
		if (!response->is_uncertain && !s->is_repeat)
			s->change->state = JOURNAL_ACCEPTED;
		start_refused(s, response, "instantiate the BuildConfig");
	}
}

static void instantiate(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_REQUEST_BYTES);
	CLEANUP(json_freep) cJSON *request = build_request_body(s->change, s->version);

	json_format(&body, request);
	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/buildconfigs/%s/instantiate",
		   s->change->namespace_, s->change->name);
	work_call(&s->work,
		  &(struct kube_request){.method = KUBE_POST,
					 .path = path.data,
					 .body = buf_str(&body),
					 .timeout_ms = START_SETTLED_MS,
					 .metric_resource = "buildconfigs/instantiate"},
		  on_instantiated);
}

static void on_recorded(void *arg, int status)
{
	struct start *s = arg;

	if (status != ERR_OK)
		start_again(s, 1000);
	else
		instantiate(s);
}

/* The row says that there may be a request before there is one. */
static void post(struct start *s)
{
	const struct journal_update update = {
		.seq = s->change->seq, .state = JOURNAL_STARTING, .attempts = s->change->attempts};

	s->is_repeat = s->change->state == JOURNAL_STARTING;
	s->change->state = JOURNAL_STARTING;
	if (s->is_repeat)
		instantiate(s);
	else
		journal_write(s->work.controller->opt.journal, &update, on_recorded, s);
}

const struct build_backend build_openshift = {.post = post, .has_gap = true};
