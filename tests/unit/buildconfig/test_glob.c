#include "buildconfig/glob.h"

#include "base/mem.h"
#include "buildconfig/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *pattern;
	const char *text;
	bool matches;
} cases[] = {
	{"main", "main", true},
	{"main", "main2", false},
	{"main", "mai", false},
	{"", "", true},
	{"", "x", false},
	/* a star stays within a part */
	{"*", "main", true},
	{"*", "", true},
	{"*", "feature/x", false},
	{"feature/*", "feature/x", true},
	{"feature/*", "feature/x/y", false},
	{"feature/*", "feature", false},
	{"*/x", "feature/x", true},
	{"v*.*", "v1.2", true},
	{"v*.*", "v12", false},
	{"a*b*c", "aXbXbXc", true},
	{"a*b*c", "aXbXbX", false},
	{"*a*a*a*b", "aaaaaaaaaaaaaaaa", false},
	/* a double star crosses slashes */
	{"**", "a/b/c", true},
	{"src/**", "src/a/b.c", true},
	{"src/**", "src", false},
	{"src/**", "srcs/a", false},
	{"**/x", "x", true},
	{"**/x", "a/b/x", true},
	{"**/x", "a/bx", false},
	{"a/**/b", "a/b", true},
	{"a/**/b", "a/x/y/b", true},
	{"a/**/b", "a/xb", false},
	{"a/**/b", "ab", false},
	{"a**b", "a/x/b", true},
	{"**/*.md", "README.md", true},
	{"**/*.md", "docs/a/README.md", true},
	{"*.md", "docs/README.md", false},
	{"**/doc*/**", "x/docs/y/z", true},
	{"a/**/**/b", "a/b", true},
	{"***", "a/b", true},
	/* one character */
	{"v?", "v1", true},
	{"v?", "v", false},
	{"v?", "v12", false},
	{"a?b", "a/b", false},
	{"?", "\xC3\xA9", true},
	{"??", "\xC3\xA9", false},
	{"*??", "\xC3\xA9", false},
	{"*?", "a\xC3\xA9", true},
	/* sets */
	{"v[0-9]", "v5", true},
	{"v[0-9]", "vx", false},
	{"v[!0-9]", "vx", true},
	{"v[^0-9]", "v5", false},
	{"[]a]", "]", true},
	{"[]-a]", "_", true},
	{"[a-]", "-", true},
	{"[\\]]", "]", true},
	{"[\xC3\xA0-\xC3\xA9]", "\xC3\xA5", true},
	{"*[\xC2\xA9]", "\xC3\xA9", false},
	{"*[!\xC3\xA9]", "\xC3\xA9", false},
	{"a[!x]b", "a/b", false},
	{"a[/]b", "a/b", false},
	{"v[0-9", "v[0-9", true},
	{"[", "[", true},
	{"[!]", "[!]", true},
	{"[z-a]", "b", false},
	/* escapes */
	{"\\*", "*", true},
	{"\\*", "x", false},
	{"a\\", "a\\", true},
	{"\\[a]", "[a]", true},
};

static void globs_match_whole_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (glob_matches(str_of(cases[i].pattern), str_of(cases[i].text)) !=
		    cases[i].matches)
			fail_msg("%s and %s", cases[i].pattern, cases[i].text);
}

static void a_hostile_pattern_takes_no_more_than_length_times_length(void **state)
{
	enum { STARS = 500, LETTERS = 2000 };
	char pattern[2 * STARS + 2], text[LETTERS];
	size_t budget = sizeof(pattern) * (sizeof(text) + 1);

	(void)state;
	for (size_t i = 0; i < STARS; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	memcpy(pattern + 2 * STARS, "*b", 2);
	memset(text, 'a', sizeof(text));
	assert_false(glob_matches_within(str_range(pattern, sizeof(pattern)),
					 str_range(text, sizeof(text)), &budget));
	assert_true(budget > 0);
}

static void a_budget_ends_the_work(void **state)
{
	size_t budget = 5;

	(void)state;
	assert_false(glob_matches_within(STR("**a**"), STR("bbbbbbbbbba"), &budget));
	assert_int_equal(budget, 0);
}

static void lists_have_commas_or_lines_between(void **state)
{
	static const char *const expected[] = {"main", "release/*", "!x", "a\\,b", "c"};
	struct str list = STR(" main, release/* ,,\n!x\r\na\\,b,\t,c"), glob = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_true(glob_next(&list, &glob));
		assert_true(str_eq(glob, str_of(expected[i])));
	}
	assert_false(glob_next(&list, &glob));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs_match_whole_texts),
		cmocka_unit_test(a_hostile_pattern_takes_no_more_than_length_times_length),
		cmocka_unit_test(a_budget_ends_the_work),
		cmocka_unit_test(lists_have_commas_or_lines_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
