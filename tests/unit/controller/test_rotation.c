#include "controller/rotation.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct buildconfig_secret github[] = {{BUILDCONFIG_SECRET_REFERENCE, 0, "one"}};
static const struct buildconfig_secret generic[] = {{BUILDCONFIG_SECRET_DEFAULT, 0, "two"}};

static struct buildconfig asking(const char *request)
{
	return (struct buildconfig){
		.uid = "u-1",
		.rotate = request,
		.hooks = {[0] = {.exists = true, .n_secrets = 1, .secrets = github},
			  [3] = {.exists = true, .n_secrets = 1, .secrets = generic}},
	};
}

static void a_request_is_for_all_secrets_or_those_of_one_type(void **state)
{
	static const struct {
		const char *request, *secret;
		bool is_wanted;
	} cases[] = {
		{"", "one", false},           {"2026-11-23", "one", true},
		{"2026-11-23", "two", true},  {"github=now", "one", true},
		{"github=now", "two", false}, {"generic=now", "two", true},
		{"why=now", "one", true},     {"github", "two", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buildconfig bc = asking(cases[i].request);

		assert_int_equal(rotation_is_wanted(&bc, cases[i].secret, ""), cases[i].is_wanted);
	}
}

static void what_is_recorded_is_not_done_again(void **state)
{
	struct buildconfig bc = asking("a"), again = asking("b");
	CLEANUP(buf_release) struct buf record = BUF_INIT(1000), later = BUF_INIT(1000);

	(void)state;
	rotation_put_record(&record, &bc, "u-2/0011223344556677");
	assert_false(rotation_is_wanted(&bc, "one", record.data));
	assert_true(rotation_is_wanted(&again, "one", record.data));
	assert_true(str_starts(buf_str(&record), STR("u-2/0011223344556677 u-1/")));
	rotation_put_record(&later, &again, record.data);
	assert_false(rotation_is_wanted(&again, "one", later.data));
	assert_int_equal(later.len, record.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_for_all_secrets_or_those_of_one_type),
		cmocka_unit_test(what_is_recorded_is_not_done_again),
	};

	return cmocka_run_group_tests_name("rotation", tests, NULL, NULL);
}
