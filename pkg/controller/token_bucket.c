#include "controller/token_bucket.h"

#include <math.h>

static double used_at(const struct token_bucket *bucket, const struct token_bucket_limit *limit,
		      int64_t now_ms)
{
	return fmax(0, bucket->used - (double)(now_ms - bucket->at_ms) * limit->per_ms);
}

int64_t token_bucket_wait_ms(const struct token_bucket *bucket,
			     const struct token_bucket_limit *limit, int64_t now_ms)
{
	double over;

	if (limit->per_ms <= 0)
		return 0;
	over = used_at(bucket, limit, now_ms) + 1 - limit->burst;
	return over <= 1e-9 ? 0 : (int64_t)ceil(over / limit->per_ms);
}

bool token_bucket_is_full(const struct token_bucket *bucket, const struct token_bucket_limit *limit,
			  int64_t now_ms)
{
	return limit->per_ms <= 0 || used_at(bucket, limit, now_ms) <= 0;
}

void token_bucket_take(struct token_bucket *bucket, const struct token_bucket_limit *limit,
		       int64_t now_ms)
{
	bucket->used = used_at(bucket, limit, now_ms) + 1;
	bucket->at_ms = now_ms;
}
