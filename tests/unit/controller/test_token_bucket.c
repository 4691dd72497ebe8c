#include "controller/token_bucket.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* 12 a minute. */
static const struct token_bucket_limit limit = {5, 12.0 / 60000};

static void a_burst_starts_at_once_and_the_next_waits_for_its_share(void **state)
{
	struct token_bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(token_bucket_wait_ms(&bucket, &limit, 1000), 0);
		token_bucket_take(&bucket, &limit, 1000);
	}
	assert_int_equal(token_bucket_wait_ms(&bucket, &limit, 1000), 5000);
	assert_int_equal(token_bucket_wait_ms(&bucket, &limit, 3000), 3000);
	assert_int_equal(token_bucket_wait_ms(&bucket, &limit, 6000), 0);
}

static void in_the_long_run_the_rate_holds(void **state)
{
	struct token_bucket bucket = {0};
	int started = 0;

	(void)state;
	for (int64_t now_ms = 0; now_ms < 600000; now_ms += 100) {
		if (token_bucket_wait_ms(&bucket, &limit, now_ms) > 0)
			continue;
		token_bucket_take(&bucket, &limit, now_ms);
		started++;
	}
	assert_in_range(started, 124, 125);
}

static void a_quiet_time_fills_no_more_than_the_burst(void **state)
{
	struct token_bucket bucket = {0};
	int started = 0;

	(void)state;
	token_bucket_take(&bucket, &limit, 0);
	while (token_bucket_wait_ms(&bucket, &limit, 3600000) == 0) {
		token_bucket_take(&bucket, &limit, 3600000);
		started++;
	}
	assert_int_equal(started, 5);
}

static void without_a_rate_there_is_no_limit(void **state)
{
	const struct token_bucket_limit none = {1, 0};
	struct token_bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		token_bucket_take(&bucket, &none, 0);
	assert_int_equal(token_bucket_wait_ms(&bucket, &none, 0), 0);
}

/* Then it need not be remembered. */
static void it_is_full_when_no_token_is_missing(void **state)
{
	const struct token_bucket_limit none = {1, 0};
	struct token_bucket bucket = {0};

	(void)state;
	assert_true(token_bucket_is_full(&bucket, &limit, 0));
	token_bucket_take(&bucket, &limit, 1000);
	assert_false(token_bucket_is_full(&bucket, &limit, 5999));
	assert_true(token_bucket_is_full(&bucket, &limit, 6000));
	bucket.used = 1000;
	assert_true(token_bucket_is_full(&bucket, &none, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_starts_at_once_and_the_next_waits_for_its_share),
		cmocka_unit_test(in_the_long_run_the_rate_holds),
		cmocka_unit_test(a_quiet_time_fills_no_more_than_the_burst),
		cmocka_unit_test(without_a_rate_there_is_no_limit),
		cmocka_unit_test(it_is_full_when_no_token_is_missing),
	};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
