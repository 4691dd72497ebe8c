/* A token bucket: limits how often something may be done, with a burst. Each BuildConfig has one
 * for its builds and one for writes of its Secrets; status writes share one. Pure. */
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
/* No token is missing. */
bool token_bucket_is_full(const struct token_bucket *bucket, const struct token_bucket_limit *limit,
			  int64_t now_ms);
/* Takes a token; without one the next wait is longer. */
void token_bucket_take(struct token_bucket *bucket, const struct token_bucket_limit *limit,
		       int64_t now_ms);
