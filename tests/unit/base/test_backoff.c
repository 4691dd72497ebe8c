#include "base/backoff.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int64_t zero_ms(void *arg)
{
	(void)arg;
	return 0;
}

/* Fills OUT with the byte *ARG, for the least and the greatest random number. */
static void fill(void *arg, void *out, size_t n)
{
	memset(out, *(const unsigned char *)arg, n);
}

static int64_t wait_of(unsigned char byte, unsigned failures)
{
	static const struct backoff_range range = {1000, 300000};
	struct clock *clock = clock_new(&(struct clock_source){zero_ms, zero_ms, fill, &byte});
	int64_t ms = backoff_ms(clock, &range, failures);

	clock_free(clock);
	return ms;
}

static void the_wait_doubles_to_its_maximum(void **state)
{
	static const struct {
		unsigned failures;
		int64_t whole_ms;
	} cases[] = {{1, 1000},    {2, 2000},    {3, 4000},      {9, 256000},
		     {10, 300000}, {11, 300000}, {1000, 300000}, {UINT32_MAX, 300000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(wait_of(0, cases[i].failures), cases[i].whole_ms / 2);
		assert_in_range(wait_of(0x55, cases[i].failures), cases[i].whole_ms / 2,
				cases[i].whole_ms);
	}
}

static void two_that_failed_together_do_not_come_back_together(void **state)
{
	(void)state;
	assert_int_not_equal(wait_of(0, 5), wait_of(0x55, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wait_doubles_to_its_maximum),
		cmocka_unit_test(two_that_failed_together_do_not_come_back_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
