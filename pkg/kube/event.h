/* The document of an Event (events.k8s.io/v1) about an object of build.openshift.io. */
#pragma once

#include "doc/json.h"

/* Texts are borrowed. Members without a comment describe the object. */
struct kube_event {
	const char *name; /* name of the Event: at most 253 characters, no capitals */
	const char *kind, *namespace_, *object_name, *uid;
	int64_t wall_ms;
	bool is_warning;
	const char *reason;
	const char *note;       /* any text: it is cleaned */
	size_t max_note_bytes;  /* at most 1,000, the API's own limit */
	const char *controller; /* "buildhook.io/buildhook" */
	const char *instance;   /* the Pod's or host's name; NULL or "": not known */
};

cJSON *kube_event_new(const struct kube_event *event);
/* Where the Events of a namespace are created. */
void kube_event_put_path(struct buf *out, const char *namespace_);
/* Adds a time in the form of Kubernetes' MicroTime. */
void kube_event_put_micro_time(cJSON *object, const char *key, int64_t wall_ms);
