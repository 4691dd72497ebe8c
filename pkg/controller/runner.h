/* Does anything on the cluster run Builds? Backend kubernetes: runner.c. */
#pragma once

#include "base/str.h"

struct object;
struct observed;

/* Zeroed: nothing is awaited. */
struct runner_memory {
	int64_t seen_version; /* Builds up to this number need no look */
	int64_t version;      /* number of the Build that should begin to run; 0: none */
	int64_t look_ms;      /* monotonic: when the Builds are listed */
	bool has_seen_version;
	char *unrun; /* a Build that stayed New, or NULL */
};

/* Fills in whether there are Builds to look at. */
void runner_observe(struct observed *seen, struct object *object);
void runner_act(struct object *object);
