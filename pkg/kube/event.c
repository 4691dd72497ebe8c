#include "kube/event.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

void kube_event_put_micro_time(cJSON *object, const char *key, int64_t wall_ms)
{
	char ms[CLOCK_TEXT_BYTES], text[CLOCK_TEXT_BYTES + 4];

	clock_format_rfc3339(ms, wall_ms, true);
	(void)snprintf(text, sizeof(text), "%.*s000Z", (int)strlen(ms) - 1, ms);
	json_put_str(object, key, text);
}

cJSON *kube_event_new(const struct kube_event *e)
{
	cJSON *event = json_new_object();
	cJSON *metadata = json_put_object(event, "metadata");
	cJSON *regarding = json_put_object(event, "regarding");
	CLEANUP(buf_release) struct buf note = BUF_INIT(e->max_note_bytes);

	json_put_str(event, "apiVersion", "events.k8s.io/v1");
	json_put_str(event, "kind", "Event");
	json_put_str(metadata, "name", e->name);
	json_put_str(metadata, "namespace", e->namespace_);
	json_put_str(regarding, "apiVersion", "build.openshift.io/v1");
	json_put_str(regarding, "kind", e->kind);
	json_put_str(regarding, "namespace", e->namespace_);
	json_put_str(regarding, "name", e->object_name);
	json_put_str(regarding, "uid", e->uid);
	kube_event_put_micro_time(event, "eventTime", e->wall_ms);
	json_put_str(event, "type", e->is_warning ? "Warning" : "Normal");
	json_put_str(event, "reason", e->reason);
	json_put_str(event, "action", e->reason);
	buf_put_clean(&note, str_of(e->note), e->max_note_bytes);
	json_put_text(event, "note", buf_str(&note));
	json_put_str(event, "reportingController", e->controller);
	json_put_str(event, "reportingInstance",
		     e->instance && *e->instance ? e->instance : "buildhook");
	return event;
}

void kube_event_put_path(struct buf *out, const char *namespace_)
{
	buf_printf(out, "/apis/events.k8s.io/v1/namespaces/%s/events", namespace_);
}
