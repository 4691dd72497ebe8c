/*
 * Events on BuildConfigs (events.k8s.io/v1). A repeat within ten minutes counts up the series of
 * the first Event, as Kubernetes asks for, at most once a minute, instead of making another object.
 */
#pragma once

#include "buildconfig/buildconfig.h"

struct controller;
struct event_log;

enum event_type { EVENT_NORMAL, EVENT_WARNING };

struct event_log *event_log_new(struct controller *controller);
void event_log_free(struct event_log *log);
/* Sends an Event, or counts a repeat. A failure is logged and otherwise ignored. */
void event_send(struct controller *controller, const struct buildconfig *bc, enum event_type type,
		const char *reason, const char *note);
