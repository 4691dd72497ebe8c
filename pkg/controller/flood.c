#include "controller/flood.h"

#include <math.h>

static double used_at(const struct flood *flood, const struct flood_limit *limit, int64_t now_ms)
{
	return fmax(0, flood->used - (double)(now_ms - flood->at_ms) * limit->per_ms);
}

int64_t flood_wait_ms(const struct flood *flood, const struct flood_limit *limit, int64_t now_ms)
{
	double over;

	if (limit->per_ms <= 0)
		return 0;
	over = used_at(flood, limit, now_ms) + 1 - limit->burst;
	return over <= 1e-9 ? 0 : (int64_t)ceil(over / limit->per_ms);
}

void flood_take(struct flood *flood, const struct flood_limit *limit, int64_t now_ms)
{
	flood->used = used_at(flood, limit, now_ms) + 1;
	flood->at_ms = now_ms;
}
