/*
 * Events on Builds (events.k8s.io/v1). Each says something that happens to a Build once, so its
 * name is made of the Build's uid and the reason: a second replica's is refused.
 */
#include "builder/internal.h"

#include "base/log.h"
#include "kube/event.h"

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

void builder_event(struct builder *builder, const struct build *build, bool is_warning,
		   const char *reason, const char *note)
{
	CLEANUP(json_freep) cJSON *doc = NULL;
	char name[BUILDER_NAME_BYTES + 64];
	CLEANUP(buf_release) struct buf body = BUF_INIT(16 * 1024), path = BUF_INIT(1024);
	struct event_call *event;

	if (builder->n_events >= MAX_UNDERWAY)
		return;
	/* An object name has at most 253 characters, and no capitals. */
	(void)snprintf(name, sizeof(name), "%.190s.%.8s.%.40s", build->name, build->uid, reason);
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	doc = kube_event_new(&(struct kube_event){
		.name = name,
		.kind = "Build",
		.namespace_ = build->namespace_,
		.object_name = build->name,
		.uid = build->uid,
		.wall_ms = clock_wall_ms(builder->opt.clock),
		.is_warning = is_warning,
		.reason = reason,
		.note = note,
		.max_note_bytes = NOTE_BYTES,
		.controller = "buildhook.io/build-controller",
		.instance = builder->opt.instance,
	});
	json_format(&body, doc);
	kube_event_put_path(&path, build->namespace_);
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
