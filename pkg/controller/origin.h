/* Builds that OpenShift's own webhook endpoint started: see origin.c. */
#pragma once

#include "doc/json.h"

struct object;
struct observed;

/* Zeroed: no Build was looked at. */
struct origin_memory {
	int64_t looked_version; /* Builds up to this number have been looked at */
	bool has_looked_version;
	/* The newest Build that OpenShift's endpoint started. */
	size_t type;     /* the hook's */
	int64_t hint_ms; /* wall clock of the Build's creation; 0: there is none */
	char *hint;      /* or NULL */
};

/* Fills in whether there is a Build to look at. */
void origin_observe(struct observed *seen, struct object *object);
/* BUILD: one of this BuildConfig, whoever started it. */
void origin_note(struct object *object, const cJSON *build);
void origin_act(struct object *object);
