/*
 * Events on Builds (events.k8s.io/v1). Each says something that happens to a Build once, so its
 * name is made of the Build's uid and the reason: a second replica's is refused.
 */
#include "builder/internal.h"

#include "base/log.h"

#include <stdio.h>
#include <utlist.h>

#define MAX_UNDERWAY 64
#define NOTE_BYTES   1000

struct event_call {
	struct builder *builder;
	struct kube_call *call;
	struct event_call *prev, *next;
};

static void free_event(struct event_call *event)
{
	DL_DELETE(event->builder->events, event);
	event->builder->n_events--;
	free(event);
}

static void on_sent(void *arg, const struct kube_response *response)
{
	if (response->err.code != ERR_OK && response->err.code != ERR_EXISTS)
		log_msg(LOG_WARN, "builder", "event was not recorded",
			LOG_FIELD("error", response->err.msg));
	free_event(arg);
}

static void put_micro_time(cJSON *object, const char *key, int64_t wall_ms)
{
	char ms[CLOCK_TEXT_BYTES], text[CLOCK_TEXT_BYTES + 4];

	clock_format_rfc3339(ms, wall_ms, true);
	(void)snprintf(text, sizeof(text), "%.*s000Z", (int)strlen(ms) - 1, ms);
	json_put_str(object, key, text);
}

static cJSON *new_event(const struct builder *builder, const struct build *build, bool is_warning,
			const char *reason, const char *note)
{
	cJSON *event = json_new_object(), *metadata = json_put_object(event, "metadata"), *about;
	CLEANUP(buf_release) struct buf clean = BUF_INIT((size_t)NOTE_BYTES * 3);
	char name[BUILDER_NAME_BYTES + 64];

	/* An object name has at most 253 characters, and no capitals. */
	(void)snprintf(name, sizeof(name), "%.190s.%.8s.%.40s", build->name, build->uid, reason);
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	json_put_str(event, "apiVersion", "events.k8s.io/v1");
	json_put_str(event, "kind", "Event");
	json_put_str(metadata, "name", name);
	json_put_str(metadata, "namespace", build->namespace_);
	about = json_put_object(event, "regarding");
	json_put_str(about, "apiVersion", "build.openshift.io/v1");
	json_put_str(about, "kind", "Build");
	json_put_str(about, "namespace", build->namespace_);
	json_put_str(about, "name", build->name);
	json_put_str(about, "uid", build->uid);
	put_micro_time(event, "eventTime", clock_wall_ms(builder->opt.clock));
	json_put_str(event, "type", is_warning ? "Warning" : "Normal");
	json_put_str(event, "reason", reason);
	json_put_str(event, "action", reason);
	buf_put_clean(&clean, str_of(note), NOTE_BYTES);
	json_put_text(event, "note", buf_str(&clean));
	json_put_str(event, "reportingController", "buildhook.io/build-controller");
	json_put_str(event, "reportingInstance",
		     builder->opt.instance && *builder->opt.instance ? builder->opt.instance
								     : "buildhook");
	return event;
}

void builder_event(struct builder *builder, const struct build *build, bool is_warning,
		   const char *reason, const char *note)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	CLEANUP(buf_release) struct buf body = BUF_INIT(16 * 1024), path = BUF_INIT(1024);
	struct event_call *event;

	if (builder->n_events >= MAX_UNDERWAY)
		return;
	doc = new_event(builder, build, is_warning, reason, note);
	json_format(&body, doc);
	buf_printf(&path, "/apis/events.k8s.io/v1/namespaces/%s/events", build->namespace_);
	event = mem_new(1, sizeof(*event));
	event->builder = builder;
	DL_APPEND(builder->events, event);
	builder->n_events++;
	event->call = kube_start(builder->opt.client,
				 &(struct kube_request){.method = KUBE_POST,
							.path = path.data,
							.body = buf_str(&body),
							.metric_resource = "events"},
				 on_sent, event);
}

void builder_events_free(struct builder *builder)
{
	while (builder->events) {
		// NOLINTNEXTLINE(clang-analyzer-*): utlist is not followed
		kube_cancel(builder->events->call);
		free_event(builder->events);
	}
}
