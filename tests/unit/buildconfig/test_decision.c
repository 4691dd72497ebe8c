#include "buildconfig/decision.h"

#include "decisions.h"

#define CHANGE(name)                                                                               \
	{                                                                                          \
		.ref = (char *)"refs/heads/" name                                                  \
	}

static struct decision decide_all(const struct buildconfig *bc, struct delivery_event *event,
				  struct delivery_change *changes, size_t n)
{
	struct decision decision;

	event->changes = changes;
	event->n_changes = n;
	decision_make(&decision, bc, event, NULL);
	return decision;
}

static void all_changes_that_build_start_in_their_order(void **state)
{
	BC bc = make_bc(REF("main"), ANN("refs", "main,release/*"));
	struct delivery_change changes[] = {CHANGE("x"), CHANGE("release/1"), CHANGE("main")};
	struct delivery_event event = {.type = HOOK_BITBUCKET};
	CLEANUP(decision_release) struct decision d = decide_all(bc, &event, changes, 3);

	(void)state;
	assert_int_equal(d.reason, OUTCOME_START);
	assert_null(d.change);
	assert_string_equal(d.message, "");
	assert_int_equal(d.n_starts, 2);
	assert_ptr_equal(d.starts[0], &changes[1]);
	assert_ptr_equal(d.starts[1], &changes[2]);
}

static void where_none_builds_the_reason_is_the_first_changes(void **state)
{
	BC bc = make_bc(REF("main"), "");
	struct delivery_change changes[] = {CHANGE("x"), {.ref = (char *)"refs/tags/v1"}};
	struct delivery_event event = {.type = HOOK_BITBUCKET};
	CLEANUP(decision_release) struct decision d = decide_all(bc, &event, changes, 2);

	(void)state;
	assert_int_equal(d.reason, OUTCOME_REF_MISMATCH);
	assert_ptr_equal(d.change, &changes[0]);
	assert_non_null(strstr(d.message, "pushed refs/heads/x; this BuildConfig builds main"));
	assert_string_equal(d.brief, "this BuildConfig builds main");
	assert_int_equal(d.n_starts, 0);
}

static void of_generics_refs_the_first_match_builds_alone(void **state)
{
	BC bc = make_bc(REF("main"), ANN("refs", "main,next"));
	struct delivery_change changes[] = {CHANGE("x"), CHANGE("next"), CHANGE("main")};
	struct delivery_event event = {.type = HOOK_GENERIC, .is_first_match_only = true};
	CLEANUP(decision_release) struct decision d = decide_all(bc, &event, changes, 3);

	(void)state;
	assert_int_equal(d.n_starts, 1);
	assert_ptr_equal(d.starts[0], &changes[1]);
}

static void what_is_no_push_builds_nothing(void **state)
{
	static const struct {
		struct delivery_event event;
		enum outcome reason;
		const char *says;
	} cases[] = {
		{{.kind = DELIVERY_PING}, OUTCOME_PING, "the webhook works"},
		{{.kind = DELIVERY_OTHER, .name = "issues"},
		 OUTCOME_EVENT_IGNORED,
		 "event \"issues\" starts no build"},
		{{.type = HOOK_GENERIC}, OUTCOME_EVENT_IGNORED, "names no ref"},
		{{.type = HOOK_BITBUCKET}, OUTCOME_EVENT_IGNORED, "moved no ref"},
	};
	BC bc = make_bc(REF("main"), "");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(decision_release) struct decision d = {0};

		decision_make(&d, bc, &cases[i].event, NULL);
		assert_int_equal(d.reason, cases[i].reason);
		assert_non_null(strstr(d.message, cases[i].says));
		assert_string_equal(d.brief, "");
		assert_int_equal(d.n_starts, 0);
	}
}

static void a_hint_is_kept_although_it_builds(void **state)
{
	BC bc = make_bc(REF("main"), "");
	struct delivery_change changes[] = {CHANGE("main")};
	struct delivery_event event = {
		.type = HOOK_GITHUB,
		.repositories = {(char *)"https://git.example.com/acme/other.git"},
	};
	CLEANUP(decision_release) struct decision d = decide_all(bc, &event, changes, 1);

	(void)state;
	assert_int_equal(d.reason, OUTCOME_START);
	assert_non_null(strstr(d.hint, "a push came from git.example.com/acme/other"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_changes_that_build_start_in_their_order),
		cmocka_unit_test(where_none_builds_the_reason_is_the_first_changes),
		cmocka_unit_test(of_generics_refs_the_first_match_builds_alone),
		cmocka_unit_test(what_is_no_push_builds_nothing),
		cmocka_unit_test(a_hint_is_kept_although_it_builds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
