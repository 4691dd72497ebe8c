/* What the status annotations say of changes that have ended or wait (controller/line.c). */
#include "parts.h"

#include "controller/line.h"

static struct journal_change change_at(int64_t accepted_ms, const char *ref)
{
	struct journal_change change = sample("d1", ref);

	change.uid = "u1";
	change.accepted_ms = accepted_ms;
	change.pusher = "alice";
	return change;
}

static struct hook_activity *activity(struct parts *p)
{
	return activity_find(p->services.activity, "u1", HOOK_GITHUB);
}

static size_t n_unbuilt(struct parts *p)
{
	const struct unbuilt_line *lines;

	return activity_find_unbuilt(p->services.activity, "u1", &lines);
}

static void a_build_is_the_newest_line_and_the_newest_build(void **state)
{
	const struct journal_change change = change_at(5000, "refs/heads/main");
	struct parts *p = *state;

	activity_get(p->services.activity, "u1", HOOK_GITHUB)->ignored_row = 3;
	line_note(p->controller, &change, OUTCOME_START, "cart-7", NULL);
	assert_string_equal(activity(p)->last, "push main 3f2a1b0 by alice -> cart-7");
	assert_string_equal(activity(p)->built, activity(p)->last);
	assert_int_equal(activity(p)->last_ms, 5000);
	assert_int_equal(activity(p)->built_ms, 5000);
	assert_int_equal(activity(p)->ignored_row, 0);
	assert_true(activity(p)->is_dirty);
	assert_int_equal(n_unbuilt(p), 0);
}

/* Builds do not start in the order in which their changes came. */
static void an_older_change_replaces_no_newer_line(void **state)
{
	const struct journal_change newer = change_at(5000, "refs/heads/new");
	const struct journal_change older = change_at(4999, "refs/heads/old");
	const struct journal_change same = change_at(5000, "refs/heads/same");
	struct parts *p = *state;

	line_note(p->controller, &newer, OUTCOME_START, "cart-8", NULL);
	activity(p)->is_dirty = false;
	line_note(p->controller, &older, OUTCOME_START, "cart-7", NULL);
	assert_non_null(strstr(activity(p)->last, "cart-8"));
	assert_non_null(strstr(activity(p)->built, "cart-8"));
	assert_int_equal(activity(p)->last_ms, 5000);
	assert_true(activity(p)->is_dirty);
	/* Two changes of one delivery: the one that ended last. */
	line_note(p->controller, &same, OUTCOME_START, "cart-9", NULL);
	assert_non_null(strstr(activity(p)->last, "cart-9"));
	assert_non_null(strstr(activity(p)->built, "cart-9"));
}

static void what_ended_without_a_build_is_kept_and_what_waits_is_not(void **state)
{
	static const struct {
		enum outcome outcome;
		size_t n_unbuilt;
	} cases[] = {{OUTCOME_QUEUED, 0}, {OUTCOME_FAILED, 1}, {OUTCOME_SUPERSEDED, 2}};
	struct parts *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct journal_change change =
			change_at(5000 + (int64_t)i, "refs/heads/main");

		line_note(p->controller, &change, cases[i].outcome, NULL, "so it is");
		assert_int_equal(n_unbuilt(p), cases[i].n_unbuilt);
		assert_int_equal(activity(p)->last_ms, 5000 + i);
		assert_non_null(strstr(activity(p)->last, "so it is"));
		assert_string_equal(activity(p)->built, "");
	}
}

/* A row of a later version, which may know more types. */
static void a_type_that_is_not_known_has_no_line(void **state)
{
	struct journal_change change = change_at(5000, "refs/heads/main");
	struct parts *p = *state;

	change.type = "carrier-pigeon";
	line_note(p->controller, &change, OUTCOME_START, "cart-7", NULL);
	for (int i = 0; i < HOOK_TYPES; i++)
		assert_null(activity_find(p->services.activity, "u1", (enum hook_type)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(a_build_is_the_newest_line_and_the_newest_build),
		PARTS_TEST(an_older_change_replaces_no_newer_line),
		PARTS_TEST(what_ended_without_a_build_is_kept_and_what_waits_is_not),
		PARTS_TEST(a_type_that_is_not_known_has_no_line),
	};

	return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
