#include "hook/ref.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Each case with the verdict of git check-ref-format. */
static void refs_are_valid_as_git_has_it(void **state)
{
	static const struct {
		const char *ref;
		bool is_valid;
	} cases[] = {
		{"refs/heads/main", true},
		{"refs/tags/v1.0", true},
		{"refs/heads/a/b/c", true},
		{"refs/heads/\xc3\xbc", true},
		{"refs/heads/x@y", true},
		{"refs/heads/@", true},
		{"refs/heads/a{b", true},
		{"refs/heads/-x", true},
		{"refs/heads/a.locks", true},
		{"refs/stash", true},
		{"main", false},
		{"heads/main", false},
		{"Refs/heads/main", false},
		{"refs/", false},
		{"refs", false},
		{"", false},
		{"refs//main", false},
		{"refs/heads/", false},
		{"refs/heads//a", false},
		{"refs/heads/.a", false},
		{"refs/heads/a.", false},
		{"refs/heads/a..b", false},
		{"refs/heads/a.lock", false},
		{"refs/heads/a.lock/b", false},
		{"refs/heads/a@{b", false},
		{"refs/heads/a b", false},
		{"refs/heads/a~1", false},
		{"refs/heads/a^", false},
		{"refs/heads/a:b", false},
		{"refs/heads/a?", false},
		{"refs/heads/*", false},
		{"refs/heads/[a", false},
		{"refs/heads/a\\b", false},
		{"refs/heads/a\tb", false},
		{"refs/heads/a\nb", false},
		{"refs/heads/a\x1b", false},
		{"refs/heads/a\x7f", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (hook_ref_is_valid(str_of(cases[i].ref)) != cases[i].is_valid)
			fail_msg("%s", cases[i].ref);
	assert_false(hook_ref_is_valid(STR("refs/heads/a\0b")));
}

#define DIGITS_39 "6113728f27ae82c7b1a177c8d03f9e96e0adf24"
#define ZEROS_39  "000000000000000000000000000000000000000"
#define ZEROS_24  "000000000000000000000000"

static void ids_have_40_or_64_digits_in_any_case(void **state)
{
	static const struct {
		const char *id;
		bool is_valid, is_zero;
	} cases[] = {
		{DIGITS_39 "6", true, false},
		{DIGITS_39 "6" ZEROS_24, true, false},
		{ZEROS_39 "0", true, true},
		{ZEROS_39 "0" ZEROS_24, true, true},
		{ZEROS_39 "1", true, false},
		{DIGITS_39, false, false},
		{DIGITS_39 "60", false, false},
		{DIGITS_39 "F", true, false},
		{DIGITS_39 "G", false, false},
		{DIGITS_39 "g", false, false},
		{DIGITS_39 " ", false, false},
		{ZEROS_39, false, false},
		{ZEROS_39 "00", false, false},
		{"", false, false},
		{"0", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(hook_id_is_valid(str_of(cases[i].id)), cases[i].is_valid);
		assert_int_equal(hook_id_is_zero(str_of(cases[i].id)), cases[i].is_zero);
	}
}

static void tags_are_told_from_branches(void **state)
{
	(void)state;
	assert_true(hook_ref_is_tag(STR("refs/tags/main")));
	assert_false(hook_ref_is_tag(STR("refs/heads/tags/main")));
	assert_false(hook_ref_is_tag(STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refs_are_valid_as_git_has_it),
		cmocka_unit_test(ids_have_40_or_64_digits_in_any_case),
		cmocka_unit_test(tags_are_told_from_branches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
