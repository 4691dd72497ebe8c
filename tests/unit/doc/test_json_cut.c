#include "doc/json_cut.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_member_is_cut_and_all_else_stays_as_it_is(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"{\"a\":1,\"m\":{\"x\":1,\"f\":[{\"y\":\"}]\"}],\"z\":2}}",
		 "{\"a\":1,\"m\":{\"x\":1,\"z\":2}}"},
		{"{\"m\":{\"f\":[],\"z\":9007199254740993}}", "{\"m\":{\"z\":9007199254740993}}"},
		{"{\"m\":{\"x\":\"\\\\\",\"f\":{\"f\":[[]]}}}", "{\"m\":{\"x\":\"\\\\\"}}"},
		{"{\"m\":{\"f\":1}}", "{\"m\":{}}"},
		{"{ \"m\" : { \"x\" : 1 , \"f\" : null } }", "{ \"m\" : { \"x\" : 1 } }"},
		{"{\"m\":{\"x\":\"\\\"f\\\":1\"}}", "{\"m\":{\"x\":\"\\\"f\\\":1\"}}"},
		/* No such member: under another parent, deeper, or the parent is not an object. */
		{"{\"f\":1,\"m\":{\"n\":{\"f\":1}}}", "{\"f\":1,\"m\":{\"n\":{\"f\":1}}}"},
		{"{\"n\":{\"m\":{\"f\":1}}}", "{\"n\":{\"m\":{\"f\":1}}}"},
		{"{\"m\":\"f\"}", "{\"m\":\"f\"}"},
		{"{}", "{}"},
		{"[1]", "[1]"},
		{"", ""},
		/* Not JSON: as it is. */
		{"{\"m\":{\"f\":1", "{\"m\":{\"f\":1"},
		{"{\"m\":{\"f", "{\"m\":{\"f"},
		{"{\"m\":{\"f\\", "{\"m\":{\"f\\"},
		{"{\"m\"", "{\"m\""},
		{"{m", "{m"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_release) struct buf out = BUF_INIT(1024);

		json_put_without(&out, str_of(cases[i].text), "m", "f");
		assert_string_equal(buf_text(&out), cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_member_is_cut_and_all_else_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
