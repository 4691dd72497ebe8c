/* When a hint comes, and when it does not; the rules against their table in docs/annotations.md. */
#include "buildconfig/hint.h"

#include "fixture.h"

#define T0     INT64_C(1795467011000) /* 2026-11-23T20:50:11Z */
#define MASTER "'source':{'git':{'uri':'u','ref':'master'}}"
#define DEV    "'source':{'git':{'uri':'u','ref':'dev'}}"
#define HOOK   ",'triggers':[{'type':'GitHub','github':{'secretReference':{'name':'s'}}}]"
#define INLINE ",'triggers':[{'type':'GitHub','github':{'secret':'hunter2'}}]"

static struct buildconfig *make(const char *spec, const char *annotations, int last_version)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(16 * 1024);

	buf_printf(&text,
		   "{'metadata':{'namespace':'shop','name':'cart','uid':'u-1','annotations':{%s}},"
		   "'spec':{%s},'status':{'lastVersion':%d}}",
		   annotations, spec, last_version);
	return parse_bc(text.data);
}

static struct status_input quiet(void)
{
	struct status_input input = {.now_ms = T0 + 60000, .provision = true};

	for (size_t i = 0; i < HOOK_TYPES; i++)
		input.hooks[i].secrets[0] = (struct status_secret){
			.state = STATUS_SECRET_USABLE,
			.is_ours = true,
		};
	return input;
}

/* OUT has 256 bytes. */
static const char *hint_of(char *out, const struct buildconfig *bc,
			   const struct status_input *input)
{
	CLEANUP(status_release) struct status status;

	status_make(&status, bc, input);
	out[0] = '\0';
	for (size_t i = 0; i < status.n; i++)
		if (strcmp(status.items[i].key, "buildhook.io/hint") == 0)
			(void)snprintf(out, 256, "%s", status.items[i].value);
	return out;
}

