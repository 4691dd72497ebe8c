#include "decisions.h"

static void the_ref_of_the_source_builds(void **state)
{
	static const struct ruling table[] = {
		{REF("main"), "", {.ref = "refs/heads/main"}, OUTCOME_START, NULL},
		{REF("refs/heads/main"), "", {.ref = "refs/heads/main"}, OUTCOME_START, NULL},
		{REF("refs/heads/main"), "", {.ref = "main"}, OUTCOME_START, NULL},
		{REF("feature/x"), "", {.ref = "refs/heads/feature/x"}, OUTCOME_START, NULL},
		{REF("x"), "", {.ref = "refs/heads/feature/x"}, OUTCOME_REF_MISMATCH, NULL},
		{REF("master"),
		 "",
		 {.ref = "refs/heads/main"},
		 OUTCOME_REF_MISMATCH,
		 "pushed refs/heads/main; this BuildConfig builds master (spec.source.git.ref)"},
		{REF("main"), "", {.ref = "refs/heads/Main"}, OUTCOME_REF_MISMATCH, NULL},
		{REF("refs/tags/v1"), "", {.ref = "refs/tags/v1"}, OUTCOME_START, NULL},
		{REF("refs/tags/v1"),
		 "",
		 {.ref = "refs/tags/v2"},
		 OUTCOME_REF_MISMATCH,
		 "builds refs/tags/v1"},
		{REF("refs/tags/v1"), "", {.ref = "refs/heads/v1"}, OUTCOME_REF_MISMATCH, NULL},
		{REF("refs/tags/v1"),
		 "",
		 {.ref = "refs/heads/refs/tags/v1"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
		{REF("v1"),
		 "",
		 {.ref = "refs/tags/v1"},
		 OUTCOME_TAG_IGNORED,
		 "pushed refs/tags/v1"},
		{REF("main"),
		 "",
		 {.ref = "refs/tags/main"},
		 OUTCOME_TAG_IGNORED,
		 "buildhook.io/refs"},
		{REF("main"), "", {.ref = "refs/pull/3/head"}, OUTCOME_REF_MISMATCH, NULL},
		{REF("main"), "", {.ref = ""}, OUTCOME_REF_MISMATCH, NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void without_a_ref_the_default_branch_builds(void **state)
{
	static const struct ruling table[] = {
		{GIT(),
		 "",
		 {.ref = "refs/heads/dev", .default_branch = "dev"},
		 OUTCOME_START,
		 NULL},
		{GIT(),
		 "",
		 {.ref = "refs/heads/main", .default_branch = "dev"},
		 OUTCOME_REF_MISMATCH,
		 "builds dev (the repository's default branch"},
		{GIT(), "", {.ref = "refs/heads/main"}, OUTCOME_START, NULL},
		{GIT(), "", {.ref = "refs/heads/master"}, OUTCOME_START, NULL},
		{GIT(),
		 "",
		 {.ref = "refs/heads/dev"},
		 OUTCOME_REF_MISMATCH,
		 "builds main and master ("},
		{GIT(), "", {.ref = "refs/tags/main"}, OUTCOME_TAG_IGNORED, NULL},
	};
	struct verdict verdict;
	BC open = make_bc(GIT(), "");
	BC set = make_bc(REF("main"), "");
	const struct push dev = {.ref = "refs/heads/dev", .default_branch = "main"};

	(void)state;
	check(table, ARRAY_LEN(table));
	decide(&verdict, open, &dev, "dev");
	assert_int_equal(verdict.reason, OUTCOME_START);
	decide(&verdict, set, &dev, "dev");
	assert_int_equal(verdict.reason, OUTCOME_REF_MISMATCH);
}

static void the_refs_annotation_replaces_the_rule(void **state)
{
	static const struct ruling table[] = {
		{REF("main"),
		 ANN("refs", "dev"),
		 {.ref = "refs/heads/main"},
		 OUTCOME_REF_MISMATCH,
		 "builds dev (annotation buildhook.io/refs)"},
		{REF("main"),
		 ANN("refs", "dev,release/*"),
		 {.ref = "refs/heads/release/1"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("refs", "release/*"),
		 {.ref = "refs/heads/release/1/x"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
		{REF("main"),
		 ANN("refs", "release/**"),
		 {.ref = "refs/heads/release/1/x"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("refs", "refs/heads/r*"),
		 {.ref = "refs/heads/rc"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("refs", "refs/tags/v*"),
		 {.ref = "refs/tags/v1"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("refs", "refs/tags/v*"),
		 {.ref = "refs/tags/x1"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
		{REF("main"),
		 ANN("refs", "refs/tags/v*"),
		 {.ref = "refs/heads/v1"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
		{REF("main"),
		 ANN("refs", "main, refs/tags/v*"),
		 {.ref = "refs/heads/main"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("refs", "v*"),
		 {.ref = "refs/tags/v1"},
		 OUTCOME_TAG_IGNORED,
		 NULL},
		{REF("main"),
		 ANN("refs", "**"),
		 {.ref = "refs/tags/v1"},
		 OUTCOME_TAG_IGNORED,
		 NULL},
		{REF("main"), ANN("refs", "refs/**"), {.ref = "refs/tags/v1"}, OUTCOME_START, NULL},
		{REF("main"),
		 ANN("refs", "**,!wip/**"),
		 {.ref = "refs/heads/wip/x"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
		{REF("main"),
		 ANN("refs", "!wip/**"),
		 {.ref = "refs/heads/dev"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("refs", "!wip/**"),
		 {.ref = "refs/tags/v1"},
		 OUTCOME_TAG_IGNORED,
		 NULL},
		{REF("main"), ANN("refs", " "), {.ref = "refs/heads/main"}, OUTCOME_START, NULL},
		{REF("main"),
		 ANN("refs", ","),
		 {.ref = "refs/heads/main"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void deleted_refs_start_no_build(void **state)
{
	static const struct ruling table[] = {
		{REF("main"),
		 "",
		 {.ref = "refs/heads/main", .is_delete = true},
		 OUTCOME_REF_DELETED,
		 "refs/heads/main was deleted"},
		{REF("main"),
		 "",
		 {.ref = "refs/heads/x", .is_delete = true},
		 OUTCOME_REF_DELETED,
		 NULL},
		{REF("main"),
		 ANN("refs", "refs/tags/*"),
		 {.ref = "refs/tags/v1", .is_delete = true},
		 OUTCOME_REF_DELETED,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void skip_marks_count_where_they_are_asked_for(void **state)
{
	static const struct ruling table[] = {
		{REF("main"),
		 ANN("skip-ci", "true"),
		 {.ref = "main", .message = "fix [skip ci]"},
		 OUTCOME_SKIP_CI,
		 "buildhook.io/skip-ci"},
		{REF("main"),
		 ANN("skip-ci", "true"),
		 {.ref = "main", .message = "fix\n\n[CI Skip]\n"},
		 OUTCOME_SKIP_CI,
		 NULL},
		{REF("main"),
		 ANN("skip-ci", "true"),
		 {.ref = "main", .message = "[no ci]"},
		 OUTCOME_SKIP_CI,
		 NULL},
		{REF("main"),
		 ANN("skip-ci", "true"),
		 {.ref = "main", .message = "[x] [skip ci"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("skip-ci", "true"),
		 {.ref = "main", .message = "skip ci"},
		 OUTCOME_START,
		 NULL},
		{REF("main"), ANN("skip-ci", "true"), {.ref = "main"}, OUTCOME_START, NULL},
		{REF("main"), "", {.ref = "main", .message = "[skip ci]"}, OUTCOME_START, NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void another_repository_is_refused_only_where_a_match_is_asked_for(void **state)
{
	static const struct ruling table[] = {
		{REF("main"),
		 ANN("repository", "match"),
		 {.ref = "main", .repository = "git@git.example.com:acme/cart.git"},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("repository", "match"),
		 {.ref = "main", .repository = "https://git.example.com/eve/cart"},
		 OUTCOME_REPOSITORY_MISMATCH,
		 "pushed to git.example.com/eve/cart; this BuildConfig builds "
		 "git.example.com/acme/cart"},
		{REF("main"),
		 ANN("repository", "match"),
		 {.ref = "main"},
		 OUTCOME_REPOSITORY_MISMATCH,
		 "does not name"},
		{REF("main"),
		 ANN("repository", "match"),
		 {.ref = "main", .is_generic = true},
		 OUTCOME_START,
		 NULL},
		{REF("main"),
		 ANN("repository", "match"),
		 {.ref = "main", .is_generic = true, .repository = "https://x/y"},
		 OUTCOME_REPOSITORY_MISMATCH,
		 NULL},
		{REF("main"),
		 "",
		 {.ref = "main", .repository = "https://git.example.com/eve/cart"},
		 OUTCOME_START,
		 NULL},
	};
	struct verdict verdict;
	BC bc = make_bc(REF("main"), "");
	const struct push other = {.ref = "main",
				   .repository = "https://u:secret@git.example.com/eve/cart"};
	const struct push same = {.ref = "main", .repository = "https://git.example.com/acme/cart"};

	(void)state;
	check(table, ARRAY_LEN(table));
	decide(&verdict, bc, &other, NULL);
	assert_string_equal(verdict.hint, "a push came from git.example.com/eve/cart, but "
					  "spec.source.git.uri is git.example.com/acme/cart");
	decide(&verdict, bc, &same, NULL);
	assert_string_equal(verdict.hint, "");
}

static void without_a_git_source_only_generic_builds(void **state)
{
	static const struct ruling table[] = {
		{"'source':{'type':'Binary'}",
		 "",
		 {.ref = "refs/heads/main"},
		 OUTCOME_NO_GIT_SOURCE,
		 "spec.source.git"},
		{"", "", {.ref = "refs/heads/main"}, OUTCOME_NO_GIT_SOURCE, NULL},
		{"", "", {.is_generic = true}, OUTCOME_START, NULL},
		{"", "", {.is_generic = true, .ref = "refs/heads/x"}, OUTCOME_START, NULL},
		{"",
		 "'openshift.io/build-config.paused':'true'",
		 {.is_generic = true},
		 OUTCOME_PAUSED,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void generic_without_a_ref_builds_the_source(void **state)
{
	static const struct ruling table[] = {
		{REF("dev"), "", {.is_generic = true}, OUTCOME_START, NULL},
		{REF("dev"), ANN("refs", "x"), {.is_generic = true}, OUTCOME_START, NULL},
		{REF("dev"),
		 "",
		 {.is_generic = true, .ref = "refs/heads/main"},
		 OUTCOME_REF_MISMATCH,
		 NULL},
		{REF("dev"),
		 "",
		 {.is_generic = true, .ref = "refs/heads/dev"},
		 OUTCOME_START,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void paused_is_told_of_what_would_have_been_built(void **state)
{
#define PAUSED "'openshift.io/build-config.paused':'true'"
	static const struct ruling table[] = {
		{REF("main"),
		 PAUSED,
		 {.ref = "refs/heads/main"},
		 OUTCOME_PAUSED,
		 "openshift.io/build-config.paused"},
		{REF("main"), PAUSED, {.ref = "refs/heads/x"}, OUTCOME_REF_MISMATCH, NULL},
		{REF("main"),
		 PAUSED,
		 {.ref = "refs/heads/main", .is_delete = true},
		 OUTCOME_REF_DELETED,
		 NULL},
	};

	(void)state;
	check(table, ARRAY_LEN(table));
}

static void hostile_texts_stay_on_one_bounded_line(void **state)
{
	char ref[1100] = "refs/heads/", annotation[1200];
	struct push push = {.ref = ref};
	struct verdict verdict;

	(void)state;
	for (size_t i = strlen(ref); i + 3 < sizeof(ref); i += 2)
		memcpy(ref + i, i % 4 ? "\x1B[" : "\xC3\xA9", 3);
	(void)snprintf(annotation, sizeof(annotation), "'buildhook.io/refs':'%0999d\xC3\xA9'", 0);
	BC bc = make_bc(REF("main"), annotation);
	decide(&verdict, bc, &push, NULL);
	assert_int_equal(verdict.reason, OUTCOME_REF_MISMATCH);
	assert_true(str_is_utf8(str_of(verdict.message)) && str_is_utf8(str_of(verdict.brief)));
	assert_null(strchr(verdict.message, '\x1B'));
	assert_non_null(strstr(verdict.message, "To build this push, set that annotation"));
}

static void note_rule(void *arg, const char *rule, enum outcome reason, const char *message)
{
	struct buf *out = arg;

	buf_printf(out, "%s=%s%s ", rule, outcome_name(reason), *message ? "+" : "");
}

static void explain_goes_on_behind_the_first_no(void **state)
{
	CLEANUP(buf_release) struct buf told = BUF_INIT(1024);
	BC bc = make_bc(REF("main"), PAUSED "," ANN("skip-ci", "true"));
	const struct delivery_change change = {.ref = (char *)"refs/heads/x",
					       .message = (char *)"[skip ci]"};
	const struct delivery_event event = {.type = HOOK_GITHUB};

	(void)state;
	verdict_explain(bc, &event, &change, NULL, note_rule, &told);
	assert_string_equal(told.data, "source=+ repository=+ deleted=+ ref=RefMismatch+ paths=+ "
				       "skip-ci=SkipCI+ paused=Paused+ ");
}

static void note_message(void *arg, const char *rule, enum outcome reason, const char *message)
{
	(void)reason;
	buf_printf(arg, "%s: %s\n", rule, message);
}

static void explain(struct buf *told, const struct buildconfig *bc,
		    const struct delivery_event *event)
{
	const struct delivery_change change = {.ref = (char *)"refs/heads/main"};

	told->len = 0;
	verdict_explain(bc, event, &change, NULL, note_message, told);
}

/* One reason each, not all that there could be. */
static void explain_says_why_a_rule_holds(void **state)
{
	CLEANUP(buf_release) struct buf told = BUF_INIT(2048);
	BC any = make_bc(REF("main"), "");
	BC picky = make_bc(REF("main"), ANN("paths", "src/*") "," ANN("skip-ci", "true"));
	struct delivery_event event = {.type = HOOK_GITHUB};

	(void)state;
	explain(&told, any, &event);
	assert_non_null(strstr(told.data, "source: the BuildConfig has a Git source\n"));
	assert_non_null(strstr(told.data, "repository: no repository is named"));
	assert_non_null(strstr(told.data, "paths: every file counts"));
	assert_non_null(strstr(told.data, "skip-ci: the message does not count"));
	event.repositories[0] = (char *)"https://git.example.com/shop/cart.git";
	explain(&told, picky, &event);
	assert_non_null(strstr(told.data, "paths: it is not known which files changed"));
	assert_non_null(strstr(told.data, "skip-ci: the message does not ask to skip it"));
	event.files = (char *)"src/a.c";
	event.files_bytes = strlen(event.files) + 1;
	event.have_all_files = true;
	explain(&told, picky, &event);
	assert_non_null(strstr(told.data, "paths: a file changed that counts"));
}

static void short_names_lose_their_folder(void **state)
{
	(void)state;
	assert_true(str_eq(ref_short(STR("refs/heads/main")), STR("main")));
	assert_true(str_eq(ref_short(STR("refs/tags/v1")), STR("v1")));
	assert_true(str_eq(ref_short(STR("refs/heads/refs/tags/v1")), STR("refs/tags/v1")));
	assert_true(str_eq(ref_short(STR("refs/pull/1/head")), STR("refs/pull/1/head")));
	assert_true(str_eq(ref_short(STR("main")), STR("main")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ref_of_the_source_builds),
		cmocka_unit_test(without_a_ref_the_default_branch_builds),
		cmocka_unit_test(the_refs_annotation_replaces_the_rule),
		cmocka_unit_test(deleted_refs_start_no_build),
		cmocka_unit_test(skip_marks_count_where_they_are_asked_for),
		cmocka_unit_test(another_repository_is_refused_only_where_a_match_is_asked_for),
		cmocka_unit_test(without_a_git_source_only_generic_builds),
		cmocka_unit_test(generic_without_a_ref_builds_the_source),
		cmocka_unit_test(paused_is_told_of_what_would_have_been_built),
		cmocka_unit_test(hostile_texts_stay_on_one_bounded_line),
		cmocka_unit_test(explain_goes_on_behind_the_first_no),
		cmocka_unit_test(explain_says_why_a_rule_holds),
		cmocka_unit_test(short_names_lose_their_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
