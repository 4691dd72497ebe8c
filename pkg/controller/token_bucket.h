/*
 * A token bucket: how often something may be done, with a burst. The builds of one BuildConfig, the
 * status writes of all, and the Secrets that are looked at again each have one. Pure.
 */
#pragma once

#include "base/str.h"

struct token_bucket_limit {
	double burst;
	double per_ms; /* 0: no limit */
};

/* Zeroed: full. */
struct token_bucket {
	double used;
	int64_t at_ms; /* monotonic */
};

/* Milliseconds until the next token; 0: there is one. */
int64_t token_bucket_wait_ms(const struct token_bucket *bucket,
			     const struct token_bucket_limit *limit, int64_t now_ms);
/* Takes a token, or borrows one. */
void token_bucket_take(struct token_bucket *bucket, const struct token_bucket_limit *limit,
		       int64_t now_ms);