static void an_ignored_delivery_is_a_hint_only_where_it_is_probably_a_mistake(void **state)
{
	static const struct {
		const char *spec, *annotations;
		int last_version;
		bool has_built;
		enum outcome reason;
		uint64_t row;
		const char *what;
		const char *hint; /* a part of the hint; "": no hint */
	} cases[] = {
		/* Nothing was ever built. */
		{MASTER HOOK, "", 0, false, OUTCOME_REF_MISMATCH, 1, "refs/heads/wip",
		 "1 push to \"wip\" was ignored: this BuildConfig builds \"master\""},
		{MASTER HOOK, "", 1, true, OUTCOME_REF_MISMATCH, 9, "refs/heads/wip", ""},
		{MASTER HOOK, "", 1, false, OUTCOME_REF_MISMATCH, 9, "refs/heads/wip", ""},
		/* main and master are taken for each other. */
		{MASTER HOOK, "", 4, false, OUTCOME_REF_MISMATCH, 1, "refs/heads/main",
		 "1 push to \"main\" was ignored: this BuildConfig builds \"master\". Set spec."},
		{MASTER HOOK, "", 4, true, OUTCOME_REF_MISMATCH, 2, "refs/heads/main", ""},
		{MASTER HOOK, "", 4, true, OUTCOME_REF_MISMATCH, 3, "refs/heads/main", "3 pushes"},
		{DEV HOOK, "", 4, false, OUTCOME_REF_MISMATCH, 9, "refs/heads/main", ""},
		/* Tags. */
		{MASTER HOOK, "'buildhook.io/refs':'refs/tags/v*'", 0, false, OUTCOME_REF_MISMATCH,
		 9, "refs/heads/main", ""},
		{MASTER HOOK, "'buildhook.io/refs':'refs/tags/v*'", 0, false, OUTCOME_REF_MISMATCH,
		 1, "refs/tags/1.0",
		 "1 push to tag \"1.0\" was ignored: this BuildConfig builds \""},
		{MASTER HOOK, "'buildhook.io/refs':'v*'", 4, true, OUTCOME_TAG_IGNORED, 1,
		 "refs/tags/v1", "tag \"v1\" was not built: \"v*\" names a branch; for tags write"},
		{MASTER HOOK, "", 0, false, OUTCOME_TAG_IGNORED, 1, "refs/tags/v1", ""},
		{MASTER HOOK, "", 0, false, OUTCOME_TAG_IGNORED, 1, "refs/tags/master",
		 "for tags write refs/tags/... in spec.source.git.ref"},
		/* Rules that never let a push through. */
		{MASTER HOOK, "'buildhook.io/paths':'scr/**'", 4, false, OUTCOME_PATHS_UNCHANGED, 3,
		 "refs/heads/master", "3 pushes changed no file of \"scr/**\", and none was built"},
		{MASTER HOOK, "'buildhook.io/paths':'scr/**'", 4, false, OUTCOME_PATHS_UNCHANGED, 2,
		 "refs/heads/master", ""},
		{MASTER HOOK, "'buildhook.io/paths':'scr/**'", 4, true, OUTCOME_PATHS_UNCHANGED, 9,
		 "refs/heads/master", ""},
		/* Events. */
		{MASTER HOOK, "", 0, false, OUTCOME_EVENT_IGNORED, 1, "issues",
		 "the Git host sends event \"issues\", and no push was built yet"},
		{MASTER HOOK, "", 0, true, OUTCOME_EVENT_IGNORED, 9, "issues", ""},
		{"'source':{}" HOOK, "", 0, false, OUTCOME_NO_GIT_SOURCE, 1, "refs/heads/main",
		 "there is no Git source. Set spec.source.git.uri"},
		{MASTER HOOK, "", 0, false, OUTCOME_SKIP_CI, 9, "refs/heads/master", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct status_input input = quiet();
		struct hook_activity *hook = &input.hooks[0].activity;
		BC bc = make(cases[i].spec, cases[i].annotations, cases[i].last_version);
		char hint[256];

		hook->last_ms = T0;
		SET(hook->last, "x");
		hook->built_ms = cases[i].has_built ? T0 - 1000 : 0;
		SET(hook->built, "push -> cart-1");
		hook->ignored_reason = cases[i].reason;
		hook->ignored_row = cases[i].row;
		SET(hook->ignored_what, cases[i].what);
		hint_of(hint, bc, &input);
		if (*cases[i].hint ? !strstr(hint, cases[i].hint) : *hint)
			fail_msg("case %zu: \"%s\", expected \"%s\"", i, hint, cases[i].hint);
	}
}

static void a_rotation_that_changes_nothing_is_said(void **state)
{
	static const struct {
		const char *spec, *request;
		bool is_ours;
		const char *hint;
	} cases[] = {
		{MASTER HOOK, "1", true, ""},
		{MASTER HOOK, "1", false,
		 "buildhook.io/rotate changed nothing for github: buildhook did not make Secret "
		 "\"s\", change its key WebHookSecretKey"},
		{MASTER HOOK, "gitlab=1", false, ""},
		{MASTER HOOK, "github=1", false, "buildhook.io/rotate changed nothing for github"},
		{MASTER INLINE, "1", false,
		 "changed nothing for github: its secret is inline, change spec.triggers[0]"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct status_input input = quiet();
		char annotation[100], hint[256];

		(void)snprintf(annotation, sizeof(annotation), "'buildhook.io/rotate':'%s'",
			       cases[i].request);
		BC bc = make(cases[i].spec, annotation, 0);
		input.hooks[0].secrets[0].is_ours = cases[i].is_ours;
		hint_of(hint, bc, &input);
		if (*cases[i].hint ? !strstr(hint, cases[i].hint) : *hint)
			fail_msg("case %zu: \"%s\", expected \"%s\"", i, hint, cases[i].hint);
	}
}

static void the_old_secret_is_a_hint_until_its_time_is_over(void **state)
{
	struct status_input input = quiet();
	char hint[256], held[400];
	BC bc = make(MASTER HOOK, "", 0);

	(void)state;
	input.hooks[0].activity.last_ms = T0;
	SET(input.hooks[0].activity.last, "x");
	input.hooks[0].activity.used_previous = true;
	input.hooks[0].secrets[0].previous_until_ms = T0 + 3600 * 1000;
	assert_string_equal(hint_of(hint, bc, &input),
			    "the newest github delivery was still signed with the old secret, "
			    "which is accepted until 2026-11-23T21:50:11Z: set the new one at the "
			    "Git host");
	/* As another replica sees it, before and after. */
	(void)snprintf(
		held, sizeof(held),
		"'buildhook.io/hint':'%s','buildhook.io/github-last':'2026-11-23T20:50:11Z x'",
		hint);
	BC written = make(MASTER HOOK, held, 0);
	struct status_input other = quiet();
	assert_non_null(strstr(hint_of(hint, written, &other), "still signed"));
	other.now_ms = T0 + 3600 * 1000;
	assert_string_equal(hint_of(hint, written, &other), "");
}

static void the_inline_secret_comes_with_one_command(void **state)
{
	struct status_input input = quiet();
	char hint[256];
	BC bc = make(MASTER INLINE, "", 0);
	BC named = make(MASTER HOOK, "", 0);

	(void)state;
	assert_string_equal(hint_of(hint, bc, &input),
			    "github secret is inline, move it: kubectl patch bc cart --type=json "
			    "-p '[{\"op\":\"add\",\"path\":\"/spec/triggers/0/github\",\"value\":"
			    "{\"secretReference\":{\"name\":\"cart-github-webhook\"}}}]'");
	assert_string_equal(hint_of(hint, named, &input), "");
}

static void each_fact_of_the_caller_has_its_words(void **state)
{
	struct status_input input = quiet();
	char hint[256];
	BC bc = make(MASTER HOOK, "'buildhook.io/redeliver':'d-1 now'", 0);
	BC image = make(MASTER ",'triggers':[{'type':'ImageChange','imageChange':{}}]", "", 0);

	(void)state;
	input.kept_ms = 5 * 60000;
	assert_non_null(strstr(hint_of(hint, bc, &input), "recognised for 4 minutes"));
	input.has_no_image_streams = true;
	assert_non_null(strstr(hint_of(hint, image, &input), "trigger ImageChange starts no"));
	assert_null(strstr(hint_of(hint, bc, &input), "ImageChange"));
	input.unrun_build = "cart-1";
	assert_non_null(strstr(hint_of(hint, bc, &input), "nothing runs Builds here: cart-1"));
	input.hooks[0].secrets[0].remade_ms = T0;
	assert_non_null(
		strstr(hint_of(hint, bc, &input), "Secret \"s\" was deleted and made again"));
	input.is_redelivery_unknown = true;
	assert_non_null(strstr(hint_of(hint, bc, &input), "no delivery \"d-1\" is stored"));
	input.over_bounds = "too much waits (1000 changes)";
	assert_non_null(strstr(hint_of(hint, bc, &input), "too much waits (1000 changes)"));
}

/* The shown time grows by itself, and each new text is a write. */
static void how_long_deliveries_are_recognised_is_shown_in_steps_of_two(void **state)
{
	static const struct {
		int64_t ms;
		const char *shown;
	} cases[] = {
		{1, "recognised for less than a minute"},
		{59999, "recognised for less than a minute"},
		{60000, "recognised for 1 minute"},
		{7 * 60000 + 1, "recognised for 4 minutes"},
		{59 * 60000, "recognised for 32 minutes"},
		{60 * 60000, "recognised for 1 hour"},
		{71 * 3600000LL, "recognised for 64 hours"},
	};
	struct status_input input = quiet();
	char hint[256];
	BC bc = make(MASTER HOOK, "", 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		input.kept_ms = cases[i].ms;
		assert_string_equal(strstr(hint_of(hint, bc, &input), "recognised"),
				    cases[i].shown);
	}
	input.kept_ms = 0;
	assert_null(strstr(hint_of(hint, bc, &input), "recognised"));
}

/* The rows of the table "When a hint comes", in the order of the rules. */
static void the_docs_have_a_row_for_each_rule(void **state)
{
	char line[2048];
	bool is_table = false;
	size_t n = 0;
	FILE *file = fopen("docs/annotations.md", "r");

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		is_table = is_table || strcmp(line, "### When a hint comes\n") == 0;
		if (!is_table || strncmp(line, "| `", 3) != 0)
			continue;
		assert_true(n < n_hint_rules);
		if (!str_contains(str_of(line), str_trim(str_of(hint_rules[n].phrase))))
			fail_msg("row %zu is not of \"%s\": %s", n, hint_rules[n].phrase, line);
		if (++n == n_hint_rules)
			is_table = false;
	}
	(void)fclose(file);
	assert_int_equal(n, n_hint_rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ignored_delivery_is_a_hint_only_where_it_is_probably_a_mistake),
		cmocka_unit_test(a_rotation_that_changes_nothing_is_said),
		cmocka_unit_test(the_old_secret_is_a_hint_until_its_time_is_over),
		cmocka_unit_test(the_inline_secret_comes_with_one_command),
		cmocka_unit_test(each_fact_of_the_caller_has_its_words),
		cmocka_unit_test(how_long_deliveries_are_recognised_is_shown_in_steps_of_two),
		cmocka_unit_test(the_docs_have_a_row_for_each_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
