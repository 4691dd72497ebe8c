/* What is remembered of the Builds of one BuildConfig, for the order of starts: see build_order.c.
 */
#pragma once

#include "base/str.h"

/*
 * How far the look at earlier Builds has come for one change: a request that fails must not have it
 * begin again, or a bad network would never let it end.
 */
struct look_back {
	int64_t seq;     /* of the change; 0: none */
	int64_t version; /* where it began */
	int64_t at;      /* the next one */
	bool is_settled;
};

struct order_memory {
	/* Builds up to this number were started here or looked at; -1: none. */
	int64_t known_version;
	/* Wall clock: the newest acceptance of a change that another's Build among these is of. */
	int64_t known_accepted_ms;
	int64_t gap_number, gap_ms; /* since when the Build of that number is missing; monotonic */
	struct look_back look_back;
};
