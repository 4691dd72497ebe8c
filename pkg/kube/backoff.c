#include "kube/backoff.h"

#include "base/backoff.h"

#define RESET_MS 120000

int64_t backoff_next(struct backoff *backoff, struct clock *clock, int64_t retry_after_ms)
{
	int64_t now_ms = clock_mono_ms(clock);
	/* backoff_ms() draws the upper half by chance: 0.8 s and up to as much again, and so on. */
	static const struct backoff_range range = {1600, 60000};

	if (now_ms - backoff->asked_ms > RESET_MS)
		backoff->n = 0;
	backoff->asked_ms = now_ms;
	/* The time that the server names replaces the back-off, even if it is shorter. */
	if (retry_after_ms >= 1000)
		return retry_after_ms +
		       (int64_t)clock_random_below(clock, (uint64_t)retry_after_ms / 2);
	return backoff_ms(clock, &range, ++backoff->n);
}
