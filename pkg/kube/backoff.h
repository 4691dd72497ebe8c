/* client-go's reflector back-off: 0.8 s doubling to 30 s, each plus up to as much again by chance.
 * It starts again after two minutes without a failure. */
#pragma once

#include "base/clock.h"

/* Zeroed: no failure yet. */
struct backoff {
	int64_t asked_ms;
	unsigned int n;
};

/* How long to wait before the next try. RETRY_AFTER_MS: what the server asked for, or -1; it is
 * never tried sooner. */
int64_t backoff_next(struct backoff *backoff, struct clock *clock, int64_t retry_after_ms);
