/* A journaled delivery that is asked for once more: annotation buildhook.io/redeliver. */
#pragma once

#include "base/str.h"

struct object;
struct observed;

/* Zeroed: nothing is asked for. Times are monotonic. */
struct redelivery_memory {
	uint64_t request;   /* digest of the annotation's text */
	int64_t since_ms;   /* when this request was seen first */
	int64_t retry_ms;   /* no attempt before this */
	int64_t before_seq; /* rows from here on have been looked at; 0: none */
	bool is_searched;   /* the whole journal was searched, and does not hold the delivery */
};

void redelivery_observe(struct observed *seen, struct object *object);
/* True if no replica has found the delivery within a minute. */
bool redelivery_is_unknown(const struct object *object);
void redelivery_act(struct object *object);
