#include "base/clock.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void times_are_written_in_utc(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
		const char *with_ms;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
		{1795467011123, "2026-11-23T20:50:11Z", "2026-11-23T20:50:11.123Z"},
		{951782399999, "2000-02-28T23:59:59Z", "2000-02-28T23:59:59.999Z"},
		{951782400000, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z"},
		{INT64_MIN, "0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"},
		{INT64_MAX, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z"},
	};
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		clock_format_rfc3339(text, cases[i].ms, false);
		assert_string_equal(text, cases[i].text);
		clock_format_rfc3339(text, cases[i].ms, true);
		assert_string_equal(text, cases[i].with_ms);
	}
}

static void times_are_read_with_any_offset(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-23T20:50:11Z", 1795467011000},
		{"2026-11-23t20:50:11z", 1795467011000},
		{"2026-11-23T22:50:11.1+02:00", 1795467011100},
		{"2026-11-23T15:20:11.123-05:30", 1795467011123},
		{"2026-11-23T20:50:11.123456789Z", 1795467011123},
		{"2026-11-23T20:50:11.999999999-00:00", 1795467011999},
		{"2024-02-29T00:00:00Z", 1709164800000},
		{"2000-02-29T00:00:00Z", 951782400000},
		{"1969-12-31T23:59:59.5Z", -500},
		{"2016-12-31T23:59:60Z", 1483228800000},
		{"0000-01-01T00:00:00Z", -62167219200000},
		{"9999-12-31T23:59:59.999Z", 253402300799999},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = 4711;

		assert_true(clock_parse_rfc3339(str_of(cases[i].text), &ms));
		assert_int_equal(ms, cases[i].ms);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"2026-11-23",
		"2026-11-23T20:50:11",
		"2026-11-23 20:50:11Z",
		"2026-11-23T20:50Z",
		"2026-11-23T20:50:11.Z",
		"2026-11-23T20:50:11.1234567890Z",
		"2026-11-23T20:50:11,5Z",
		"2026-11-23T20:50:11Zx",
		"2026-11-23T20:50:11Z\n",
		" 2026-11-23T20:50:11Z",
		"2026-11-23T20:50:11+0200",
		"2026-11-23T20:50:11+02",
		"2026-11-23T20:50:11+24:00",
		"2026-11-23T20:50:11+02:60",
		"2026-11-23T20:50:61Z",
		"2026-11-23T20:60:11Z",
		"2026-11-23T24:00:00Z",
		"2026-00-23T20:50:11Z",
		"2026-13-23T20:50:11Z",
		"2026-11-00T20:50:11Z",
		"2026-11-31T20:50:11Z",
		"2025-02-29T20:50:11Z",
		"1900-02-29T20:50:11Z",
		"26-11-23T20:50:11Z",
		"02026-11-23T20:50:11Z",
		"-026-11-23T20:50:11Z",
		"2026-1 -23T20:50:11Z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = 4711;

		assert_false(clock_parse_rfc3339(str_of(cases[i]), &ms));
		assert_int_equal(ms, 4711);
	}
}

static void every_month_comes_back(void **state)
{
	(void)state;
	for (int64_t ms = -62167219200000; ms < 253402300799999; ms += 2629746 * 1000LL + 1) {
		char text[CLOCK_TEXT_BYTES];
		int64_t back = 0;

		clock_format_rfc3339(text, ms, true);
		assert_true(clock_parse_rfc3339(str_of(text), &back));
		assert_int_equal(back, ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_in_utc),
		cmocka_unit_test(times_are_read_with_any_offset),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(every_month_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
