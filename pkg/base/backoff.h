/* Exponential back-off: the one rule by which requests and starts that failed are tried again. */
#pragma once

#include "base/clock.h"

struct backoff_range {
	int64_t base_ms; /* the wait after the first failure, above 0 */
	int64_t max_ms;  /* at least base_ms */
};

/*
 * How long to wait after FAILURES in a row (at least 1): base_ms, doubled with each failure up to
 * max_ms, less up to half of it by chance, so that what failed together, as when the API server
 * goes away, does not come back together.
 */
int64_t backoff_ms(struct clock *clock, const struct backoff_range *range, unsigned failures);
