#include "base/str.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void empty_texts_are_equal_whatever_they_point_at(void **state)
{
	(void)state;
	assert_true(str_eq((struct str){0}, STR("")));
	assert_true(str_eq(str_of(NULL), (struct str){0}));
	assert_false(str_eq(STR("a"), (struct str){0}));
	assert_true(str_starts((struct str){0}, (struct str){0}));
	assert_true(str_ends((struct str){0}, STR("")));
	assert_true(str_contains((struct str){0}, STR("")));
	assert_true(str_is_utf8((struct str){0}));
	assert_true(str_empty(str_trim((struct str){0})));
	assert_int_equal(str_find_char((struct str){0}, 'a'), 0);
}

static void text_is_compared_by_bytes(void **state)
{
	(void)state;
	assert_true(str_eq(str_range("ab\0c", 4), str_range("ab\0c", 4)));
	assert_false(str_eq(str_range("ab\0c", 4), str_range("ab\0d", 4)));
	assert_false(str_eq(STR("ab"), STR("abc")));
	assert_false(str_eq(STR("ab"), STR("Ab")));
}

static void only_ascii_letters_have_case(void **state)
{
	(void)state;
	assert_true(str_eq_nocase(STR("X-Hub-Signature"), STR("x-hub-SIGNATURE")));
	assert_false(str_eq_nocase(STR("a"), STR("ab")));
	assert_false(str_eq_nocase(STR("@"), STR("`")));
	assert_false(str_eq_nocase(STR("["), STR("{")));
	assert_false(str_eq_nocase(STR("\xC4"), STR("\xE4")));
}

static void beginnings_and_ends(void **state)
{
	(void)state;
	assert_true(str_starts(STR("refs/heads/main"), STR("refs/heads/")));
	assert_false(str_starts(STR("refs"), STR("refs/heads/")));
	assert_true(str_ends(STR("repo.git"), STR(".git")));
	assert_false(str_ends(STR("git"), STR(".git")));
	assert_true(str_eq(str_without_prefix(STR("sha256=ab"), STR("sha256=")), STR("ab")));
	assert_true(str_eq(str_without_prefix(STR("sha1=ab"), STR("sha256=")), STR("sha1=ab")));
	assert_true(str_contains(STR("a [skip ci] b"), STR("[skip ci]")));
	assert_false(str_contains(STR("ab"), STR("abc")));
}

static void trim_takes_blanks_but_no_line_ends(void **state)
{
	(void)state;
	assert_true(str_eq(str_trim(STR(" \t a b \t")), STR("a b")));
	assert_true(str_eq(str_trim(STR(" \t ")), STR("")));
	assert_true(str_eq(str_trim(STR("a\n")), STR("a\n")));
}

static void parts_end_with_the_text(void **state)
{
	static const struct {
		const char *text;
		const char *parts[4];
	} cases[] = {
		{"", {0}},     {"a", {"a"}},      {"a,b", {"a", "b"}}, {"a,,b", {"a", "", "b"}},
		{"a,", {"a"}}, {",a", {"", "a"}}, {",", {""}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str rest = str_of(cases[i].text), part = {0};
		size_t n = 0;

		for (; cases[i].parts[n]; n++) {
			assert_true(str_next_part(&rest, ',', &part));
			assert_true(str_eq(part, str_of(cases[i].parts[n])));
		}
		assert_false(str_next_part(&rest, ',', &part));
	}
}

static void numbers_are_plain_decimals_within_their_maximum(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t value;
	} cases[] = {
		{"0", 0, true, 0},
		{"7", 7, true, 7},
		{"8", 7, false, 0},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"99999999999999999999999", UINT64_MAX, false, 0},
		{"", 9, false, 0},
		{"00", 9, false, 0},
		{"01", 9, false, 0},
		{"+1", 9, false, 0},
		{"-1", 9, false, 0},
		{" 1", 9, false, 0},
		{"1 ", 9, false, 0},
		{"0x1", 99, false, 0},
		{"1e1", 99, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 4711;
		bool good = str_parse_u64(str_of(cases[i].text), cases[i].max, &value);

		assert_int_equal(good, cases[i].good);
		assert_int_equal(value, good ? cases[i].value : 4711);
	}
}

