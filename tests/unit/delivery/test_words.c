#include "delivery/outcome.h"
#include "delivery/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_type_is_parsed_exactly_as_it_is_written(void **state)
{
	static const char *const wrong[] = {"", "GitHub", "githubx", "githu", " github"};
	enum hook_type type = HOOK_GENERIC;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(hook_type_parse(str_of(wrong[i]), &type));
	assert_int_equal(type, HOOK_GENERIC);
	for (enum hook_type i = 0; i < HOOK_TYPES; i++) {
		assert_true(hook_type_parse(str_of(hook_type_name(i)), &type));
		assert_int_equal(type, i);
	}
}

static void triggers_and_causes_have_openshifts_names(void **state)
{
	static const char *const names[HOOK_TYPES][3] = {
		{"github", "GitHub", "GitHub WebHook"},
		{"gitlab", "GitLab", "GitLab WebHook"},
		{"bitbucket", "Bitbucket", "Bitbucket WebHook"},
		{"generic", "Generic", "Generic WebHook"},
	};

	(void)state;
	for (enum hook_type i = 0; i < HOOK_TYPES; i++) {
		assert_string_equal(hook_type_name(i), names[i][0]);
		assert_string_equal(hook_type_trigger(i), names[i][1]);
		assert_string_equal(hook_type_cause(i), names[i][2]);
	}
}

/* Users, dashboards and the journal know them by these words. */
static void outcomes_have_the_documented_names(void **state)
{
	static const char *const names[OUTCOMES] = {
		[OUTCOME_START] = "",
		[OUTCOME_REF_MISMATCH] = "RefMismatch",
		[OUTCOME_REF_DELETED] = "RefDeleted",
		[OUTCOME_TAG_IGNORED] = "TagIgnored",
		[OUTCOME_PATHS_UNCHANGED] = "PathsUnchanged",
		[OUTCOME_SKIP_CI] = "SkipCI",
		[OUTCOME_PAUSED] = "Paused",
		[OUTCOME_DUPLICATE] = "Duplicate",
		[OUTCOME_SUPERSEDED] = "Superseded",
		[OUTCOME_EVENT_IGNORED] = "EventIgnored",
		[OUTCOME_REPOSITORY_MISMATCH] = "RepositoryMismatch",
		[OUTCOME_NO_GIT_SOURCE] = "NoGitSource",
		[OUTCOME_UNREADABLE] = "Unreadable",
		[OUTCOME_PING] = "Ping",
		[OUTCOME_QUEUED] = "Queued",
		[OUTCOME_FAILED] = "Failed",
		[OUTCOME_DRY_RUN] = "DryRun",
	};

	(void)state;
	for (enum outcome i = 0; i < OUTCOMES; i++)
		assert_string_equal(outcome_name(i), names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_type_is_parsed_exactly_as_it_is_written),
		cmocka_unit_test(triggers_and_causes_have_openshifts_names),
		cmocka_unit_test(outcomes_have_the_documented_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
