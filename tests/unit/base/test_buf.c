#include "base/buf.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void appends_make_one_terminated_text(void **state)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(10000);

	(void)state;
	assert_true(str_empty(buf_str(&b)));
	for (int i = 0; i < 1000; i++) {
		buf_put_char(&b, 'a');
		assert_int_equal(b.data[b.len], '\0');
	}
	buf_put_str(&b, STR("bc"));
	buf_put(&b, NULL, 0);
	buf_printf(&b, "%d-%s", 42, "x");
	assert_int_equal(b.len, 1006);
	assert_string_equal(b.data + 998, "aabc42-x");
	assert_false(b.overflow);
}

static void the_limit_itself_fits(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < 200; limit++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT(limit);

		for (size_t i = 0; i < limit; i++)
			buf_put_char(&b, 'x');
		assert_false(b.overflow);
		assert_int_equal(b.len, limit);
		buf_put_char(&b, 'y');
		assert_true(b.overflow);
		assert_int_equal(b.len, limit);
	}
}

static void an_overflow_keeps_what_was_there_and_ignores_the_rest(void **state)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(5);

	(void)state;
	buf_put_str(&b, STR("abc"));
	buf_put_str(&b, STR("def"));
	buf_put_char(&b, 'g');
	buf_printf(&b, "%s", "h");
	buf_put_json(&b, STR(""));
	assert_true(b.overflow);
	assert_string_equal(b.data, "abc");

	buf_clear(&b);
	assert_false(b.overflow);
	buf_printf(&b, "%s", "12345");
	assert_string_equal(b.data, "12345");
	buf_printf(&b, "%s", "6");
	assert_true(b.overflow);
}

static void taking_gives_text_and_leaves_the_buffer_usable(void **state)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(4);
	CLEANUP(mem_free) char *empty = buf_take(&b);
	CLEANUP(mem_free) char *text = NULL;

	(void)state;
	assert_string_equal(empty, "");
	buf_put_str(&b, STR("abcd"));
	text = buf_take(&b);
	assert_string_equal(text, "abcd");
	assert_int_equal(b.len, 0);
	buf_put_str(&b, STR("xyz"));
	assert_string_equal(b.data, "xyz");
	buf_put_str(&b, STR("zy"));
	assert_true(b.overflow);
}

#define R "\xEF\xBF\xBD"

static void clean_text_is_one_line_that_reads_as_it_is_stored(void **state)
{
	static const struct {
		struct str in;
		size_t max;
		const char *out;
	} cases[] = {
		{{"plain \xC3\xA4\xE2\x82\xAC", 11}, 99, "plain \xC3\xA4\xE2\x82\xAC"},
		{{"a\r\nb", 4}, 99, "a" R R "b"},
		{{"a\0b", 3}, 99, "a" R "b"},
		{{"\t\x1B[31m\x7F", 7}, 99, R R "[31m" R},
		{{"\xC2\x80|\xC2\x85|\xC2\x9F|\xC2\xA0", 11}, 99, R "|" R "|" R "|\xC2\xA0"},
		{{"\xD8\x9C", 2}, 99, R},
		{{"\xE2\x80\x8D\xE2\x80\x8E\xE2\x80\x8F\xE2\x80\x90", 12},
		 99,
		 "\xE2\x80\x8D" R R "\xE2\x80\x90"},
		{{"\xE2\x80\xA7\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAA", 12},
		 99,
		 "\xE2\x80\xA7" R R R},
		{{"\xE2\x80\xAE\xE2\x80\xAF", 6}, 99, R "\xE2\x80\xAF"},
		{{"\xE2\x81\xA5\xE2\x81\xA6\xE2\x81\xA9\xE2\x81\xAA", 12},
		 99,
		 "\xE2\x81\xA5" R R "\xE2\x81\xAA"},
		{{"a\xFF\xC3", 3}, 99, "a" R R},
		{{"\xED\xA0\x80", 3}, 99, R R R},
		/* The maximum counts the bytes that are put, not those that are read. */
		{{"abcdef", 6}, 3, "abc"},
		{{"ab\xE2\x82\xAC", 5}, 4, "ab"},
		{{"ab\xE2\x82\xAC", 5}, 5, "ab\xE2\x82\xAC"},
		{{"\n\n\n", 3}, 8, R R},
		{{"abc", 3}, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT(cases[i].max);

		buf_put_clean(&b, cases[i].in, cases[i].max);
		assert_false(b.overflow);
		assert_true(str_eq(buf_str(&b), str_of(cases[i].out)));
	}
}

/* Clean text is valid UTF-8, without control bytes and within the maximum for any input. */
static void clean_text_of_random_bytes_is_fit(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT(50);
		char in[64];

		for (size_t i = 0; i < sizeof(in); i++) {
			seed = seed * 1664525 + 1013904223;
			in[i] = (char)(seed >> 24);
		}
		buf_put_clean(&b, str_range(in, sizeof(in)), 50);
		assert_false(b.overflow);
		assert_true(b.len > 46 && str_is_utf8(buf_str(&b)));
		for (size_t i = 0; i < b.len; i++)
			assert_true((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7F);
	}
}

static void json_strings_are_escaped(void **state)
{
	static const struct {
		struct str in;
		const char *out;
	} cases[] = {
		{{0}, "\"\""},
		{{"a/b", 3}, "\"a/b\""},
		{{"\"\\", 2}, "\"\\\"\\\\\""},
		{{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
		{{"a\0b\x01\x1F", 5}, "\"a\\u0000b\\u0001\\u001f\""},
		{{"\xC3\xA4\x7F", 3}, "\"\xC3\xA4\x7F\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT(100);

		buf_put_json(&b, cases[i].in);
		assert_string_equal(b.data, cases[i].out);
	}
}

static void what_json_escapes_is_found_at_each_place(void **state)
{
	static const struct {
		char c;
		const char *escaped;
	} cases[] = {{'"', "\\\""},  {'\\', "\\\\"}, {'\n', "\\n"},
		     {1, "\\u0001"}, {0x7f, "\x7f"}, {'!', "!"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t at = 0; at < 20; at++) {
			CLEANUP(buf_release) struct buf b = BUF_INIT(100);
			char text[21] = "aaaaaaaaaaaaaaaaaaaa", expected[40];

			text[at] = cases[i].c;
			(void)snprintf(expected, sizeof(expected), "\"%.*s%s%s\"", (int)at, text,
				       cases[i].escaped, text + at + 1);
			buf_put_json(&b, str_of(text));
			assert_string_equal(b.data, expected);
		}
	}
}

static void reserved_room_is_not_more_than_the_limit(void **state)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT(10);
	const char *data = NULL;

	(void)state;
	buf_put_str(&b, STR("abc"));
	buf_reserve(&b, 1000);
	data = b.data;
	buf_printf(&b, "%s", "defghij");
	assert_string_equal(b.data, "abcdefghij");
	assert_ptr_equal(b.data, data);
	buf_printf(&b, "%s", "k");
	assert_true(b.overflow);
	assert_string_equal(b.data, "abcdefghij");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_make_one_terminated_text),
		cmocka_unit_test(the_limit_itself_fits),
		cmocka_unit_test(an_overflow_keeps_what_was_there_and_ignores_the_rest),
		cmocka_unit_test(taking_gives_text_and_leaves_the_buffer_usable),
		cmocka_unit_test(clean_text_is_one_line_that_reads_as_it_is_stored),
		cmocka_unit_test(clean_text_of_random_bytes_is_fit),
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(what_json_escapes_is_found_at_each_place),
		cmocka_unit_test(reserved_room_is_not_more_than_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
