#include "base/mem.h"
#include "receiver/ask_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* How often NAMESPACE may ask, if it tries to 1,000 times in the second that begins at MS. */
static unsigned flood(struct ask_limit *limit, const char *namespace_, int64_t ms)
{
	unsigned n = 0;

	for (int i = 0; i < 1000; i++)
		n += ask_limit_take(limit, str_of(namespace_), ms + i);
	return n;
}

static void one_namespace_leaves_room_for_another(void **state)
{
	struct ask_limit limit = {0};

	(void)state;
	assert_int_equal(flood(&limit, "a", 5000), 10);
	assert_int_equal(flood(&limit, "b", 5000), 6);
	assert_int_equal(flood(&limit, "c", 5000), 4);
	assert_int_equal(flood(&limit, "d", 5000), 0);
	/* In the next second each of the four has the same share, in any order. */
	assert_int_equal(flood(&limit, "a", 6000), 4);
	assert_int_equal(flood(&limit, "b", 6000), 4);
	assert_int_equal(flood(&limit, "c", 6000), 4);
	assert_int_equal(flood(&limit, "d", 6000), 4);
}

static void many_namespaces_together_ask_no_more_than_the_limit(void **state)
{
	struct ask_limit limit = {0};
	unsigned n = 0;

	(void)state;
	for (int64_t second = 0; second < 10; second++) {
		n = 0;
		for (int i = 0; i < 300; i++) {
			char name[32];

			(void)snprintf(name, sizeof(name), "n%d", i);
			n += ask_limit_take(&limit, str_of(name), second * 1000 + i);
		}
		assert_int_equal(n, ASK_LIMIT_PER_S);
	}
}

static void a_namespace_that_was_quiet_has_its_share_at_once(void **state)
{
	struct ask_limit limit = {0};

	(void)state;
	for (int64_t second = 0; second < 5; second++)
		(void)flood(&limit, "loud", second * 1000);
	assert_int_equal(flood(&limit, "loud", 5000), 10);
	assert_true(ask_limit_take(&limit, STR("quiet"), 5999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_namespace_leaves_room_for_another),
		cmocka_unit_test(many_namespaces_together_ask_no_more_than_the_limit),
		cmocka_unit_test(a_namespace_that_was_quiet_has_its_share_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
