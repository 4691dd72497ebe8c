#include "base/err.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void set_gives_its_code_back(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(NULL, ERR_LIMIT, "%d", 1), ERR_LIMIT);
	assert_int_equal(err_set(&err, ERR_DENIED, "get secret %s: %d", "hook", 403), ERR_DENIED);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.msg, "get secret hook: 403");
}

static void wrap_puts_its_text_before(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, ERR_NOTFOUND, "no such file");
	assert_int_equal(err_wrap(&err, "read %s", "config"), ERR_NOTFOUND);
	assert_int_equal(err_wrap(&err, "start"), ERR_NOTFOUND);
	assert_string_equal(err.msg, "start: read config: no such file");
	assert_true(err_wrap(NULL, "start") < 0);
}

static void the_message_may_be_made_of_itself(void **state)
{
	struct err err = {0};

	(void)state;
	err_set(&err, ERR_INVALID, "bad port");
	err_set(&err, ERR_INVALID, "line 3: %s", err.msg);
	assert_string_equal(err.msg, "line 3: bad port");
}

/* The characters have three bytes each: with any text before them none is cut in two. */
static void a_long_text_is_cut_at_a_character(void **state)
{
	char text[3 * 200 + 1];
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i += 3)
		memcpy(text + i, "\xE2\x82\xAC", 3);
	text[sizeof(text) - 1] = '\0';
	for (int before = 0; before < 4; before++) {
		err_set(&err, ERR_INVALID, "%.*s%s", before, "abc", text);
		assert_true(str_is_utf8(str_of(err.msg)));
		assert_in_range(strlen(err.msg), sizeof(err.msg) - 3, sizeof(err.msg) - 1);
	}
	err_wrap(&err, "x");
	assert_true(str_is_utf8(str_of(err.msg)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_gives_its_code_back),
		cmocka_unit_test(wrap_puts_its_text_before),
		cmocka_unit_test(the_message_may_be_made_of_itself),
		cmocka_unit_test(a_long_text_is_cut_at_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