static void a_copy_is_terminated(void **state)
{
	CLEANUP(mem_free) char *copy = str_dup(str_range("main-branch", 4));
	CLEANUP(mem_free) char *empty = str_dup((struct str){0});

	(void)state;
	assert_string_equal(copy, "main");
	assert_string_equal(empty, "");
}

static void an_escape_is_a_percent_sign_and_two_digits(void **state)
{
	static const char *const cases[][2] = {
		{"a%2Fb%2f", "a/b/"}, {"%41%6a", "Aj"}, {"100%", "100%"}, {"%4", "%4"},
		{"%g0%0g", "%g0%0g"}, {"%%41", "%A"},   {"%25%32", "%2"}, {"a+b", "a+b"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str s = str_of(cases[i][0]);
		char text[32] = {0};

		for (size_t n = 0; s.n > 0; n++)
			text[n] = str_take_escaped(&s);
		assert_string_equal(text, cases[i][1]);
	}
}

static void utf8_is_what_rfc_3629_says(void **state)
{
	static const struct {
		struct str text;
		bool good;
		uint32_t first;
	} cases[] = {
		{{"A", 1}, true, 'A'},
		{{"\0", 1}, true, 0},
		{{"\x7F", 1}, true, 0x7F},
		{{"\xC2\x80", 2}, true, 0x80},
		{{"\xDF\xBF", 2}, true, 0x7FF},
		{{"\xE0\xA0\x80", 3}, true, 0x800},
		{{"\xED\x9F\xBF", 3}, true, 0xD7FF},
		{{"\xEE\x80\x80", 3}, true, 0xE000},
		{{"\xEF\xBF\xBF", 3}, true, 0xFFFF},
		{{"\xF0\x90\x80\x80", 4}, true, 0x10000},
		{{"\xF4\x8F\xBF\xBF", 4}, true, 0x10FFFF},
		/* Overlong, surrogates, too large. */
		{{"\xC0\x80", 2}, false, 0},
		{{"\xC1\xBF", 2}, false, 0},
		{{"\xE0\x9F\xBF", 3}, false, 0},
		{{"\xED\xA0\x80", 3}, false, 0},
		{{"\xED\xBF\xBF", 3}, false, 0},
		{{"\xF0\x8F\xBF\xBF", 4}, false, 0},
		{{"\xF4\x90\x80\x80", 4}, false, 0},
		{{"\xF5\x80\x80\x80", 4}, false, 0},
		{{"\xFF", 1}, false, 0},
		/* Cut short, and bytes that do not follow. */
		{{"\x80", 1}, false, 0},
		{{"\xC3", 1}, false, 0},
		{{"\xE2\x82", 2}, false, 0},
		{{"\xF0\x9F\x98", 3}, false, 0},
		{{"\xC3\x28", 2}, false, 0},
		{{"\xE2\x28\xA1", 3}, false, 0},
		{{"\xE2\x82\x28", 3}, false, 0},
		{{"\xF0\x90\x80\x28", 4}, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t first = 4711;

		assert_int_equal(str_is_utf8(cases[i].text), cases[i].good);
		assert_int_equal(str_decode_utf8(cases[i].text, &first),
				 cases[i].good ? cases[i].text.n : 0);
		assert_int_equal(first, cases[i].good ? cases[i].first : 4711);
	}
}

/* ASCII is looked at in steps of eight bytes: the place of a bad byte must not matter. */
static void a_bad_byte_is_found_at_every_place(void **state)
{
	char text[40];

	(void)state;
	for (size_t n = 1; n <= sizeof(text); n++) {
		for (size_t at = 0; at < n; at++) {
			memset(text, 'x', n);
			assert_true(str_is_utf8(str_range(text, n)));
			text[at] = '\xFE';
			assert_false(str_is_utf8(str_range(text, n)));
		}
	}
}

static void a_cut_leaves_characters_whole(void **state)
{
	static const char text[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
	static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

	(void)state;
	for (size_t max = 0; max < ARRAY_LEN(ends); max++) {
		struct str cut = str_cut_utf8(str_of(text), max);

		assert_int_equal(cut.n, ends[max]);
		assert_true(str_is_utf8(cut));
	}
	assert_int_equal(str_cut_utf8(STR("\x80\x80\x80\x80\x80\x80"), 5).n, 5);
}

static void printable_text_ends_at_each_place_and_byte(void **state)
{
	char text[25];

	(void)state;
	for (size_t at = 0; at <= sizeof(text); at++) {
		for (int c = 0; c < 256; c++) {
			bool is_printable = c >= 0x20 && c <= 0x7e;

			for (size_t i = 0; i < sizeof(text); i++)
				text[i] = i % 2 ? '~' : ' ';
			if (at < sizeof(text))
				text[at] = (char)c;
			assert_int_equal(str_count_printable(str_range(text, sizeof(text))),
					 is_printable ? sizeof(text) : at);
		}
	}
	assert_int_equal(str_count_printable(STR("")), 0);
}

static void names_of_kubernetes_are_labels_and_dots(void **state)
{
	static const struct {
		const char *text;
		bool is_subdomain, is_label;
	} cases[] = {
		{"shop", true, true},       {"1", true, true},      {"a-b--c", true, true},
		{"a.b-c.2", true, false},   {"", false, false},     {"-a", false, false},
		{"a-", false, false},       {".a", false, false},   {"a.", false, false},
		{"a..b", false, false},     {"a.-b", false, false}, {"a-.b", false, false},
		{"Shop", false, false},     {"a_b", false, false},  {"a/b", false, false},
		{"\xC3\xA4", false, false},
	};
	char longest[254];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(str_is_dns_subdomain(str_of(cases[i].text)),
				 cases[i].is_subdomain);
		assert_int_equal(str_is_dns_label(str_of(cases[i].text)), cases[i].is_label);
	}
	memset(longest, 'a', sizeof(longest));
	assert_true(str_is_dns_label(str_range(longest, 63)));
	assert_false(str_is_dns_label(str_range(longest, 64)));
	assert_true(str_is_dns_subdomain(str_range(longest, 253)));
	assert_false(str_is_dns_subdomain(str_range(longest, 254)));
}

static void joined_texts_are_cut_to_their_room(void **state)
{
	char all[8], cut[6], none[1];

	(void)state;
	STR_JOIN(all, STR("ab"), (struct str){0}, STR("cd"), STR("/"));
	assert_string_equal(all, "abcd/");
	STR_JOIN(cut, STR("abc"), STR("def"), STR("g"));
	assert_string_equal(cut, "abcde");
	STR_JOIN(none, STR("a"));
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_texts_are_equal_whatever_they_point_at),
		cmocka_unit_test(text_is_compared_by_bytes),
		cmocka_unit_test(only_ascii_letters_have_case),
		cmocka_unit_test(beginnings_and_ends),
		cmocka_unit_test(printable_text_ends_at_each_place_and_byte),
		cmocka_unit_test(trim_takes_blanks_but_no_line_ends),
		cmocka_unit_test(parts_end_with_the_text),
		cmocka_unit_test(numbers_are_plain_decimals_within_their_maximum),
		cmocka_unit_test(a_copy_is_terminated),
		cmocka_unit_test(names_of_kubernetes_are_labels_and_dots),
		cmocka_unit_test(joined_texts_are_cut_to_their_room),
		cmocka_unit_test(an_escape_is_a_percent_sign_and_two_digits),
		cmocka_unit_test(utf8_is_what_rfc_3629_says),
		cmocka_unit_test(a_bad_byte_is_found_at_every_place),
		cmocka_unit_test(a_cut_leaves_characters_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
