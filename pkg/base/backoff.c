#include "base/backoff.h"

int64_t backoff_ms(struct clock *clock, const struct backoff_range *range, unsigned failures)
{
	int64_t whole_ms = range->base_ms;

	for (unsigned i = 1; i < failures && whole_ms < range->max_ms; i++)
		whole_ms *= 2;
	if (whole_ms > range->max_ms)
		whole_ms = range->max_ms;
	return whole_ms / 2 + (int64_t)clock_random_below(clock, (uint64_t)whole_ms / 2 + 1);
}
