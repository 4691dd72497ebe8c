#include "kube/backoff.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct world {
	int64_t now_ms;
	unsigned char chance;
	struct clock *clock;
	struct backoff backoff;
};

static int64_t now(void *arg)
{
	return ((struct world *)arg)->now_ms;
}

static void random_bytes(void *arg, void *out, size_t n)
{
	memset(out, ((struct world *)arg)->chance, n);
}

static int set_up(void **state)
{
	struct world *w = mem_new(1, sizeof(*w));
	struct clock_source source = {now, now, random_bytes, w};

	w->now_ms = 1000000;
	w->clock = clock_new(&source);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	clock_free(w->clock);
	mem_free(&w);
	return 0;
}

static int64_t next(struct world *w, int64_t retry_after_ms)
{
	return backoff_next(&w->backoff, w->clock, retry_after_ms);
}

static void it_doubles_to_thirty_seconds(void **state)
{
	static const int64_t delays[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		int64_t delay_ms = next(w, -1);

		assert_int_equal(delay_ms, delays[i]);
		w->now_ms += delay_ms;
	}
}

static void chance_adds_at_most_as_much_again(void **state)
{
	struct world *w = *state;
	int64_t least_ms = INT64_MAX;
	int64_t most_ms = 0;

	for (int i = 0; i < 256; i++) {
		int64_t delay_ms = 0;

		w->chance = (unsigned char)i;
		w->backoff = (struct backoff){0};
		delay_ms = next(w, -1);
		least_ms = delay_ms < least_ms ? delay_ms : least_ms;
		most_ms = delay_ms > most_ms ? delay_ms : most_ms;
	}
	assert_true(least_ms >= 800 && least_ms < 850);
	assert_true(most_ms <= 1600 && most_ms > 1550);
}

static void two_quiet_minutes_begin_anew(void **state)
{
	struct world *w = *state;

	next(w, -1);
	next(w, -1);
	w->now_ms += 120000;
	assert_int_equal(next(w, -1), 3200);
	w->now_ms += 120001;
	assert_int_equal(next(w, -1), 800);
}

static void it_never_tries_sooner_than_the_server_says(void **state)
{
	struct world *w = *state;

	assert_int_equal(next(w, 1000), 1000);
	assert_int_equal(next(w, 300000), 300000);
	/* A Retry-After of 0 leaves the back-off unchanged. */
	assert_int_equal(next(w, 0), 800);
	w->chance = 0xff;
	assert_in_range(next(w, 10000), 10000, 15000);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_doubles_to_thirty_seconds),
		TEST(chance_adds_at_most_as_much_again),
		TEST(two_quiet_minutes_begin_anew),
		TEST(it_never_tries_sooner_than_the_server_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
