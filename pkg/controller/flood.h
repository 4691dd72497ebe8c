/* A token bucket: how many builds of one BuildConfig may start. Pure. */
#pragma once

#include "base/str.h"

struct flood_limit {
	double burst;
	double per_ms; /* 0: no limit */
};

/* Zeroed: full. */
struct flood {
	double used;
	int64_t at_ms; /* monotonic */
};

/* Milliseconds until a build may start; 0: now. */
int64_t flood_wait_ms(const struct flood *flood, const struct flood_limit *limit, int64_t now_ms);
/* A build was started. */
void flood_take(struct flood *flood, const struct flood_limit *limit, int64_t now_ms);
