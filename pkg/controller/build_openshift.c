/*
 * Backend openshift: buildconfigs/instantiate raises status.lastVersion first and creates the Build
 * after, and its answer can get lost between. lastVersion in the request makes it compare-and-set,
 * so what was sent (V) is recorded before it is sent, and after an outcome that is not known:
 *
 *     a Build with our label exists             done (build.c looked)
 *     lastVersion is still V                    send V again: one of the two is refused
 *     it moved, and NAME-(V+1) is another's     the race was lost: start anew
 *     it moved, and NAME-(V+1) does not exist   ours may still come: wait for the server's request
 * timeout, then take it for a gap
 */
#include "controller/build.h"

#include "buildconfig/verdict.h"

#include <inttypes.h>
#include <stdio.h>

#define CONFLICT_WAIT_MS  200
#define MAX_REQUEST_BYTES (1024 * 1024)

static bool is_uncertain(const struct start *s)
{
	return s->change->state == JOURNAL_STARTING && s->change->base_version >= 0;
}

static void forget_post(struct start *s)
{
	s->change->state = JOURNAL_ACCEPTED;
	s->change->base_version = -1;
	s->change->posted_ms = 0;
}

/* The server's words for its compare-and-set and for a paused BuildConfig (generator.go); both are
 * a 400 BadRequest. */
static bool says(const struct kube_response *response, const char *words)
{
	return response->status == 400 && strstr(response->err.msg, words);
}

/*
 * Refused for sure, and nothing was made by this request. An earlier one of the same V may still be
 * under way: then its record stays.
 */
static void look_again(struct start *s, bool was_uncertain)
{
	if (!was_uncertain)
		forget_post(s);
	start_again(s, CONFLICT_WAIT_MS);
}

static void on_instantiated(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	bool was_uncertain = s->is_repeat;

	s->work.call = NULL;
	if (response->err.code == ERR_OK) {
		start_succeed(s, response->doc, response->text);
	} else if (says(response, "paused")) {
		start_fail(s, JOURNAL_IGNORED, reason_name(REASON_PAUSED),
			   "the BuildConfig was paused before the build could start");
	} else if (says(response, "LastVersion") || response->err.code == ERR_CONFLICT ||
		   response->err.code == ERR_EXISTS) {
		/* AlreadyExists: a Build that outlived its BuildConfig has the number; it is used
		 * up, the next one is tried. */
		look_again(s, was_uncertain);
	} else {
		if (!response->is_uncertain && !was_uncertain)
			forget_post(s);
		start_refused(s, response, "instantiate the BuildConfig");
	}
}

static void instantiate(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_REQUEST_BYTES);
	CLEANUP(json_freep) cJSON *request = build_request_body(s->change, s->change->base_version);

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

static void record(struct start *s, int64_t version)
{
	struct controller *c = s->work.controller;
	struct journal_update update = {.seq = s->change->seq,
					.state = JOURNAL_STARTING,
					.base_version = version,
					.posted_ms = clock_wall_ms(c->opt.clock),
					.attempts = s->change->attempts};

	s->is_repeat = is_uncertain(s);
	s->change->state = update.state;
	s->change->base_version = update.base_version;
	s->change->posted_ms = update.posted_ms;
	journal_write(c->opt.journal, &update, on_recorded, s);
}

static void start_anew(struct start *s)
{
	forget_post(s);
	record(s, s->version);
}

/* The wall clock knows of a POST before a restart, but it may have been set back since. */
static int64_t since_post_ms(const struct start *s)
{
	int64_t wall_ms = clock_wall_ms(s->work.controller->opt.clock) - s->change->posted_ms;
	int64_t mono_ms = start_missing_for_ms(s, s->change->base_version + 1);

	return wall_ms > mono_ms ? wall_ms : mono_ms;
}

static void on_next_build(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	int64_t elapsed_ms = since_post_ms(s);

	s->work.call = NULL;
	if (response->err.code == ERR_OK && start_is_own(s, response->doc))
		start_succeed(s, response->doc, response->text);
	else if (response->err.code != ERR_OK && response->err.code != ERR_NOTFOUND)
		start_retry(s, response, "look for the build that may have been started");
	else if (response->err.code == ERR_NOTFOUND && elapsed_ms < START_SETTLED_MS)
		start_await(s, elapsed_ms);
	else
		start_anew(s);
}

static void post(struct start *s)
{
	if (!is_uncertain(s) || s->version == s->change->base_version)
		record(s, s->version);
	else
		start_get_build(s, s->change->base_version + 1, on_next_build);
}

const struct build_backend build_openshift = {.post = post, .has_gap = true};
