#include "base/fnv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* From the authors' test vectors (test_fnv.c of fnv-5.1). */
static void the_sums_are_those_of_the_authors(void **state)
{
	static const struct {
		const char *text;
		uint32_t sum_32;
		uint64_t sum_64;
	} table[] = {
		{"", 0x811c9dc5, 0xcbf29ce484222325},
		{"a", 0xe40c292c, 0xaf63dc4c8601ec8c},
		{"foobar", 0xbf9cf968, 0x85944171f73967e8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *text = table[i].text;

		assert_int_equal(fnv_32(text), table[i].sum_32);
		assert_true(fnv_64(FNV_64_INIT, text, strlen(text)) == table[i].sum_64);
	}
}

static void where_a_text_ends_counts(void **state)
{
	(void)state;
	assert_true(fnv_64_text(fnv_64_text(FNV_64_INIT, "ab"), "c") !=
		    fnv_64_text(fnv_64_text(FNV_64_INIT, "a"), "bc"));
	assert_true(fnv_64_text(FNV_64_INIT, NULL) == fnv_64_text(FNV_64_INIT, ""));
	assert_true(fnv_64_text(FNV_64_INIT, "") != FNV_64_INIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sums_are_those_of_the_authors),
		cmocka_unit_test(where_a_text_ends_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
