#include "kube/backoff.h"

#define FIRST_MS  800
#define MAX_MS    30000
#define RESET_MS  120000
#define MAX_SHIFT 6

static int64_t with_jitter(struct clock *clock, int64_t ms)
{
	return ms + (int64_t)clock_random_below(clock, (uint64_t)ms + 1);
}

int64_t backoff_next(struct backoff *backoff, struct clock *clock, int64_t retry_after_ms)
{
	int64_t now_ms = clock_mono_ms(clock);
	int64_t delay_ms = 0;

	if (now_ms - backoff->asked_ms > RESET_MS)
		backoff->n = 0;
	backoff->asked_ms = now_ms;
	/* A server that names the time knows better than a guess, in both directions. */
	if (retry_after_ms >= 1000)
		return retry_after_ms +
		       (int64_t)clock_random_below(clock, (uint64_t)retry_after_ms / 2);
	delay_ms = (int64_t)FIRST_MS << (backoff->n < MAX_SHIFT ? backoff->n : MAX_SHIFT);
	backoff->n++;
	return with_jitter(clock, delay_ms < MAX_MS ? delay_ms : MAX_MS);
}
