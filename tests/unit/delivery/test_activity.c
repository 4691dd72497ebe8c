#include "delivery/activity.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void release_activity(struct activity **activity)
{
	activity_free(*activity);
}

static void looking_makes_no_entry(void **state)
{
	CLEANUP(release_activity) struct activity *s = activity_new();

	(void)state;
	assert_null(activity_find(s, "uid-1", HOOK_GITHUB));
	activity_get(s, "uid-1", HOOK_GITHUB);
	assert_null(activity_find(s, "uid-1", HOOK_GITLAB));
	assert_null(activity_find(s, "uid-2", HOOK_GITHUB));
}

static void an_entry_begins_empty_and_keeps_what_was_put(void **state)
{
	CLEANUP(release_activity) struct activity *s = activity_new();
	struct hook_activity *seen = activity_get(s, "uid-1", HOOK_GITHUB);

	(void)state;
	assert_int_equal(seen->last_ms, 0);
	assert_string_equal(seen->last, "");
	assert_false(seen->is_dirty);
	seen->refused = 3;
	activity_get(s, "uid-1", HOOK_GITLAB)->refused = 4;
	activity_get(s, "uid-2", HOOK_GITHUB)->refused = 5;
	assert_int_equal(activity_get(s, "uid-1", HOOK_GITHUB)->refused, 3);
	assert_int_equal(activity_find(s, "uid-1", HOOK_GITLAB)->refused, 4);
	assert_int_equal(activity_find(s, "uid-2", HOOK_GITHUB)->refused, 5);
}

static void entries_stay_where_they_are(void **state)
{
	CLEANUP(release_activity) struct activity *s = activity_new();
	struct hook_activity *first = activity_get(s, "uid-0", HOOK_GITHUB);
	char uid[32];

	(void)state;
	for (int i = 1; i < 5000; i++) {
		(void)snprintf(uid, sizeof(uid), "uid-%d", i);
		activity_get(s, uid, HOOK_GENERIC);
	}
	activity_get(s, "uid-0", HOOK_GENERIC);
	assert_ptr_equal(activity_find(s, "uid-0", HOOK_GITHUB), first);
}

static void dropping_takes_all_hooks_of_one_buildconfig(void **state)
{
	CLEANUP(release_activity) struct activity *s = activity_new();

	(void)state;
	activity_drop(s, "uid-1");
	activity_get(s, "uid-1", HOOK_GITHUB)->refused = 1;
	activity_get(s, "uid-1", HOOK_GENERIC);
	activity_get(s, "uid-2", HOOK_GITHUB);
	activity_drop(s, "uid-1");
	assert_null(activity_find(s, "uid-1", HOOK_GITHUB));
	assert_null(activity_find(s, "uid-1", HOOK_GENERIC));
	assert_non_null(activity_find(s, "uid-2", HOOK_GITHUB));
	assert_int_equal(activity_get(s, "uid-1", HOOK_GITHUB)->refused, 0);
}

/* As if activity_new() had not been reached. */
static void where_there_are_none_there_is_nothing_to_free(void **state)
{
	struct activity *none = NULL;

	(void)state;
	activity_free(none);
	assert_null(none);
}

static const struct unbuilt_line *find_outcome(const struct activity *s, const char *text)
{
	const struct unbuilt_line *unbuilt = NULL;
	size_t n = activity_find_unbuilt(s, "uid-1", &unbuilt);

	for (size_t i = 0; i < n; i++)
		if (strcmp(unbuilt[i].text, text) == 0)
			return &unbuilt[i];
	return NULL;
}

static void the_newest_outcomes_are_kept_and_refusals_displace_none(void **state)
{
	CLEANUP(release_activity) struct activity *s = activity_new();
	const struct unbuilt_line *unbuilt = NULL;
	char line[64];

	(void)state;
	assert_int_equal(activity_find_unbuilt(s, "uid-1", &unbuilt), 0);
	for (int i = 1; i <= ACTIVITY_UNBUILT + 1; i++) {
		(void)snprintf(line, sizeof(line), "push %d -> ignored", i);
		activity_add_unbuilt(s, "uid-1", HOOK_GITHUB, i, line);
	}
	assert_int_equal(activity_find_unbuilt(s, "uid-1", &unbuilt), ACTIVITY_UNBUILT);
	assert_null(find_outcome(s, "github push 1 -> ignored"));
	for (int i = 0; i < 100; i++) {
		(void)snprintf(line, sizeof(line), "refused: for reason %d", i);
		activity_add_unbuilt(s, "uid-1", HOOK_GITHUB, 100 + i, line);
	}
	assert_int_equal(find_outcome(s, "github refused: for reason 99")->ms, 199);
	assert_null(find_outcome(s, "github push 2 -> ignored"));
	assert_non_null(find_outcome(s, "github push 3 -> ignored"));
	/* An older line does not replace a newer one. */
	activity_add_unbuilt(s, "uid-1", HOOK_GITHUB, 1, "push 3 -> ignored");
	assert_int_equal(find_outcome(s, "github push 3 -> ignored")->ms, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looking_makes_no_entry),
		cmocka_unit_test(an_entry_begins_empty_and_keeps_what_was_put),
		cmocka_unit_test(entries_stay_where_they_are),
		cmocka_unit_test(dropping_takes_all_hooks_of_one_buildconfig),
		cmocka_unit_test(where_there_are_none_there_is_nothing_to_free),
		cmocka_unit_test(the_newest_outcomes_are_kept_and_refusals_displace_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
